"""How long a server takes from its launch to its first answers, against a bare SDK server with one tool.

`run` is the first start there ever is, `later` each one after it: idle, and with two busy loops beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROUNDS = 15
MOST = 1.25
MOST_TO_THE_FIRST_ANSWER, MOST_TO_THE_LIST = 0.35, 0.5
_BUSY = 2
Figure = tuple[str, float, float, str]

HELLO: dict[str, object] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}},
}
_ENVELOPE: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
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
    """Megabytes of resident memory once the server has listed its tools, as none that an earlier start left."""
    with ExitStack() as ends:
        home = ends.enter_context(tempfile.TemporaryDirectory())
        more = environment({"XDG_CACHE_HOME": home, "FAL_MCP_DATA_DIR": home})
        process = ends.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=more))
        assert process.stdin and process.stdout
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        for message in (HELLO, initialized, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while b'"id":2' not in process.stdout.readline().replace(b" ", b""):
            continue
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        process.stdin.close()
        process.wait(10)
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def later() -> list[Figure]:
    """Each start but the first, of the default list: the ratios to the bare server's, idle and beside busy loops."""
    with tempfile.TemporaryDirectory() as home:
        more = {"XDG_CACHE_HOME": home, "FAL_MCP_DATA_DIR": home, "FAL_MCP_REFRESH_HOURS": "0"}
        own = [sys.executable, "-m", "fal_mcp"]
        _leave_answers(own, more, Path(home))
        idle = [(answers(bare(), more), answers(own, more)) for _ in range(ROUNDS)]
        with busy(_BUSY):
            beside = [(answers(bare(), more), answers(own, more)) for _ in range(ROUNDS)]
    return [*_ratios("idle", idle), *_ratios(f"beside {_BUSY} busy loops", beside)]


def _ratios(state: str, pairs: list[tuple[list[float], list[float]]]) -> list[Figure]:
    parts = ("discover", MOST_TO_THE_FIRST_ANSWER), ("initialize", MOST_TO_THE_FIRST_ANSWER), ("list", MOST_TO_THE_LIST)
    figures: list[Figure] = []
    for number, (what, most) in enumerate(parts):
        floor, own = (statistics.median(each[side][number] for each in pairs) for side in (0, 1))
        line = f"start to {what}, {state}: {own * 1000:.0f} ms, bare SDK server {floor * 1000:.0f} ms"
        figures.append((line, own / floor, most, "times"))
    return figures


def answers(command: Sequence[str], more: Mapping[str, str]) -> list[float]:
    """Seconds from a launch to the answers of `server/discover`, of `initialize`, and of `tools/list` after it."""
    discover = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": _ENVELOPE}}
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lists = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    return [*times(command, [[discover]], more), *times(command, [[HELLO], [initialized, lists]], more)]


def times(command: Sequence[str], questions: Sequence[Sequence[object]], more: Mapping[str, str]) -> list[float]:
    """Seconds from one launch to the answer of each question, each asked when the one before is answered."""
    found: list[float] = []
    started = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(more)) as process:
        assert process.stdin and process.stdout
        for messages in questions:
            process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
            process.stdin.flush()
            answer = process.stdout.readline()
            assert b'"result"' in answer, answer
            found.append(time.perf_counter() - started)
        process.stdin.close()
        process.wait(10)
    return found


def _leave_answers(command: Sequence[str], more: Mapping[str, str], home: Path) -> None:
    """Start it once, until it has written down what hosts ask first."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(more)) as process:
        while not list(home.rglob("*.answers")):
            time.sleep(0.05)
        assert process.stdin
        process.stdin.close()
        process.wait(10)


@contextmanager
def busy(count: int) -> Generator[None]:
    """So many processes that do nothing but take time."""
    with ExitStack() as loops:
        for _ in range(count):
            process = loops.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            loops.callback(process.kill)
        yield


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The variables of here and some more, as an installed program has them."""
    # Compiled modules are what an installed server has; a variable that forbids them would time the compiler.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | dict(more)


def once(command: Sequence[str], more: Mapping[str, str] | None = None) -> float:
    """Seconds from the launch to the answer of `initialize`, where no earlier start left it."""
    with tempfile.TemporaryDirectory() as home:
        return times(command, [[HELLO]], {"XDG_CACHE_HOME": home, **(more or {})})[0]
