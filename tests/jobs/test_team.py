"""Several servers of one ledger: jobs of one that is gone are taken up, budgets are exact, people take turns."""

import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import psycopg
import pytest

from fal_mcp.client.queue import Request
from fal_mcp.config import Settings
from fal_mcp.errors import BudgetExceeded, NotRecorded, RateLimited
from fal_mcp.jobs import ledger_health
from fal_mcp.jobs.database import Database
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.turns import Room
from tests import postgres
from tests.jobs.conftest import Where

BOUND = 60
NONE = Limits()
REQUEST = Request("a/b", "R", "https://q/s", "https://q/r", "https://q/c")
SECRET = "a-password-nobody-sees"


def order(owner: str = "me", price: float | None = 0.1, **options: Any) -> Order:
    return Order("a/b", {"prompt": "x"}, owner, price, is_fresh=True, **options)


def expired(address: str, session: str) -> None:
    """As if this server had said nothing for longer than its lease."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE server SET until = 0 WHERE session = %s", (session,))


@pytest.mark.parametrize("state", ["intent", "queued", "running"])
async def test_a_server_that_was_paused_finds_its_late_words_refused(cluster: postgres.Cluster, state: str):
    address = cluster.database()
    paused, other = Ledger(address), Ledger(address)
    job = await paused.begin(order(), NONE)
    if state != "intent":
        await paused.accepted(job.job_id, REQUEST, job.fence)
        await paused.record(job.job_id, job.fence, state=state)
    assert await other.orphaned("me") == [], "it lives"
    expired(address, paused.session)
    (taken,) = await other.orphaned("me")
    assert taken.state == ("unknown" if state == "intent" else state), "what may have been sent is not sent again"
    assert not await paused.record(job.job_id, job.fence, state="failed")
    assert not await paused.accepted(job.job_id, REQUEST, job.fence)
    assert await other.record(job.job_id, taken.fence, state="completed", output={"seed": 1})
    found = await paused.get(job.job_id, "me")
    assert found is not None and found.output == {"seed": 1}


async def test_of_many_that_see_a_server_gone_each_job_has_one_taker(cluster: postgres.Cluster):
    address = cluster.database()
    gone, others = Ledger(address), [Ledger(address) for _ in range(4)]
    jobs = [await gone.begin(order(), NONE) for _ in range(30)]
    expired(address, gone.session)
    taken: list[str] = []

    async def take(ledger: Ledger) -> None:
        taken.extend([job.job_id for job in await ledger.orphaned("me")])

    async with anyio.create_task_group() as tasks:
        for ledger in others:
            tasks.start_soon(take, ledger)
    assert sorted(taken) == sorted(job.job_id for job in jobs)


async def test_after_an_outage_of_the_store_nobody_takes_what_others_still_follow(cluster: postgres.Cluster):
    """All leases ran out together; each server first gets the time to say that it lives."""
    address = cluster.database()
    one, other = Ledger(address), Ledger(address)
    await one.begin(order(), NONE)
    await other.listed("me")
    expired(address, one.session)
    expired(address, other.session)
    await other.store.renew()
    assert await other.orphaned("me") == []
    await one.store.renew()
    assert await other.orphaned("me") == []


async def test_that_a_server_lives_is_said_in_time_however_much_it_has_to_do(cluster: postgres.Cluster):
    """Else its jobs would be taken for a dead server's, and its own word on them refused."""
    ledger = Ledger(cluster.database())
    await ledger.listed("me")

    def busy(database: Database) -> None:
        database.execute("SELECT pg_sleep(2)")

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ledger.store.run, busy)
            await anyio.lowlevel.checkpoint()
            began = time.monotonic()
            await ledger.store.renew()
            assert time.monotonic() - began < 2
            assert (await ledger.begin(order(), NONE)).state == "intent"
            assert time.monotonic() - began < 4, "nor is a decision kept waiting"
    await ledger.aclose()


async def test_the_end_of_a_job_is_heard_at_every_server(cluster: postgres.Cluster):
    address = cluster.database()
    here, there = Ledger(address), Ledger(address)
    job = await here.begin(order(), NONE)
    heard: list[str] = []
    ended = anyio.Event()

    def hear(topic: str) -> None:
        heard.append(topic)
        if topic == f"job:{job.job_id}":
            ended.set()

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(there.store.listen, hear)
            while not ended.is_set():
                # Told again and again: when the other one begins to listen is not known here.
                await here.record(job.job_id, state="running")
                await here.record(job.job_id, state="queued")
                with anyio.move_on_after(0.2):
                    await ended.wait()
            tasks.cancel_scope.cancel()
    assert heard[0] == "", "what was told before it listened is looked for"


async def test_the_store_goes_away_and_comes_back():
    """What cannot be written down is not begun; what comes after the restart is, by the same server."""
    with postgres.cluster() as own:
        ledger = Ledger(own.database())
        before = await ledger.begin(order(), NONE)
        await anyio.to_thread.run_sync(own.stop)
        with pytest.raises(NotRecorded, match=r"cannot be reached|shut down"):
            await ledger.begin(order(), NONE)
        await anyio.to_thread.run_sync(own.start)
        after = await ledger.begin(order(), NONE)
        assert {job.job_id for job in await ledger.listed("me")} == {before.job_id, after.job_id}
        await ledger.aclose()


