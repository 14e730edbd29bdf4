"""The store is lost in a commit, at each transaction of a job's life: the job is submitted once and ends once, and the
next answer says how things stand."""

from collections.abc import Generator
from pathlib import Path

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.jobs.ledger import Ledger
from tests import postgres
from tests.postgres_proxy import Cut, proxied
from tests.server.test_kill import ARGUMENTS, ENDPOINT, TOOL, server
from tests.server.test_replicas import OWNER

BOUND = 90
WRITES = {
    "begin": "INSERT INTO job",
    "submit recorded": "queued",
    "completed": "completed",
    "saved": "SET saved = ",
}


@pytest.fixture(scope="module")
def cluster() -> Generator[postgres.Cluster]:
    with postgres.cluster() as made:
        yield made


@pytest.mark.parametrize("is_taken", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", WRITES)
async def test_a_job_whose_commit_is_lost_is_submitted_once_and_ends_once(
    cluster: postgres.Cluster, fal: Emulator, settings: Settings, tmp_path: Path, write: str, is_taken: bool
):
    address = cluster.database()
    ledger = Ledger(address)
    with anyio.fail_after(BOUND):
        async with proxied(address) as proxy:
            more = ["--store", proxy.address, "--output-dir", str(tmp_path / "made"), "--session-budget", "0.1"]
            async with server(settings, tmp_path, *more) as here:
                await here.call("list_jobs", {})
                proxy.cut = Cut(WRITES[write], is_taken)
                answer = await here.call(TOOL, ARGUMENTS)
                listed = await here.call("list_jobs", {})
                while write == "saved" and proxy.is_due:
                    await ledger.store.renew()
                assert not proxy.is_due, "it was never reached"
                (job,) = await ledger.listed(OWNER)
    assert answer["status"] == "completed" and [row["state"] for row in listed["jobs"]] == ["completed"]
    assert (len(fal.jobs), job.state, job.saved is not None) == (1, "completed", True)
    await ledger.aclose()


@pytest.mark.parametrize("is_taken", [False, True], ids=["before", "after"])
async def test_a_cancel_whose_commit_is_lost_is_one_all_the_same(
    cluster: postgres.Cluster, fal: Emulator, settings: Settings, tmp_path: Path, is_taken: bool
):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    address = cluster.database()
    ledger = Ledger(address)
    with anyio.fail_after(BOUND):
        async with proxied(address) as proxy, server(settings, tmp_path, "--store", proxy.address) as here:
            await here.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: any(call.path.endswith("/stream") for call in fal.calls))
            (row,) = (await here.call("list_jobs", {}))["jobs"]
            proxy.cut = Cut("cancelled", is_taken)
            await here.call("cancel_job", {"job_id": row["job_id"]})
            while (job := await ledger.get(row["job_id"], OWNER)) is None or not job.is_over:
                await ledger.store.renew()
            said = await here.call("get_job", {"job_id": row["job_id"]})
    assert not proxy.is_due and job.state == "cancelled" and await ledger.spent(OWNER) == 0
    assert "cancelled" in str(said) and len(fal.jobs) == 1
    await ledger.aclose()
