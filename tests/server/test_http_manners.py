"""Over HTTP: a cancelled call is not answered, only this machine is served, and a session that nobody uses ends."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.server import app, http
from fal_mcp.server.web.limits import ON_THIS_MACHINE
from tests.server.stdio_host import INITIALIZED, call, initialize, request

BOUND = 40
ENDPOINT, TOOL = "fal-ai/flux/dev", "fal-ai_flux_dev"
ACCEPT = {"accept": "application/json, text/event-stream"}


@asynccontextmanager
async def served(settings: Settings, idle_seconds: float = 60.0) -> AsyncGenerator[tuple[httpx.AsyncClient, str]]:
    """A plain HTTP client, and the URL it may post to."""
    urls: list[str] = []
    known = anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        known.set()

    async with anyio.create_task_group() as tasks, httpx.AsyncClient(headers=ACCEPT, timeout=BOUND) as client:
        tasks.start_soon(
            http.serve_app, app.build(settings), 0, ready, replace(ON_THIS_MACHINE, session_idle_seconds=idle_seconds)
        )
        await known.wait()
        yield client, urls[0]
        tasks.cancel_scope.cancel()


async def session(client: httpx.AsyncClient, url: str) -> dict[str, str]:
    hello = await client.post(url, json=initialize())
    named = {"mcp-session-id": hello.headers["mcp-session-id"]}
    await client.post(url, json=INITIALIZED, headers=named)
    return named


async def test_no_answer_follows_a_cancel(settings: Settings, fal: Emulator):
    """Revision 2025-11-25, cancellation: whoever was cancelled should not answer."""
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    events: list[Any] = []
    with anyio.fail_after(BOUND):
        async with served(settings) as (client, url):
            named = await session(client, url)

            async def run() -> None:
                async with client.stream("POST", url, json=call(4, TOOL, {"prompt": "x"}), headers=named) as stream:
                    lines = [
                        line async for line in stream.aiter_lines() if line.startswith("data:") and line[5:].strip()
                    ]
                events.extend(json.loads(line[5:]) for line in lines)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await fal.until(lambda: any(each.path.endswith("/stream") for each in fal.calls))
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}}
                await client.post(url, json=cancel, headers=named)
            again = await client.post(url, json=call(5, "search_models", {"query": "speech"}), headers=named)
    assert [event for event in events if "id" in event] == [] and '"id":5' in again.text


OTHERS = {
    "host": [
        *("evil.example", "127.0.0.1:80@evil.example", "localhost:evil.example", "localhost:80.evil.example"),
        *("127.0.0.1.evil.example", "localhost:", "localhost:123456", "[::1", "127.0.0.1:80#x", "0.0.0.0:80"),
    ],
    "origin": [
        *("https://evil.example", "http://localhost:3000.evil.example", "http://127.0.0.1:80@evil.example"),
        *("null", "http://localhost:", "file://", "http://localhost.evil.example:80", "http://evil.localhost:80"),
    ],
}


@pytest.mark.parametrize("header", OTHERS)
async def test_only_this_machine_is_served(settings: Settings, header: str):
    with anyio.fail_after(BOUND):
        async with served(settings) as (client, url):
            for value in OTHERS[header]:
                answer = await client.post(url, json=initialize(), headers={header: value})
                assert (value, answer.status_code) == (value, 421 if header == "host" else 403)
            for value in ("http://localhost:3000", "http://127.0.0.1:1"):
                assert (await client.post(url, json=initialize(), headers={"origin": value})).status_code == 200


async def test_a_session_that_nobody_uses_ends(settings: Settings):
    with anyio.fail_after(BOUND):
        async with served(settings, idle_seconds=0.2) as (client, url):
            named = await session(client, url)
            # Time is what it is about.
            await anyio.sleep(1)
            answer = await client.post(url, json=request(2, "ping"), headers=named)
    assert answer.status_code == 404


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b'"x"', b'{"jsonrpc":"2.0","id":1,"method":"x\\ud83d"}'])
async def test_a_body_that_cannot_be_read_is_refused(settings: Settings, body: bytes):
    with anyio.fail_after(BOUND):
        async with served(settings) as (client, url):
            answer = await client.post(url, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.json()["error"]["code"] in (-32700, -32600, -32602)
