"""`python -m benchmarks.beside [--write]`: this server beside others, as one table; `--write` puts it on its page.

Every server is started as a host starts it, and every one reaches the same local fal the same way: by fal's own host
names, through a proxy. fal's own client is in the table for what a client can be asked.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import fal_client
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from benchmarks import start
from benchmarks.call import KEY, ToEmulator
from benchmarks.peers import MODEL, Peer, everyone
from fal_mcp import bundled
from fal_mcp.emulator import Emulator, Script, serve
from tests.proxy import certificates, proxy

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
STARTS, CALLS, AT_ONCE = 5, 15, 10
STEPS, SECONDS = 10, 3.0
MOST_SECONDS_TO_CANCEL = 5.0
_BOUND = 60
COLUMNS = (
    "start",
    "list",
    "list answered in",
    "memory",
    "a call of no work",
    "progress",
    "requests",
    "cancel",
    "at once",
)
HEAD = f"""\
# Benchmarks

Made by `python -m benchmarks.beside --write`. Each server runs over standard input and output, in an environment of its
own, against the same local fal, reached by fal's own host names; medians. `python -m benchmarks` has what this project
holds itself to, each figure with its bound.

* **start**: from the launch to the answer of `initialize`, the program's files being warm.
* **list**: bytes of `tools/list`, every page, and how many tools; and the time it takes, right after the start.
* **memory**: resident, after the list.
* **a call of no work**: a call of a model that is done at once: all that the server and its client add.
* **progress**: notifications, and **requests**: HTTP requests to fal, in one job of {SECONDS:g} s with {STEPS} steps.
* **cancel**: from the host's cancel to fal's of a job that waits in the queue; "never" is not within \
{MOST_SECONDS_TO_CANCEL:g} s.
* **at once**: {AT_ONCE} calls of a job of 1 s at the same time.
"""

Row = dict[str, str]


async def measured() -> tuple[dict[str, Row], list[str]]:
    """The rows by title, and what is to be known of some of them."""
    peers, notes = everyone()
    rows: dict[str, Row] = await _starts(peers)
    with tempfile.TemporaryDirectory() as scratch:
        for number, peer in enumerate(peers):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            sys.stderr.write(f"{peer.title}\n")
            try:
                with anyio.fail_after(4 * _BOUND):
                    await _measure(peer, folder, rows[peer.title])
            except Exception as error:
                notes.append(f"{peer.title}: what is not in its row could not be measured: {_words(error)}")
            notes += [f"{peer.title}: {peer.about}."] if peer.about else []
    title = f"fal-client {fal_client.__version__ if hasattr(fal_client, '__version__') else ''}".strip()
    rows[title] = await _fals_own()
    notes.append(f"{title}: a library and no server, called in the measuring process.")
    return rows, notes


async def _measure(peer: Peer, folder: Path, row: Row) -> None:
    async with _as_fal(folder) as (fal, handed_on):
        variables = {**handed_on, **peer.environment}
        await anyio.to_thread.run_sync(_list, peer, variables, row)
        parameters = StdioServerParameters(command=peer.command[0], args=peer.command[1:], env=variables, cwd=folder)
        async with Client(parameters, mode="legacy") as client:
            await _calls(peer, client, fal, row)


async def _calls(peer: Peer, client: Client, fal: Emulator, row: Row) -> None:
    number = iter(range(1000))

    async def call(hear: Any = None) -> Any:
        with anyio.fail_after(_BOUND):
            return await _called(client, peer, next(number), hear)

    await call()
    times = [await _timed(call) for _ in range(CALLS)]
    row["a call of no work"] = f"{statistics.median(times) * 1000:.0f} ms"
    if not peer.has_fal:
        return
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    fal.script(None, Script(steps=STEPS, step_seconds=SECONDS / STEPS))
    fal.calls.clear()
    await call(hear)
    row["progress"] = str(len(heard))
    row["requests"] = str(_requests(fal)) + ("" if peer.waits else " and more")
    fal.script(None, Script(steps=4, step_seconds=0.25))
    row["at once"] = f"{await _at_once(call):.1f} s" if peer.waits else "does not wait"
    row["cancel"] = await _cancelled(fal, call) if peer.waits else "a tool"


async def _called(client: Client, peer: Peer, number: int, hear: Any) -> Any:
    result = await client.call_tool(peer.tool, peer.arguments_of(number), progress_callback=hear)
    text = json.dumps([block.model_dump(mode="json") for block in result.content])
    if result.is_error or (peer.has_fal and not any(word in text for word in ("http", "saved at", "request_id"))):
        raise AssertionError(text[:300])
    return result


async def _at_once(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(call)
    return time.perf_counter() - began


async def _cancelled(fal: Emulator, call: Callable[[], Awaitable[Any]]) -> str:
    fal.script(None, Script(hold_in_queue=True))
    fal.calls.clear()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await fal.until(lambda: any("flux" in each.path for each in fal.calls))
            await anyio.sleep(0.3)
            began = time.perf_counter()
            scope.cancel()
    with anyio.move_on_after(MOST_SECONDS_TO_CANCEL):
        await fal.until(lambda: any(each.path.endswith("/cancel") for each in fal.calls))
        return f"{(time.perf_counter() - began) * 1000:.0f} ms"
    return "never"


async def _starts(peers: list[Peer]) -> dict[str, Row]:
    """Every server once in each round, so that what else the machine does befalls them alike; the first is to warm."""
    times: dict[str, list[float]] = {peer.title: [] for peer in peers}
    with tempfile.TemporaryDirectory() as scratch:
        async with _as_fal(Path(scratch)) as (_, variables):
            for _ in range(STARTS + 1):
                for peer in peers:
                    began = start.times, peer.command, [[start.HELLO]], {**variables, **peer.environment}
                    times[peer.title] += await anyio.to_thread.run_sync(*began)
    return {title: {"start": f"{statistics.median(each[1:]) * 1000:.0f} ms"} for title, each in times.items()}


def _list(peer: Peer, variables: Mapping[str, str], row: Row) -> None:
    with subprocess.Popen(
        peer.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=start.environment(variables)
    ) as process:
        assert process.stdin and process.stdout
        _ask(process, start.HELLO)
        _ask(process, {"jsonrpc": "2.0", "method": "notifications/initialized"}, has_answer=False)
        size, count, cursor, began = 0, 0, None, time.perf_counter()
        while count == 0 or cursor:
            more = {"params": {"cursor": cursor}} if cursor else {}
            line = _ask(process, {"jsonrpc": "2.0", "id": 2, "method": "tools/list", **more})
            answer = json.loads(line)["result"]
            size, count, cursor = size + len(line), count + len(answer["tools"]), answer.get("nextCursor")
        row["list answered in"] = f"{(time.perf_counter() - began) * 1000:.0f} ms"
        row["list"] = f"{size / 1000:.1f} kB, {count}"
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        row["memory"] = f"{int(status.split('VmRSS:')[1].split()[0]) / 1024:.0f} MB"
        process.kill()


def _ask(process: "subprocess.Popen[bytes]", message: object, has_answer: bool = True) -> bytes:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()
    while has_answer:
        line = process.stdout.readline()
        assert line, "it ended"
        if b'"result"' in line:
            return line
    return b""


async def _fals_own() -> Row:
    fal = _emulator()
    async with serve(fal) as url:
        client = fal_client.AsyncClient(key=KEY)
        own = await client._client  # pyright: ignore[reportPrivateUsage] - the one seam it has
        own._transport, own._mounts = ToEmulator(url), {}  # pyright: ignore[reportPrivateUsage]

        async def call(**more: Any) -> Any:
            return await client.subscribe(MODEL, {"prompt": "x"}, **more)

        await call()
        row = {"a call of no work": f"{statistics.median([await _timed(call) for _ in range(CALLS)]) * 1000:.0f} ms"}
        fal.script(None, Script(steps=STEPS, step_seconds=SECONDS / STEPS))
        fal.calls.clear()
        updates: list[object] = []
        await call(with_logs=True, on_queue_update=updates.append)
        row |= {"progress": str(len(updates)), "requests": str(_requests(fal))}
        fal.script(None, Script(steps=4, step_seconds=0.25))
        return {**row, "at once": f"{await _at_once(call):.1f} s"}


@asynccontextmanager
async def _as_fal(folder: Path) -> AsyncGenerator[tuple[Emulator, dict[str, str]]]:
    """A local fal, and the variables with which its names are fal's."""
    fal = _emulator()
    ca, cert, key = certificates(folder)
    async with (
        serve(fal, ssl_certfile=str(cert), ssl_keyfile=str(key)) as url,
        proxy(urlsplit(url).port or 0) as through,
    ):
        trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(ca))
        yield (
            fal,
            {
                **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
                **trusted,
                **{"HTTPS_PROXY": through, "NODE_USE_ENV_PROXY": "1", "NO_PROXY": "", "FAL_KEY": KEY},
                **{"HOME": str(folder), "SAVE_MEDIA_DIR": str(folder), "FAL_MCP_REFRESH_HOURS": "0"},
            },
        )


def _emulator() -> Emulator:
    return Emulator(models_dirs=[bundled.schemas() / "models"], keys={KEY})


def _requests(fal: Emulator) -> int:
    """Requests about the job: catalogs and files are not among them."""
    return sum("flux" in each.path and "models" not in each.path for each in fal.calls)


async def _timed(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__} {str(error)[:200]}".strip()


def page(rows: Mapping[str, Row], notes: list[str]) -> str:
    """The page, with the date and the machine."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    when = f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, {os.cpu_count()} cores of {cpu}, Python "
    lines = [HEAD, f"Measured on {when}{platform.python_version()}, load {os.getloadavg()[0]:.1f}.\n"]
    lines += [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {title} | {' | '.join(row.get(name, '-') for name in COLUMNS)} |" for title, row in rows.items()]
    return "\n".join([*lines, "", *(f"* {note}" for note in notes)]) + "\n"


def main() -> int:
    """Print the table; with `--write` put it on the page as well."""
    text = page(*anyio.run(measured))
    sys.stdout.write(text)
    if "--write" in sys.argv:
        PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
