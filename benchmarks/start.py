"""How long a server takes from its launch to the answer of `initialize`, against a bare SDK server with one tool."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROUNDS = 15
MOST = 1.25

_HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}},
}
_BARE = """
import anyio
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

async def list_tools(ctx, params):
    return {"resultType": "complete", "tools": [{"name": "one", "inputSchema": {"type": "object"}}]}

async def main():
    server = Server("bare", on_list_tools=list_tools)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""


def run(models: Path) -> tuple[str, float]:
    """The figures in one line, and the ratio."""
    once(bare()), once(ours(models))
    pairs = [(once(bare()), once(ours(models))) for _ in range(ROUNDS)]
    floor, own = (statistics.median(column) for column in zip(*pairs, strict=True))
    count = len(list(models.glob("*.json")))
    line = f"start to initialised: {own * 1000:.0f} ms with {count} documents, bare SDK server {floor * 1000:.0f} ms"
    return line, own / floor


def bare() -> list[str]:
    """A server of the SDK's with one tool."""
    return [sys.executable, "-c", _BARE]


def ours(models: Path, listed: str = "all") -> list[str]:
    """This server over a folder of models."""
    return [sys.executable, "-m", "fal_mcp", "--list", listed, "--models", str(models)]


def resident(command: Sequence[str]) -> float:
    """Megabytes of resident memory once the server has listed its tools."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        for message in (_HELLO, initialized, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while b'"id":2' not in process.stdout.readline().replace(b" ", b""):
            continue
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        process.stdin.close()
        process.wait(10)
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def once(command: Sequence[str], more: Mapping[str, str] | None = None) -> float:
    """Seconds from the launch to the answer of `initialize`."""
    # Compiled modules are what an installed server has; a variable that forbids them would time the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= more or {}
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(_HELLO).encode() + b"\n")
        process.stdin.flush()
        assert b'"result"' in process.stdout.readline()
        seconds = time.perf_counter() - started
        process.stdin.close()
        process.wait(10)
    return seconds
