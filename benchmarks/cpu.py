"""What a call costs a server of its CPU, over HTTP: each server and fal's stand-in a process of its own, side by side.

A bare server of the SDK's with one tool that echoes is the measure. The servers are called in turns, call by call: a
processor that comes to a program afresh takes up to three times as long for the same, and one server that is called
without a break beside another that waits for pictures would be no measure for it. The first calls are left out: they
import. Linux.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx

Figure = tuple[str, float, float, str]
CALLS, FIRST = 200, 20
MOST_WITH_PREVIEWS, MOST_WITHOUT = 10.0, 8.0
_WHOLE_PROCESS = 2
"""How Linux numbers the clock of what a process has used of all processors."""

_BARE = """
import sys
import uvicorn
from mcp.server.lowlevel.server import Server
from fal_mcp.machine.loopback import listener, port_of

async def list_tools(ctx, params):
    return {"resultType": "complete", "tools": []}

async def call_tool(ctx, params):
    return {"resultType": "complete", "content": [{"type": "text", "text": params.arguments["prompt"]}]}

server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda name: {})
with listener(0) as listening:
    print(f"http://127.0.0.1:{port_of(listening)}/mcp", flush=True)
    app = server.streamable_http_app(host="127.0.0.1")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])
"""


async def of_a_call() -> list[Figure]:
    """A typed call with previews and without, as multiples of the bare server's echo."""
    with tempfile.TemporaryDirectory() as home:
        async with AsyncExitStack() as stack:
            fal = await stack.enter_async_context(_started([*_SELF, "emulate"]))
            urls = {"echo": await stack.enter_async_context(_started([sys.executable, "-c", _BARE]))}
            for name, options in (("with previews", ()), ("without", ("--no-previews",))):
                data = str(Path(home, name.replace(" ", "-")))
                command = [*_SELF, "serve", "--http", "0", "--fal-url", fal[0], "--data-dir", data, *options]
                urls[name] = await stack.enter_async_context(_started(command))
            before: dict[str, float] = {}
            async with httpx.AsyncClient(timeout=60) as client:
                for number in range(FIRST + CALLS):
                    if number == FIRST:
                        before = {name: _seconds(process.pid) for name, (_, process) in urls.items()}
                    for url, _ in urls.values():
                        await _call(client, url, f"a red bicycle, {number}")
            # To the end, and not each call by itself: what a server does after its answer counts too.
            used = {name: (_seconds(process.pid) - before[name]) * 1000 / CALLS for name, (_, process) in urls.items()}
    echo, shown, plain = (used[name] for name in ("echo", "with previews", "without"))
    beside = f"a bare SDK server's echo {echo:.2f} ms"
    return [
        (f"CPU of a typed call with previews {shown:.2f} ms, {beside}", shown / echo, MOST_WITH_PREVIEWS, "times"),
        (f"CPU of a typed call without {plain:.2f} ms, {beside}", plain / echo, MOST_WITHOUT, "times"),
    ]


_SELF = [sys.executable, "-m", "fal_mcp"]


@asynccontextmanager
async def _started(command: list[str]) -> AsyncGenerator[tuple[str, anyio.abc.Process]]:
    """A program that says its address, and the process."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "FAL_KEY": "emulator:emulator", "FAL_MCP_REFRESH_HOURS": "0"}
    async with await anyio.open_process(command, env=environment, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        text = b""
        while not (match := re.search(rb"http://[\w./:]+(?=\s)", text)):
            text += await process.stdout.receive()
        try:
            yield match[0].decode(), process
        finally:
            process.terminate()


async def _call(client: httpx.AsyncClient, url: str, prompt: str) -> None:
    about: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    # The kind that fal makes of it where none is named, and the stand-in does not.
    arguments = {"prompt": prompt, "output_format": "jpeg"}
    params = {"name": "fal-ai_flux_dev", "arguments": arguments, "_meta": about}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "fal-ai_flux_dev",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await client.post(url, json=body, headers=headers)
    text = answer.text.rpartition("data: ")[2] if "event-stream" in answer.headers["content-type"] else answer.text
    result = json.loads(text)["result"]
    assert not result.get("isError"), result


def _seconds(pid: int) -> float:
    """The CPU that a process has used, to the nanosecond; the ticks of `/proc` are longer than a call takes."""
    return time.clock_gettime(~pid << 3 | _WHOLE_PROCESS)


if __name__ == "__main__":
    for what, figure, most, unit in anyio.run(of_a_call):
        sys.stdout.write(f"{what}: {figure:.2f} {unit} (at most {most:g})\n")
