"""What a call costs a server of its CPU, over HTTP: each server and fal's stand-in a process of its own, side by side.

A bare server of the SDK's with one tool that echoes is the measure. The first calls are left out: they import.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx

Figure = tuple[str, float, float, str]
CALLS, ROUNDS = 60, 3
MOST_WITH_PREVIEWS, MOST_WITHOUT = 10.0, 8.0
_TICKS = os.sysconf("SC_CLK_TCK")

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
            used: dict[str, list[float]] = {name: [] for name in urls}
            async with httpx.AsyncClient(timeout=60) as client:
                # In turns, so that what else the machine does meets all of them.
                for number in range(ROUNDS + 1):
                    for name, (url, process) in urls.items():
                        cost = await _cost(client, url, process, number)
                        if number:
                            used[name].append(cost)
    echo, shown, plain = (statistics.median(used[name]) for name in ("echo", "with previews", "without"))
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


async def _cost(client: httpx.AsyncClient, url: str, process: anyio.abc.Process, number: int) -> float:
    """Milliseconds of CPU a call, of all calls of a round."""
    before = _seconds(process.pid)
    for each in range(CALLS):
        await _call(client, url, f"a red bicycle, {number}.{each}")
    return (_seconds(process.pid) - before) * 1000 / CALLS


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
    """The CPU that a process has used. Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    for what, figure, most, unit in anyio.run(of_a_call):
        sys.stdout.write(f"{what}: {figure:.2f} {unit} (at most {most:g})\n")
