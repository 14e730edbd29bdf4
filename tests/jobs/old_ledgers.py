"""Ledgers as earlier versions left them, and servers that open one at the same moment."""

import sqlite3
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import anyio

from fal_mcp.jobs import schema
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits

TODAY = len(schema.STEPS)
JOBS, PRICE = 20, 0.25
MONEY_IN_MILLIONTHS = 4


def write_old(file: Path, version: int, now: float | None = None) -> None:
    """A ledger of that version with jobs of 5 USD in it, all of today and at work; none at all for version 0."""
    if version == 0:
        return
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        for step in schema.STEPS[:version]:
            for statement in step:
                database.execute(statement)
        moment = now or time.time()
        for number in range(JOBS):
            row = (f"job_{number}", "a/b", "local", f"d{number}", "running", moment, moment, PRICE, "s", 1)
            database.execute(
                "INSERT INTO job (job_id, endpoint_id, owner, digest, state, created, updated, price, session, "
                "process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        if version >= MONEY_IN_MILLIONTHS:
            money = f"price_micro = {int(PRICE * 1_000_000)}, booked = {int(PRICE * 1_000_000)}"
            database.execute(f"UPDATE job SET {money}, asked = created, has_run = 1")
        if version == TODAY:
            schema.settle(database)
        database.execute(f"PRAGMA user_version = {version}")


@contextmanager
def openers(count: int, files: list[Path]) -> Generator[list[Any]]:
    """So many processes that open each of these ledgers in the same moment and begin a job; what went wrong."""
    context = get_context("spawn")
    barrier = context.Barrier(count)
    results = context.Queue()
    processes = [context.Process(target=_open_all, args=(barrier, files, results)) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield [item for _ in processes for item in results.get(timeout=120)]
    finally:
        for process in processes:
            process.join(30)


def _open_all(barrier: Barrier, files: list[Path], results: Any) -> None:
    wrong: list[str] = []
    for file in files:
        barrier.wait(60)
        try:
            anyio.run(_begin, file)
        except Exception as error:
            wrong.append(f"{file.name}: {error!r}")
    results.put(wrong)
    sys.stdout.flush()


async def _begin(file: Path) -> None:
    ledger = Ledger(file, first_owner="me")
    await ledger.begin(Order("a/b", {}, "me", PRICE), Limits(day=1000))
    await ledger.aclose()
