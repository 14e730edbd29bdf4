"""The ledger: what is written stays, budgets hold whatever the interleaving, each owner sees their own."""

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fal_mcp.client.queue import Request
from fal_mcp.client.storage import Parts
from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs.database import Database
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger, Limits
from tests.jobs.conftest import Where

REQUEST = Request("a/b", "R", "https://q/s", "https://q/r", "https://q/c")
NONE = Limits()
ME, BOUND = "me", 30
DAY = 86_400.0


def order(price: float | None = 0.1, **options: Any) -> Order:
    about: dict[str, Any] = {"owner": ME, "price": price, **options}
    return Order("a/b", {"prompt": "x"}, **about)


async def test_a_row_is_there_before_and_after_and_in_another_process(where: Where):
    one, other = Ledger(where), Ledger(where)
    job = await one.begin(order(), NONE)
    assert await other.get(job.job_id, ME) == job and job.state == "intent"
    await one.accepted(job.job_id, REQUEST)
    await one.record(job.job_id, state="completed", output={"seed": 7})
    found = await other.get(job.job_id, ME)
    assert found is not None and (found.state, found.output, found.request) == ("completed", {"seed": 7}, REQUEST)


async def test_somebody_elses_job_is_no_job_at_any_door(where: Where):
    """Two keys on one ledger: neither sees, joins, follows or pays for what is the other's."""
    ledger, later = Ledger(where), Ledger(where)
    job = await ledger.begin(order(owner="alice"), NONE)
    await ledger.accepted(job.job_id, REQUEST)
    await ledger.uploads.remember("alice", "file", "https://f", None)
    await ledger.aclose()
    assert await later.get(job.job_id, "bob") is None and await later.listed("bob") == []
    assert await later.by_request("R", "bob") is None
    assert await later.orphaned("bob") == [] and await later.spent("bob") == 0
    assert await later.uploads.address_of("bob", "file") is None
    assert not (await later.join_or_begin(order(owner="bob", price=None), Limits())).is_joined
    own = await later.begin(order(0.1, owner="bob"), Limits(day=0.1))
    assert (await later.found(own, [REQUEST])).request == REQUEST
    assert [one.job_id for one in await later.orphaned("alice")] == [job.job_id]
    assert (await later.join_or_begin(order(owner="alice"), NONE)).job.job_id == job.job_id


async def test_the_first_key_adopts_what_was_written_before_keys_were_told_apart(where: Where):
    before = Ledger(where)
    job = await before.begin(order(owner="local"), NONE)
    first, second = (Ledger(where, first_owner=name) for name in ("first", "second"))
    assert [one.job_id for one in await first.listed("first")] == [job.job_id]
    assert await second.listed("second") == [] and await second.listed("local") == []


async def test_arguments_can_be_kept_out_of_it(tmp_path: Path):
    file = tmp_path / "l.sqlite3"
    ledger = Ledger(file, records_arguments=False)
    await ledger.begin(Order("a/b", {"prompt": "a secret wish"}), NONE)
    await ledger.aclose()
    assert b"secret" not in file.read_bytes()


def test_its_files_are_their_owners_alone_even_in_a_folder_for_all(tmp_path: Path):
    tmp_path.chmod(0o755)
    modes: dict[str, int] = {}

    async def use() -> None:
        ledger = Ledger(tmp_path / "l.sqlite3")
        await ledger.begin(order(), NONE)
        modes.update(_modes(tmp_path))
        await ledger.aclose()

    anyio.run(use)
    assert modes == dict.fromkeys(("l.sqlite3", "l.sqlite3-wal", "l.sqlite3-shm"), 0o600)


def _modes(folder: Path) -> dict[str, int]:
    files = [file for file in folder.glob("l.sqlite3*") if file.is_file()]
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}


