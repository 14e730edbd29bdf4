"""This machine's clock is wrong, or is set while the server runs: nothing is lost by it, and nothing is paid twice."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.server import app
from tests.server.test_kill import ARGUMENTS, ENDPOINT, TOOL, server

BOUND = 60
DAY = 24 * 3600.0
apart = pytest.mark.parametrize("ahead", [-40 * DAY, -600.0, 600.0, 40 * DAY], ids=["-40d", "-10min", "10min", "40d"])
"""Seconds by which fal's clock is ahead of this machine's."""


def ledger_in(folder: Path) -> Path:
    (file,) = folder.glob("*.sqlite3")
    return file


@apart
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_lost_submit_is_found_whatever_this_machines_clock_says(
    fal: Emulator, settings: Settings, tmp_path: Path, mode: Any, ahead: float
):
    fal.ahead = ahead
    fal.script(ENDPOINT, Script(submit_drop=True))
    with anyio.fail_after(BOUND):
        async with Client(app.build(replace(settings, data=tmp_path)), mode=mode) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert result.structured_content["status"] == "completed"
    assert len(fal.jobs) == 1 and result.structured_content["request_id"] in fal.jobs


@apart
async def test_so_it_is_by_a_server_that_never_heard_from_fal_before(
    fal: Emulator, settings: Settings, tmp_path: Path, ahead: float
):
    fal.ahead = ahead
    fal.script(ENDPOINT, Script(hold_submit="after"))
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as first:
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: len(fal.jobs) == 1)
            first.kill()
            await first.process.wait()
        fal.script(ENDPOINT, Script())
        fal.release()
        async with server(settings, tmp_path) as second:
            result = await second.call(TOOL, ARGUMENTS)
            while result.get("status") in ("in_progress", "unknown"):
                result = await second.call("wait_for_job", {"job_id": result["job_id"], "seconds": 1})
    assert result["status"] == "completed" and len(fal.jobs) == 1


async def test_a_job_is_found_though_the_clock_was_set_back_since(fal: Emulator, settings: Settings, tmp_path: Path):
    """Its row is a month in the future."""
    fal.script(ENDPOINT, Script(submit_drop=True, hold_in_queue=True, keeps_payloads=False))
    with anyio.fail_after(BOUND):
        async with Client(app.build(replace(settings, data=tmp_path))) as client:
            lost = await client.call_tool("run_model", {"endpoint_id": ENDPOINT, "arguments": ARGUMENTS, "seconds": 0})
    with closing(sqlite3.connect(ledger_in(tmp_path))) as database, database:
        database.execute("UPDATE job SET created = created + ?", (30 * DAY,))
    (job,) = fal.jobs.values()
    job.script = Script()
    job.release()
    with anyio.fail_after(BOUND):
        async with Client(app.build(replace(settings, data=tmp_path))) as client:
            found = await client.call_tool("wait_for_job", {"job_id": lost.structured_content["job_id"]})
    assert found.structured_content["status"] == "completed", found


@pytest.mark.parametrize("ahead", [-40 * DAY, 0.0], ids=["our clock is a month ahead", "it is really old"])
async def test_only_what_is_old_by_fals_clock_too_is_forgotten(
    fal: Emulator, settings: Settings, tmp_path: Path, ahead: float
):
    fal.ahead = ahead
    here = replace(settings, data=tmp_path)
    with anyio.fail_after(BOUND):
        async with Client(app.build(here)) as client:
            await client.call_tool(TOOL, ARGUMENTS)
        with closing(sqlite3.connect(ledger_in(tmp_path))) as database:
            with database:
                database.execute("UPDATE job SET created = created - ?", (35 * DAY,))
                database.execute("DELETE FROM mark")
            async with Client(app.build(here)) as client:
                # With it fal tells what time it is.
                await client.call_tool(TOOL, {**ARGUMENTS, "seed": 8})
                while not database.execute("SELECT 1 FROM mark WHERE key = 'prune'").fetchone():
                    await client.call_tool("list_jobs", {})
                # What is forgotten is forgotten right after that; the ledger does one thing after the other.
                for _ in range(5):
                    await client.call_tool("list_jobs", {})
            count = database.execute("SELECT count(*) FROM job").fetchone()[0]
    assert count == (2 if ahead else 1)


async def test_a_turn_that_was_taken_in_the_future_is_over_and_what_counts_once_is_not(tmp_path: Path):
    now = [time.time() + 30 * DAY]
    ledger = Ledger(tmp_path / "l.sqlite3", clock=lambda: now[0])
    assert await ledger.turn("prune", 100) and not await ledger.turn("prune", 100)
    assert await ledger.once("answer", 100)
    now[0] -= 30 * DAY
    assert await ledger.turn("prune", 100) and not await ledger.turn("prune", 100)
    assert not await ledger.once("answer", 100)
    await ledger.aclose()
