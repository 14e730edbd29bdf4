"""A connection that is lost in a commit: what became of it is asked, and nothing stands that nobody knows of."""

import pytest

from fal_mcp.errors import BudgetExceeded, NotRecorded
from fal_mcp.jobs.ledger import Ledger, Limits
from tests import postgres
from tests.jobs.test_team import NONE, order
from tests.postgres_proxy import Cut, proxied

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
