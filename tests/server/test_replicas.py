"""Two servers on one ledger in PostgreSQL: one is killed, and the other goes on with what it left."""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.jobs.job import Job
from fal_mcp.jobs.ledger import Ledger
from tests import postgres
from tests.server.test_kill import ARGUMENTS, ENDPOINT, MOMENTS, TOOL, server

BOUND = 90
TAKEN_UP_WITHIN = 15.0
OWNER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def cluster() -> Generator[postgres.Cluster]:
    with postgres.cluster() as made:
        yield made


def released(fal: Emulator) -> None:
    fal.release()
    for job in list(fal.jobs.values()):
        job.release()


async def only_job(ledger: Ledger) -> Job:
    (job,) = await ledger.listed(OWNER)
    return job


@pytest.mark.parametrize("moment", ["after submit, before the row", "running"])
async def test_a_killed_servers_job_is_taken_up_by_the_other_and_paid_once(
    cluster: postgres.Cluster, fal: Emulator, settings: Settings, tmp_path: Path, moment: str
):
    script, reached = MOMENTS[moment]
    fal.script(ENDPOINT, script)
    store = ["--store", cluster.database()]
    ledger = Ledger(store[1])
    with anyio.fail_after(BOUND):
        async with (
            server(settings, tmp_path / "1", *store) as first,
            server(settings, tmp_path / "2", *store) as second,
        ):
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: reached(fal))
            await second.call("list_jobs", {})
            before = await only_job(ledger)
            first.kill()
            with anyio.fail_after(TAKEN_UP_WITHIN):
                while (await only_job(ledger)).session == before.session:
                    await ledger.store.renew()
            fal.script(ENDPOINT, Script())
            released(fal)
            answer = await second.call("wait_for_job", {"job_id": before.job_id, "seconds": 40})
    assert answer["status"] == "completed", answer
    assert len(fal.jobs) == 1
    await ledger.aclose()


async def test_a_server_that_was_paused_writes_nothing_over_the_others_word(
    cluster: postgres.Cluster, fal: Emulator, settings: Settings, tmp_path: Path
):
    fal.script(ENDPOINT, Script(hold_running=True))
    store = ["--store", cluster.database()]
    ledger = Ledger(store[1])
    with anyio.fail_after(BOUND):
        async with (
            server(settings, tmp_path / "1", *store) as first,
            server(settings, tmp_path / "2", *store) as second,
        ):
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            await second.call("list_jobs", {})
            before = await only_job(ledger)
            os.kill(first.process.pid, signal.SIGSTOP)
            try:
                while (await only_job(ledger)).session == before.session:
                    await ledger.store.renew()
            finally:
                os.kill(first.process.pid, signal.SIGCONT)
            released(fal)
            answer = await second.call("wait_for_job", {"job_id": before.job_id, "seconds": 40})
            # It asks fal itself, and has the result too.
            here = await first.call("wait_for_job", {"job_id": before.job_id, "seconds": 40})
    assert answer["status"] == here["status"] == "completed"
    job = await only_job(ledger)
    assert job.state == "completed" and job.fence > before.fence and len(fal.jobs) == 1
    await ledger.aclose()


async def test_a_job_is_waited_for_at_any_server_from_the_moment_of_its_row(
    cluster: postgres.Cluster, fal: Emulator, settings: Settings, tmp_path: Path
):
    """One place only: the second call waits at its server for its turn, and is waited for at the other one too."""
    fal.script(ENDPOINT, Script(hold_running=True))
    store = ["--store", cluster.database(), "--max-running", "1"]
    ledger = Ledger(store[1])
    with anyio.fail_after(BOUND):
        async with (
            server(settings, tmp_path / "1", *store) as first,
            server(settings, tmp_path / "2", *store) as second,
        ):
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            await second.send("tools/call", {"name": TOOL, "arguments": {**ARGUMENTS, "seed": 8}})
            while not (waiting := [job for job in await ledger.listed(OWNER) if job.state == "waiting"]):
                await ledger.store.renew()
            number = await first.send(
                "tools/call", {"name": "wait_for_job", "arguments": {"job_id": waiting[0].job_id, "seconds": 40}}
            )
            assert len(fal.jobs) == 1
            fal.script(ENDPOINT, Script())
            released(fal)
            answer = await first.answer(number)
    assert answer["structuredContent"]["status"] == "completed", answer
    assert len(fal.jobs) == 2
    await ledger.aclose()
