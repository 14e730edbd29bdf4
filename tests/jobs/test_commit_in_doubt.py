"""A connection that is lost in a commit: what became of it is asked, and nothing stands that nobody knows of. And one
whose server is stopped in the middle of a transaction: it holds up no other."""

import time
from contextlib import suppress

import anyio
import pytest

from fal_mcp.errors import BudgetExceeded, NotRecorded
from fal_mcp.jobs.ledger import Ledger, Limits
from tests import postgres
from tests.jobs.test_team import NONE, order
from tests.postgres_proxy import Cut, proxied

BOUND = 30
SHORT = 6
"""Seconds; a silence of the store's has twelve where the server does not end."""
CUTS = pytest.mark.parametrize("is_taken", [False, True], ids=["before the store took it", "after the store took it"])


@CUTS
async def test_what_is_begun_over_a_connection_that_is_lost_is_begun_once(cluster: postgres.Cluster, is_taken: bool):
    address = cluster.database()
    async with proxied(address) as proxy:
        ledger = Ledger(proxy.address)
        await ledger.listed("me")
        proxy.cut = Cut("INSERT INTO job", is_taken)
        job = await ledger.begin(order(), Limits(day=0.15))
        assert [one.job_id for one in await ledger.listed("me")] == [job.job_id] and not proxy.is_due
        with pytest.raises(BudgetExceeded):
            await ledger.begin(order(), Limits(day=0.15))
        await ledger.aclose()


@CUTS
async def test_an_amount_is_charged_once(cluster: postgres.Cluster, is_taken: bool):
    address = cluster.database()
    async with proxied(address) as proxy:
        ledger = Ledger(proxy.address)
        job = await ledger.begin(order(), NONE)
        proxy.cut = Cut("price_micro = ", is_taken)
        await ledger.add(job.job_id, order(), NONE)
        assert await ledger.spent("me") == 0.2 and not proxy.is_due
        await ledger.aclose()


@CUTS
async def test_what_cannot_be_asked_about_in_time_is_taken_back_later(cluster: postgres.Cluster, is_taken: bool):
    """The store stays away for longer than a call waits for it: the call hears that nothing was sent, and so it is."""
    address = cluster.database()
    async with proxied(address) as proxy:
        ledger = Ledger(proxy.address)
        kept = await ledger.begin(order(), NONE)
        proxy.cut = Cut("INSERT INTO job", is_taken, stays_away=True)
        with pytest.raises(NotRecorded, match="lost while it took this down"):
            await ledger.begin(order(), NONE)
        proxy.cut = Cut("price_micro = ", is_taken, stays_away=True)
        proxy.is_away = False
        with pytest.raises(NotRecorded, match="lost while it took this down"):
            await ledger.add(kept.job_id, order(), NONE)
        proxy.is_away = False
        await ledger.store.renew()
        assert await ledger.spent("me") == 0.1
        states = sorted(job.state for job in await ledger.listed("me"))
        assert states == (["cancelled", "intent"] if is_taken else ["intent"])
        await ledger.aclose()


async def test_a_store_that_falls_silent_is_given_up_and_taken_again_once_it_speaks(cluster: postgres.Cluster):
    """What waits for it stands in a thread, which no cancellation ends."""
    async with proxied(cluster.database()) as proxy:
        ledger = Ledger(proxy.address)
        before = await ledger.begin(order(), NONE)
        # The proxy closes what it is silent on in the end, or without a bound of ours this would last for ever.
        proxy.silent_for = 60.0
        began = time.monotonic()
        with pytest.raises(NotRecorded, match="cannot be reached"):
            await ledger.begin(order(), NONE)
        assert time.monotonic() - began < BOUND
        proxy.silent_for = 0.0
        after = await ledger.begin(order(), NONE)
        assert {job.job_id for job in await ledger.listed("me")} == {before.job_id, after.job_id}
        await ledger.aclose()


async def test_a_server_that_ends_gives_up_a_silent_store_sooner_and_one_that_answers_not_at_all(
    cluster: postgres.Cluster,
):
    async with proxied(cluster.database()) as proxy:
        ledger = Ledger(proxy.address)
        await ledger.begin(order(), NONE)
        ledger.store.hurry(0.0)
        last = await ledger.begin(order(), NONE)
        assert {job.job_id for job in await ledger.listed("me")} >= {last.job_id}
        proxy.silent_for = 60.0
        with anyio.fail_after(SHORT):
            async with anyio.create_task_group() as tasks:
                for _ in range(12):
                    tasks.start_soon(_refused, ledger)
            await ledger.aclose()


async def _refused(ledger: Ledger) -> None:
    with pytest.raises(NotRecorded, match="cannot be reached"):
        await ledger.listed("me")


@pytest.mark.parametrize("words", [b"SET answered", b"SET detached", b"FOR UPDATE"])
async def test_a_server_that_is_stopped_in_the_middle_of_a_transaction_holds_up_no_other(
    cluster: postgres.Cluster, words: bytes
):
    """Wherever it is: PostgreSQL ends what lies idle, and takes nothing for idle on which more was said since."""
    address = cluster.database()
    async with proxied(address) as proxy:
        stopped, other = Ledger(proxy.address), Ledger(address)
        job, more = [await stopped.begin(order(), NONE) for _ in range(2)]
        proxy.stop = words

        async def write() -> None:
            with suppress(NotRecorded):
                await {
                    b"SET answered": lambda: stopped.answered([job.job_id, more.job_id]),
                    b"SET detached": lambda: stopped.left([job.job_id, more.job_id]),
                    b"FOR UPDATE": lambda: stopped.record(job.job_id, state="queued"),
                }[words]()

        with anyio.fail_after(BOUND):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                await proxy.stopped.wait()
                assert await other.record(job.job_id, state="running")
        await stopped.aclose()
        await other.aclose()
