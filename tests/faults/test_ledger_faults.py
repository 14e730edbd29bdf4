"""The ledger in trouble, with real processes, files and locks: nothing is renamed, submitted or lost, and one sentence
says what it is. Only what SQLite calls damaged is set aside."""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.server.test_kill import ARGUMENTS, ENDPOINT, TOOL, Server, server

BOUND = 90
NEWER = 99


def ledger_of(settings: Settings, folder: Path) -> Path:
    file = replace(settings, data=folder).ledger_file
    assert file is not None
    return file


async def called(one: Server, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return await one.answer(await one.send("tools/call", {"name": name, "arguments": arguments}))


def text_of(result: dict[str, Any]) -> str:
    return "\n".join(block.get("text", "") for block in result["content"])


@asynccontextmanager
async def limited(settings: Settings, data: Path, blocks: int) -> AsyncGenerator[Server]:
    """A server process that can write no file larger than so many blocks of 512 bytes."""
    root = settings.hosts.queue.removesuffix("/queue")
    command = (
        f'ulimit -f {blocks}; exec "{sys.executable}" -m fal_mcp --fal-url {root} --refresh-hours 0 --data-dir "$0"'
    )
    environment = {**os.environ, "FAL_KEY": settings.key or ""}
    async with await anyio.open_process(["sh", "-c", command, str(data)], env=environment, stderr=None) as process:
        one = Server(process)
        try:
            await one.hello()
            yield one
        finally:
            if process.returncode is None:
                one.kill()


@contextmanager
def locked(file: Path) -> Generator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


@contextmanager
def newer(file: Path) -> Generator[None]:
    with closing(sqlite3.connect(file)) as database, database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {NEWER}")
    yield
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"PRAGMA user_version = {version}")


@contextmanager
def a_folder(file: Path) -> Generator[None]:
    aside = file.parent / "elsewhere"
    aside.mkdir()
    ledger = [one for one in file.parent.iterdir() if one.name.startswith(file.name) and one.is_file()]
    for one in ledger:
        one.rename(aside / one.name)
    file.mkdir()
    yield
    file.rmdir()
    for one in ledger:
        (aside / one.name).rename(one)
    aside.rmdir()


