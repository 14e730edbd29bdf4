"""The operator changes the server's key: another key of the same account finds the account's jobs, another account's
finds none of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Reply
from fal_mcp.jobs.ledger import Ledger
from tests import postgres
from tests.server.http_host import Host
from tests.server.test_kill import ARGUMENTS, TOOL, server
from tests.server.test_replicas import OWNER
from tests.team.bench import team

BOUND = 180
NEW = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
NEWER = "aaaaaaaa-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"


def asked_whose(fal: Emulator) -> int:
    return sum("request_id=" in call.query and call.path.endswith("/by-endpoint") for call in fal.calls)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Any:
    if request.param == "sqlite":
        yield []
        return
    with postgres.cluster() as made:
        yield ["--store", made.database()]


async def test_another_key_of_the_account_finds_its_jobs_and_what_was_spent(
    fal: Emulator, settings: Settings, tmp_path: Path, store: list[str]
):
    """And the key after that, and two servers of which one has the old key still."""
    fal.keys |= {NEW, NEWER}
    budget = [*store, "--daily-budget", "0.03"]
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path, *store) as first:
            made = await first.call(TOOL, ARGUMENTS)
            assert asked_whose(fal) == 0, "with one key there is nothing to ask"
            for key in (NEW, NEWER, NEW):
                async with server(replace(settings, key=key), tmp_path, *budget) as second:
                    again = await second.call("get_job", {"job_id": made["job_id"]})
                    refused = await second.call(TOOL, {**ARGUMENTS, "seed": 8})
                assert again["status"] == "completed", again
                assert "budget" in str(refused), refused
        assert asked_whose(fal) == 2, "what fal said once of a key is kept"
    assert len(fal.jobs) == 1


async def test_another_accounts_key_finds_none_and_is_asked_about_once_a_day(
    fal: Emulator, settings: Settings, tmp_path: Path, store: list[str]
):
    fal.keys.add(NEW)
    fal.accounts[NEW] = "somebody else"
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path, *store) as first:
            made = await first.call(TOOL, ARGUMENTS)
        for _ in range(2):
            async with server(replace(settings, key=NEW), tmp_path, *store) as second:
                foreign = await second.call("get_job", {"job_id": made["job_id"]})
                listed = await second.call("list_jobs", {})
            assert "There is no job" in str(foreign) and listed["jobs"] == []
    assert asked_whose(fal) == 1


async def test_what_was_begun_while_fal_could_not_be_asked_comes_along(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    """And what an earlier version began under the key's own name."""
    fal.keys.add(NEW)
    changed = replace(settings, key=NEW)
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as first:
            made = await first.call(TOOL, ARGUMENTS)
        fal.platform_replies["listRequestsByEndpoint"] = Reply(403, {"error": {"message": "no"}})
        async with server(changed, tmp_path) as second:
            foreign = await second.call("get_job", {"job_id": made["job_id"]})
            other = await second.call(TOOL, {**ARGUMENTS, "seed": 8})
        assert "There is no job" in str(foreign) and other["status"] == "completed"
        fal.platform_replies.clear()
        async with server(changed, tmp_path) as third:
            rows = (await third.call("list_jobs", {}))["jobs"]
        ledger = Ledger(replace(settings, data=tmp_path).ledger_file)
        assert {row["job_id"] for row in rows} == {job.job_id for job in await ledger.listed(OWNER)}
        await ledger.aclose()
    assert len(rows) == 2


async def test_a_callers_jobs_are_its_own_under_every_key_of_the_server(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    fal.keys.add(NEW)
    answers: list[Any] = []
    for name in "12":
        (tmp_path / name).mkdir()
    with anyio.fail_after(BOUND):
        # One within the other, as while the key is being changed.
        async with (
            team(settings, tmp_path / "1", data=tmp_path / "data") as here,
            team(replace(settings, key=NEW), tmp_path / "2", data=tmp_path / "data") as there,
        ):
            host = Host(here.url, here.client(here.headers("alice")))
            made = await host.ask("tools/call", {}, name=TOOL, arguments=ARGUMENTS)
            job_id = made["result"]["structuredContent"]["job_id"]
            for name in ("alice", "bob"):
                host = Host(there.url, there.client(there.headers(name)))
                answers.append(await host.ask("tools/call", {}, name="get_job", arguments={"job_id": job_id}))
    assert answers[0]["result"]["structuredContent"]["status"] == "completed"
    assert "There is no job" in str(answers[1])