async def test_an_unknown_price_is_over_every_limit_unless_allowed(where: Where):
    ledger = Ledger(where)
    for price in (None, float("nan"), float("inf"), -1.0, -1e-9):
        with pytest.raises(BudgetExceeded, match="not known"):
            await ledger.begin(order(price), Limits(call=1))
        assert await ledger.begin(order(price), Limits(call=1, allow_unpriced=True))
    assert await ledger.spent(ME) == 0, "what has no price adds nothing, and takes nothing away"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.booleans()), max_size=30), st.integers(1, 100))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_interleaving_of_servers_and_calls_exceeds_a_daily_budget(
    places: Callable[[], Where], steps: list[tuple[int, int, bool]], budget: int
):
    """Three servers on one ledger begin and end jobs in any order."""
    file = places()
    limits = Limits(day=budget / 100)

    async def run() -> None:
        ledgers = [Ledger(file) for _ in range(3)]
        for server, cents, fails in steps:
            try:
                job = await ledgers[server].begin(order(cents / 100), limits)
            except BudgetExceeded:
                assert await ledgers[0].spent(ME) + cents / 100 > budget / 100 - 1e-9
                continue
            if fails:
                await ledgers[(server + 1) % 3].record(job.job_id, state="failed")
            assert await ledgers[0].spent(ME) <= budget / 100 + 1e-9
        for ledger in ledgers:
            await ledger.aclose()

    anyio.run(run)


async def test_calls_at_once_in_two_servers_join_or_begin_once(where: Where):
    """One decision: of twenty calls of one thing, in two servers, one begins and nineteen join."""
    ledgers = [Ledger(where) for _ in range(2)]
    joined: list[bool] = []

    async def one(number: int) -> None:
        joined.append((await ledgers[number % 2].join_or_begin(order(call_id=str(number)), NONE)).is_joined)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)
    assert sorted(joined) == [False] + [True] * 19


@pytest.mark.parametrize("apart", [-400.0, -3.0, -1.2, -0.5, 0.0, 0.5, 1.2, 3.0, 400.0])
async def test_two_calls_were_made_at_once_if_they_came_at_once(apart: float, where: Where):
    """A call may be held up on its way to the ledger for as long as its client waits, and be overtaken by the same
    call again; `apart` is how long after the first to be written down the other came."""
    ledger, now = Ledger(where), time.monotonic()
    about: dict[str, Any] = {"is_repeatable": False, "connection": "c"}
    first, other = min(now, now - apart), min(now, now + apart)
    await ledger.join_or_begin(order(call_id="first", came=first, **about), NONE)
    started = await ledger.join_or_begin(order(call_id="again", came=other, **about), NONE)
    assert started.is_joined is (abs(apart) > 1)


async def test_what_another_server_took_over_is_not_written_by_the_one_before(where: Where):
    first, second = Ledger(where), Ledger(where)
    job = await first.begin(order(), NONE)
    assert await second.claim(job) is None, "the first one lives"
    await first.aclose()
    taken = await second.claim(job)
    assert taken is not None and taken.fence == job.fence + 1
    assert not await first.record(job.job_id, job.fence, state="failed")
    assert await second.record(job.job_id, taken.fence, state="running")
    found = await second.get(job.job_id, ME)
    assert found is not None and found.state == "running"


async def test_claimed_again_by_who_has_it_a_job_keeps_its_fence(where: Where):
    """Two calls at one server ask about a job at once: whoever follows it goes on writing."""
    ledger = Ledger(where)
    job = await ledger.begin(order(), NONE)
    first, second = await ledger.claim(job), await ledger.claim(job)
    assert first is not None and second is not None and first.fence == second.fence == job.fence
    assert await ledger.record(job.job_id, first.fence, state="running")


async def test_an_intent_of_a_server_that_is_gone_is_looked_for_though_its_process_id_lives(where: Where):
    """In containers every server is process 1; both of these are one process."""
    first, second = Ledger(where), Ledger(where)
    job = await first.begin(order(), NONE)
    assert await second.orphaned(ME) == []
    await first.aclose()
    assert [(one.job_id, one.state) for one in await second.orphaned(ME)] == [(job.job_id, "unknown")]


async def test_a_mark_counts_once_for_all_servers(where: Where):
    now = [1000.0]
    ledgers = [Ledger(where, clock=lambda: now[0]) for _ in range(2)]
    assert [await ledger.once("yes", 60) for ledger in ledgers] == [True, False]
    now[0] += 61
    assert [await ledger.once("yes", 60) for ledger in ledgers] == [True, False]