TROUBLES: dict[str, Callable[[Path], Any]] = {
    "locked by another program": locked,
    "of a newer version": newer,
    "a folder": a_folder,
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_a_ledger_that_cannot_be_used_is_said_and_stays_as_it_is(
    fal: Emulator, settings: Settings, tmp_path: Path, name: str
):
    data = tmp_path / "data"
    file = ledger_of(settings, data)
    with anyio.fail_after(BOUND):
        async with server(settings, data) as before:
            assert (await called(before, TOOL, ARGUMENTS))["structuredContent"]["status"] == "completed"
        with TROUBLES[name](file):
            there = sorted(one.name for one in file.parent.parent.rglob("*"))
            async with server(settings, data) as during:
                refused = await called(during, TOOL, {**ARGUMENTS, "seed": 8})
                listed = await called(during, "list_jobs", {})
                found = await called(during, "search_models", {"query": "a picture"})
            after = sorted(one.name for one in file.parent.parent.rglob("*"))
        async with server(settings, data) as healed:
            again = await called(healed, TOOL, {**ARGUMENTS, "seed": 8})
            rows = (await called(healed, "list_jobs", {}))["structuredContent"]["jobs"]
    assert refused["isError"] and "ledger" in text_of(refused) and "Nothing was sent" in text_of(refused)
    # What is only locked can still be read.
    for result in (refused, listed):
        assert not result.get("isError") or "failed inside" not in text_of(result)
    assert not found.get("isError")
    assert not [one for one in {*there, *after} if "damaged" in one]
    assert again["structuredContent"]["status"] == "completed" and len(rows) == len(fal.jobs) == 2


async def test_a_full_disk_refuses_and_loses_nothing(fal: Emulator, settings: Settings, tmp_path: Path):
    """The shell lets its processes write no larger files than this, as a full disk would."""
    data = tmp_path / "data"
    with anyio.fail_after(BOUND):
        async with server(settings, data) as before:
            assert (await called(before, TOOL, ARGUMENTS))["structuredContent"]["status"] == "completed"
        blocks = max(one.stat().st_size for one in data.rglob("*") if one.is_file()) // 512
        async with limited(settings, data, blocks) as full:
            answers = [await called(full, TOOL, {**ARGUMENTS, "seed": seed}) for seed in range(8, 14)]
            found = await called(full, "search_models", {"query": "a picture"})
        async with server(settings, data) as healed:
            rows = (await called(healed, "list_jobs", {}))["structuredContent"]["jobs"]
    refused = [one for one in answers if one.get("isError")]
    assert refused and not found.get("isError")
    assert all("ledger" in text_of(one) and "failed inside" not in text_of(one) for one in refused)
    done = [one for one in answers if not one.get("isError")]
    assert len(fal.jobs) == len(rows) == 1 + len(done)
    assert not [one for one in data.rglob("*") if "damaged" in one.name]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no database": lambda content: b"This is no database at all. " * 400,
    "noise after the first page": lambda content: content[:4096] + bytes(range(256)) * (len(content) // 256 - 16),
    "a torn head": lambda content: b"SQLite format 3\0" + b"\xff" * 84 + content[100:],
}


def damage(file: Path, change: Callable[[bytes], bytes]) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(change(file.read_bytes()))
    for ending in ("-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_ledger_is_set_aside_and_budgets_stay_closed(
    fal: Emulator, settings: Settings, tmp_path: Path, name: str
):
    """What was spent today cannot be read any more, so nothing is spent until a person says go."""
    data = tmp_path / "data"
    file = ledger_of(settings, data)
    with anyio.fail_after(BOUND):
        async with server(settings, data) as before:
            await called(before, TOOL, ARGUMENTS)
        damage(file, DAMAGES[name])
        async with server(settings, data, "--daily-budget", "1") as after:
            refused = await called(after, TOOL, {**ARGUMENTS, "seed": 8})
    assert refused["isError"] and "failed inside" not in text_of(refused) and len(fal.jobs) == 1
    assert [one for one in file.parent.iterdir() if "damaged" in one.name]


async def test_servers_that_start_at_once_on_an_old_ledger_share_it(fal: Emulator, settings: Settings, tmp_path: Path):
    """A ledger of the first version with money in it, and four servers that bring it to today's version together."""
    old = tmp_path / "old"
    file = ledger_of(settings, old)
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript(FIRST)
        database.execute(f"INSERT INTO job VALUES ({', '.join('?' * len(row()))})", row())
        database.execute("PRAGMA user_version = 1")
    with anyio.fail_after(BOUND):
        for number in range(2):
            data = tmp_path / f"round-{number}"
            shutil.copytree(old, data)
            answers: list[dict[str, Any]] = []

            async def one(seed: int, data: Path = data, answers: list[dict[str, Any]] = answers) -> None:
                async with server(settings, data) as started:
                    answers.append(await called(started, TOOL, {**ARGUMENTS, "seed": seed}))
                    answers.append(await called(started, "list_jobs", {"since_hours": 700}))

            async with anyio.create_task_group() as tasks:
                for seed in range(4):
                    tasks.start_soon(one, 100 * number + seed)
            assert not [answer for answer in answers if answer.get("isError")]
            assert not [name for name in os.listdir(data) if "damaged" in name]
            async with server(settings, data) as last:
                listed = (await called(last, "list_jobs", {"since_hours": 700}))["structuredContent"]
            assert len(listed["jobs"]) == 5 and listed["spent_today_usd"] >= PRICE
    assert len(fal.jobs) == 8


async def test_a_call_waits_for_a_lock_that_comes_and_goes(fal: Emulator, settings: Settings, tmp_path: Path):
    """Another program writes to the ledger again and again, a tenth of a second each time, while jobs run."""
    data = tmp_path / "data"
    file = ledger_of(settings, data)
    fal.script(ENDPOINT, Script(step_seconds=0.05))
    answers: list[dict[str, Any]] = []
    with anyio.fail_after(BOUND):
        async with server(settings, data) as started:
            answers.append(await called(started, TOOL, ARGUMENTS))
            async with anyio.create_task_group() as tasks:

                async def disturb() -> None:
                    while True:
                        await anyio.to_thread.run_sync(_hold, file)
                        await anyio.sleep(0.02)

                tasks.start_soon(disturb)
                for seed in range(8, 12):
                    answers.append(await called(started, TOOL, {**ARGUMENTS, "seed": seed}))
                tasks.cancel_scope.cancel()
            rows = (await called(started, "list_jobs", {}))["structuredContent"]["jobs"]
    assert [answer["structuredContent"]["status"] for answer in answers] == ["completed"] * 5
    assert [row["state"] for row in rows] == ["completed"] * 5 and len(fal.jobs) == 5


def _hold(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None, timeout=5)) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(0.1)
        database.execute("ROLLBACK")


FIRST = """
CREATE TABLE job (
  job_id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, owner TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
  created REAL NOT NULL, updated REAL NOT NULL, arguments TEXT, request_id TEXT, status_url TEXT, response_url TEXT,
  cancel_url TEXT, position INTEGER, price REAL, price_note TEXT NOT NULL DEFAULT '', output TEXT, error TEXT,
  queue_seconds REAL NOT NULL DEFAULT 0, run_seconds REAL NOT NULL DEFAULT 0, detached REAL,
  session TEXT NOT NULL, process INTEGER NOT NULL);
CREATE INDEX job_created ON job (created);
CREATE INDEX job_digest ON job (owner, digest, created);
CREATE TABLE upload (
  identity TEXT PRIMARY KEY, url TEXT, expires REAL, upload_url TEXT, file_url TEXT, etags TEXT, created REAL NOT NULL);
"""
"""The ledger's first version."""
PRICE = 5.0


def row() -> tuple[Any, ...]:
    """A job of today that was paid for."""
    here, now = "http://127.0.0.1:1/queue/fal-ai/flux/requests/x", time.time()
    about = ("job_" + "0" * 32, ENDPOINT, "local", "x", "completed", now, now, "{}", "x", f"{here}/status", here)
    return (*about, f"{here}/cancel", None, PRICE, "", '{"seed": 1}', None, 0.0, 0.0, None, "0" * 16, 2**22 + 1)
