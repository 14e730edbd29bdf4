"""A row that something else wrote into, or that a damaged page left behind, costs what is odd in it and no more."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fal_mcp.client.queue import Request
from fal_mcp.jobs import rows
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits

ODD = ["x", "", b"\xff\x00", 9e999, -(2**63), 1.5, None]
COLUMNS = [name for name in rows.COLUMNS.split(", ") if name not in ("job_id", "owner")]


@pytest.mark.parametrize("column", COLUMNS)
async def test_whatever_stands_in_a_column_the_ledger_goes_on(tmp_path: Path, column: str):
    file, limits = tmp_path / "l.sqlite3", Limits(day=1e6)
    for odd in ODD:
        ledger = Ledger(file)
        job = await ledger.begin(Order("a/b", {}, "me", 0.1), limits)
        await ledger.accepted(job.job_id, Request("a/b", job.job_id, "https://q/s", "https://q/r", "https://q/c"))
        await ledger.aclose()
        with closing(sqlite3.connect(file)) as database, database:
            try:
                database.execute(f"UPDATE job SET {column} = ? WHERE job_id = ?", (odd, job.job_id))
            except sqlite3.IntegrityError:
                continue
        later = Ledger(file)
        assert len(await later.listed("me", limit=1000)) >= 1
        read = await later.get(job.job_id, "me")
        assert read is not None and (read.cost is None or read.cost >= 0)
        assert read.created + read.updated + read.asked + read.queue_seconds + read.run_seconds >= 0
        await later.orphaned("me")
        await later.join_or_begin(Order("a/b", {}, "me", 0.1), limits)
        await later.record(job.job_id, state="running")
        await later.prune()
        await later.aclose()