async def test_what_is_old_is_forgotten_and_unfinished_work_never(where: Where):
    now = [time.time() - 40 * DAY]
    ledger = Ledger(where, clock=lambda: now[0])
    old, running, unknown, lost = [await ledger.begin(order(), NONE) for _ in range(4)]
    await ledger.record(old.job_id, state="completed", output={"seed": 1})
    await ledger.record(running.job_id, state="running")
    await ledger.record(unknown.job_id, state="unknown")
    await ledger.record(lost.job_id, state="lost")
    now[0] += DAY + 1
    await ledger.prune()
    states = {job.job_id: job.state for job in await ledger.listed(ME)}
    assert states[unknown.job_id] == "lost", "a day later nobody looks for it any more"
    assert await ledger.spent(ME) == 0.4, "what may have been paid for counts"
    now[0] += 40 * DAY
    await ledger.prune()
    assert [job.job_id for job in await ledger.listed(ME)] == [running.job_id]


async def test_a_list_does_not_load_what_came_out():
    """Two thousand jobs with a tenth of a megabyte each; a list of twenty takes milliseconds."""
    ledger = Ledger(None)
    large = {"text": "x" * 100_000}
    for _ in range(2000):
        job = await ledger.begin(order(), NONE)
        await ledger.record(job.job_id, state="completed", output=large)
    took, listed = list[float](), list[Job]()
    for _ in range(5):
        began = time.perf_counter()
        listed = await ledger.listed(ME)
        took.append(time.perf_counter() - began)
    assert len(listed) == 20 and min(took) <= 0.02
    whole = await ledger.get(listed[0].job_id, ME)
    assert whole is not None and whole.output == large


async def test_where_a_file_is_and_how_far_it_came_is_remembered(where: Where):
    one, other = (Ledger(where).uploads for _ in range(2))
    await one.remember_parts(ME, "big", Parts("https://u", "https://f", {1: "a", 3: "c"}))
    assert await other.parts_of(ME, "big") == Parts("https://u", "https://f", {1: "a", 3: "c"})
    assert await other.address_of(ME, "big") is None
    await one.forget_parts(ME, "big")
    assert await other.parts_of(ME, "big") is None
    await one.remember(ME, "big", "https://f", None)
    assert await other.address_of(ME, "big") == "https://f" and await other.parts_of(ME, "big") is None
    await one.forget_parts(ME, "big")
    assert await other.address_of(ME, "big") == "https://f", "what is up stays known"
    await one.remember(ME, "short", "https://g", time.time() + 60)
    assert await other.address_of(ME, "short") is None, "what is about to expire is uploaded anew"


ODD: dict[str, dict[str, Any]] = {
    "nan": {"x": float("nan")},
    "inf": {"x": float("inf")},
    "half": {"x": "\ud800"},
    "half key": {"\ud800": 1},
    "large": {"x": 10**400},
    "empty": {},
    "nested": {"x": [[[]]] * 50},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_any_output_is_written_and_read(odd: dict[str, Any], where: Where):
    ledger = Ledger(where)
    job = await ledger.begin(Order("a/\ud800b", odd, ME), NONE)
    assert await ledger.record(job.job_id, state="completed", output=odd, error={"message": "\udfff"})
    found = await ledger.get(job.job_id, ME)
    assert found is not None and found.state == "completed" and isinstance(found.output, dict)


async def test_what_a_day_cost_is_known_until_it_is_over_however_many_jobs_it_had(where: Where):
    now = [50 * DAY]
    ledger = Ledger(where, clock=lambda: now[0])
    job = await ledger.begin(order(0.25), NONE)
    await ledger.record(job.job_id, state="completed")
    columns = "job_id, endpoint_id, owner, account, digest, state, created, updated, session, process, booked, asked"
    rows = [
        (f"job_{number}", "a/b", ME, ME, "", "completed", 50 * DAY + 1, 0, "s", 0, 1, 1) for number in range(20_100)
    ]
    statement = f"INSERT INTO job ({columns}) VALUES ({', '.join('?' * 12)})"

    def write(database: Database) -> None:
        with database.transaction():
            database.executemany(statement, rows)

    await ledger.store.run(write)
    await ledger.prune()
    assert (await ledger.spent_now(ME)).day == 250_000 + 20_100
    now[0] += DAY
    await ledger.prune()
    assert await ledger.get(job.job_id, ME) is None, "the oldest of too many"
    await ledger.aclose()
