"""An answer that its client did not take is owed still: the call again is the same job. Over HTTP, in both eras, with a
client that reads as much as is said and then resets its connection."""

import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from tests.server.http_host import BOUND, Host, served

ENDPOINT = "fal-ai/flux/dev"
# Four pictures are shown with it: some 200 kB.
CALL: dict[str, Any] = {
    "name": "run_model",
    "arguments": {"endpoint_id": ENDPOINT, "arguments": {"prompt": "a bicycle", "num_images": 4}},
}
_NO_ROOM = 4096
_LONGER_THAN_ON_ITS_WAY = 1.0
"""Seconds; an answer counts as being on its way for less."""
Headers = dict[str, str]


async def modern(host: Host) -> tuple[Headers, Any]:
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    named = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": CALL["name"]}
    return named, {**CALL, "_meta": meta}


async def legacy(host: Host) -> tuple[Headers, Any]:
    about: dict[str, Any] = {"clientInfo": {"name": "t", "version": "1"}, "capabilities": {}}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25", **about}}
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(timeout=BOUND) as client:
        answer = await client.post(host.url, json=hello, headers=accept)
        named = {"mcp-session-id": answer.headers["mcp-session-id"]}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await client.post(host.url, json=ready, headers={**accept, **named})
    return named, CALL


Era = Callable[[Host], Awaitable[tuple[Headers, Any]]]
eras = pytest.mark.parametrize("era", [modern, legacy])


class Line:
    """A connection of a client that takes no more than it reads."""

    def __init__(self, host: Host, named: Headers, params: Any) -> None:
        at = urlsplit(host.url)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        headers = {
            "host": at.netloc,
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **named,
        }
        self._socket = socket.socket()
        self._socket.settimeout(BOUND)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NO_ROOM)
        self._socket.connect((at.hostname, at.port))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"POST {at.path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read(self, until: str) -> str:
        """Read until something was read, and no more than that."""
        text = ""
        while not re.search(until, text):
            chunk = await anyio.to_thread.run_sync(self._socket.recv, 1024)
            assert chunk, text
            text += chunk.decode()
        return text

    def reset(self) -> None:
        """Close it as a process does that is killed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


@eras
@pytest.mark.parametrize("stalls_for", [0.0, _LONGER_THAN_ON_ITS_WAY])
async def test_an_answer_that_was_read_in_part_is_owed_to_the_call_again(
    fal: Emulator, settings: Settings, tmp_path: Path, era: Era, stalls_for: float
):
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            line = Line(host, *await era(host))
            await line.read(r'"job_id|job_id job_')
            await anyio.sleep(stalls_for)
            line.reset()
            again = Line(host, *await era(host))
            text = await again.read(r'"isError":false|"is_error":false|"status":"completed"')
            again.reset()
    assert len(fal.jobs) == 1, text[:300]


@eras
async def test_an_answer_that_was_read_is_not_owed_however_its_connection_ends(
    fal: Emulator, settings: Settings, tmp_path: Path, era: Era
):
    """The end of the stream behind the answer need not be read: clients close as soon as they have what they want."""
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            for _ in range(2):
                line = Line(host, *await era(host))
                await line.read(r'"status":"completed"[^\n]*\}')
                line.reset()
    assert len(fal.jobs) == 2
