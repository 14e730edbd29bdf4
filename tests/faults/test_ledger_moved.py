"""The ledger's file is moved, removed or replaced while servers use it: they go on in the one that is there, together,
and with what they had begun."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits
from tests.server.test_kill import ARGUMENTS, ENDPOINT, TOOL, server

BOUND = 60


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file() and "sqlite3" in file.name]


def _moved(folder: Path) -> None:
    (folder / "old").mkdir()
    for file in _files(folder):
        file.rename(folder / "old" / file.name)


def _replaced(folder: Path) -> None:
    """As a server does that finds it damaged, and makes a new one."""
    name = next(file.name for file in _files(folder) if file.name.endswith("sqlite3"))
    _moved(folder)
    with closing(sqlite3.connect(folder / name)) as database:
        database.execute("PRAGMA journal_mode = WAL")


def _removed(folder: Path) -> None:
    shutil.rmtree(folder)


ways = pytest.mark.parametrize("way", [_moved, _replaced, _removed])


@ways
async def test_a_server_goes_on_in_the_ledger_that_is_there(
    fal: Emulator, settings: Settings, tmp_path: Path, way: Callable[[Path], None]
):
    """Killed afterwards, its job is found by the next one; and what it spent counts there."""
    data = tmp_path / "data"
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with server(settings, data) as first:
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            way(data)
            mine = await first.call("list_jobs", {})
            async with server(settings, data, "--daily-budget", "0.03") as second:
                seen = await second.call("list_jobs", {})
                over = await second.call(TOOL, {**ARGUMENTS, "seed": 8})
                first.kill()
                await first.process.wait()
                for job in fal.jobs.values():
                    job.release()
                result = await second.call(TOOL, ARGUMENTS)
                while result.get("status") in ("in_progress", "unknown"):
                    result = await second.call("wait_for_job", {"job_id": result["job_id"], "seconds": 1})
    assert [row["job_id"] for row in seen["jobs"]] == [row["job_id"] for row in mine["jobs"]] == [result["job_id"]]
    assert over["error"]["kind"] == "BudgetExceeded" and result["status"] == "completed" and len(fal.jobs) == 1


@ways
async def test_what_cannot_be_carried_over_yet_is_later(tmp_path: Path, way: Callable[[Path], None]):
    folder = tmp_path / "data"
    ledger, order = Ledger(folder / "l.sqlite3"), Order("a/b", {"prompt": "x"}, "me", 0.5)
    job = await ledger.begin(order, Limits())
    await ledger.record(job.job_id, state="completed", output={"seed": 1})
    await anyio.to_thread.run_sync(way, folder)
    for file in _files(folder) if folder.exists() else ():
        file.unlink()
    # Where the ledger was is a folder now, in which nothing can be written.
    (folder / "l.sqlite3").mkdir(parents=True)
    with pytest.raises(NotRecorded):
        await ledger.listed("me")
    (folder / "l.sqlite3").rmdir()
    again = await ledger.get(job.job_id, "me")
    other = Ledger(folder / "l.sqlite3")
    assert again is not None and again.output == {"seed": 1} and await other.spent("me") == 0.5
    await other.aclose()
    await ledger.aclose()