async def test_a_password_stands_in_no_message_and_no_settings():
    address = f"postgresql://someone:{SECRET}@127.0.0.1:1/ledger"
    settings = Settings.from_env({"FAL_MCP_STORE": address})
    assert settings.store == address and SECRET not in repr(settings)
    with pytest.raises(NotRecorded) as raised:
        await Ledger(address).listed("me")
    assert SECRET not in f"{raised.value.message}{raised.value.hint}" and "127.0.0.1" in raised.value.message
    with pytest.raises(ValueError, match=r"--store should be") as refused:
        Settings.from_env({}, store=f"mysql://someone:{SECRET}@host/ledger")
    assert SECRET not in str(refused.value)


def spend(where: Where, count: int, barrier: Barrier, results: Any) -> None:
    """One process: tries to begin so many jobs of a cent, within a budget of all and one of each owner."""

    async def run() -> int:
        ledger, done = Ledger(where), 0
        await ledger.listed("payer")
        await anyio.to_thread.run_sync(barrier.wait, BOUND)
        for number in range(count):
            try:
                await ledger.begin(order(f"payer/p{number % 2}", 0.01), Limits(day=0.5, own_day=0.3))
                done += 1
            except BudgetExceeded:
                continue
        await ledger.aclose()
        return done

    results.put(anyio.run(run))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are started by spawning")
def test_eight_processes_spend_a_budget_to_the_cent(where: Where):
    """Of 160 calls of a cent exactly 50 are within half a dollar, and at most 30 of either person's."""
    context = get_context("spawn")
    barrier, results = context.Barrier(8), context.Queue()
    processes = [context.Process(target=spend, args=(where, 20, barrier, results)) for _ in range(8)]
    for process in processes:
        process.start()
    assert sum(results.get(timeout=BOUND) for _ in processes) == 50
    for process in processes:
        process.join(BOUND)

    async def totals() -> list[float]:
        ledger = Ledger(where)
        sums = [round(await ledger.spent(f"payer/p{number}"), 6) for number in range(2)]
        await ledger.aclose()
        return sums

    sums = anyio.run(totals)
    assert sum(sums) == 0.5 and max(sums) <= 0.3


async def test_people_take_turns_and_beyond_the_bound_hear_when_to_come_back(where: Where):
    room = Room(whole=1, waiting=4)
    first, second = Ledger(where), Ledger(where)

    async def asked(ledger: Ledger, owner: str) -> tuple[str, str]:
        job = (await ledger.join_or_begin(order(f"payer/{owner}"), NONE, room=room)).job
        return job.job_id, job.state

    running, state = await asked(first, "many")
    assert state == "intent"
    waiting = [await asked(first, "many"), await asked(first, "many"), await asked(second, "few")]
    assert {state for _, state in waiting} == {"waiting"}
    (one, _), (two, _), (few, _) = waiting
    last, _ = await asked(second, "few")
    began = time.monotonic()
    with pytest.raises(RateLimited, match="4 jobs wait") as refused:
        await asked(second, "late")
    assert refused.value.retry_after and time.monotonic() - began < 2
    with pytest.raises(RateLimited):
        await second.check([order("payer/late")], NONE, room)
    # Whoever never had a turn is before whoever has one now.
    assert await first.admit("payer", room) == {one: 1, two: 3}
    assert await second.admit("payer", room) == {few: 0, last: 2}
    went: list[str] = []
    for ended in (running, few, one, last):
        await first.record(ended, state="completed")
        before = {one, two, few, last} - set(went)
        places = {**await first.admit("payer", room), **await second.admit("payer", room)}
        went += sorted(before - places.keys())
    assert went == [few, one, last, two]


@pytest.mark.parametrize("waiting", [0, 1, 3])
async def test_who_need_not_wait_is_let_through_however_many_others_wait(where: Where, waiting: int):
    room = Room(each=1, waiting=waiting)
    ledger = Ledger(where)

    async def asked(owner: str) -> str:
        wanted = order(f"payer/{owner}")
        await ledger.check([wanted], NONE, room)
        return (await ledger.join_or_begin(wanted, NONE, room=room)).job.state

    assert [await asked("many") for _ in range(1 + waiting)] == ["intent", *["waiting"] * waiting]
    with pytest.raises(RateLimited, match=r"as many as may|none may wait"):
        await asked("many")
    assert [await asked(owner) for owner in ("few", "late")] == ["intent", "intent"]


async def test_what_waits_is_taken_back_for_nothing(where: Where):
    room = Room(whole=1)
    ledger = Ledger(where)
    await ledger.join_or_begin(order(), NONE, room=room)
    waiting = (await ledger.join_or_begin(order(), NONE, room=room)).job
    assert await ledger.spent("me") == 0.2
    assert await ledger.withdraw(waiting.job_id) and not await ledger.withdraw(waiting.job_id)
    assert await ledger.spent("me") == 0.1
    assert await ledger.admit("me", room) == {}


async def test_what_waits_is_sent_by_whoever_takes_it_over_with_all_that_belongs_to_it(
    places: Callable[[], Where],
):
    where, room = places(), Room(whole=1)
    gone, other = Ledger(where), Ledger(where)
    await gone.join_or_begin(order(), NONE, room=room)
    wanted = order(headers={"x-fal-priority": "low"}, query={"a": "b"})
    waiting = (await gone.join_or_begin(wanted, NONE, room=room)).job
    await gone.aclose()
    taken = {job.job_id: job for job in await other.orphaned("me")}
    assert taken[waiting.job_id].state == "waiting"
    again = await other.order_of(taken[waiting.job_id])
    assert again is not None
    assert (again.arguments, again.headers, again.query) == (wanted.arguments, wanted.headers, wanted.query)


async def test_whether_a_ledger_answers_is_found_without_a_change_to_it(cluster: postgres.Cluster):
    address = cluster.database()
    assert await anyio.to_thread.run_sync(ledger_health.reached, address) >= 14
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
