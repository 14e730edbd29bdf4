"""A framework gives up a call while it waits for a run: the job is where it should be, and nothing is paid twice.

A run that fal has begun is paid for either way, so it goes on and the next call gets it; one that waits in fal's queue
is cancelled there, and the next call begins another.
"""

import json
import sqlite3
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from anyio.streams.text import TextReceiveStream

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.hosts import test_frameworks as frameworks
from tests.hosts.examined import HELD
from tests.hosts.model import Step
from tests.hosts.ways import Server, launched
from tests.server.stdio_host import Start

BOUND = 300
AGAIN = Step("run_model", {"endpoint_id": HELD, "arguments": {"prompt": "a wave"}})
SCRIPTS = {"running": Script(hold_running=True), "in the queue": Script(hold_in_queue=True)}
IN_LEDGER = {"running": "running", "in the queue": "queued"}
CANCELLERS = {
    "openai-agents": ("openai-agents", "openai_agents_cancels.py"),
    "TypeScript SDK": ("node", "typescript_sdk_aborts.mjs"),
}


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Start:
    return Start(settings, tmp_path, "--wait", "50")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the server heard, line by line."""
    return tmp_path / "heard"


def overheard(start: Start, log: Path) -> Server:
    server = launched(start)
    listener = str(Path(__file__).parent / "heard.py")
    return replace(server, arguments=[listener, str(log), server.command, *server.arguments])


def heard(log: Path) -> list[str]:
    """Methods and signals, in order."""
    lines = log.read_text("utf-8").splitlines()
    return [json.loads(line).get("method", "an answer") if line.startswith("{") else line for line in lines]


async def seen_by_the_server(start: Start, state: str) -> None:
    """Wait until the server has written down that its only job is in this state."""

    def states() -> list[str]:
        (file,) = (start.home / "data").glob("ledger-*.sqlite3")
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ledger:
            return [row[0] for row in ledger.execute("SELECT state FROM job")]

    while await anyio.to_thread.run_sync(states) != [state]:
        await checkpoint()


async def begun(fal: Emulator, start: Start, state: str) -> None:
    """Wait until the call is under way, at fal and in the ledger."""
    await fal.until(lambda: bool(fal.jobs))
    await seen_by_the_server(start, IN_LEDGER[state])


def paid(fal: Emulator) -> int:
    """How many runs fal bills."""
    return sum(bool(charge.amount) for charge in fal.bill)


def submits(fal: Emulator) -> int:
    return sum(call.method == "POST" and call.host_role == "queue" for call in fal.calls)


def cancels(fal: Emulator) -> int:
    return sum(call.path.endswith("/cancel") for call in fal.calls)


@asynccontextmanager
async def talking(command: list[str], environment: dict[str, str], here: Path) -> AsyncGenerator[Any]:
    """A program, a way to send it a line, and a way to wait for one that it says."""
    async with await anyio.open_process(command, env=environment, cwd=here, stderr=subprocess.DEVNULL) as process:
        assert process.stdin and process.stdout
        output = TextReceiveStream(process.stdout, errors="replace")
        said = ""

        async def say(line: str) -> None:
            assert process.stdin
            await process.stdin.send(line.encode() + b"\n")

        async def until(part: str) -> str:
            nonlocal said
            while part not in said:
                said += await output.receive()
            before, _, said = said.partition(part)
            return before

        yield say, until
        await process.stdin.aclose()
        async for _ in output:
            continue


async def lets_go(fal: Emulator, start: Start, state: str) -> None:
    """After the cancel: what waits in the queue is cancelled at fal; what runs comes to its end there."""
    if state == "in the queue":
        await seen_by_the_server(start, "cancelled")
    fal.script(HELD, Script())
    for job in fal.jobs.values():
        job.release()


def check_paid_once(fal: Emulator, state: str, log: Path, last: str) -> None:
    assert "notifications/cancelled" in heard(log), heard(log)
    expected = (1, 0, 1) if state == "running" else (2, 1, 1)
    assert (submits(fal), cancels(fal), paid(fal)) == expected, heard(log)
    assert "/files/" in last, last


@pytest.mark.parametrize("state", SCRIPTS)
@pytest.mark.parametrize("framework", CANCELLERS)
async def test_a_cancelled_call_is_found_by_the_next_one(
    framework: str, state: str, prepared: Path, fal: Emulator, start: Start, log: Path
):
    folder, program = CANCELLERS[framework]
    frameworks.need(folder, prepared)
    fal.script(HELD, SCRIPTS[state])
    command = frameworks.command(folder, program, prepared, overheard(start, log), [AGAIN, AGAIN])
    with anyio.fail_after(BOUND):
        await start.warm()
        async with talking(command, frameworks.surroundings(start), start.home) as (say, until):
            await begun(fal, start, state)
            await say("cancel")
            await until('@@{"handed"')
            await lets_go(fal, start, state)
            await say("go on")
            await until('@@{"handed"')
            last = await until("\n")
    check_paid_once(fal, state, log, last)
