"""A job that is billed by how long it runs comes to that once it has run."""

import math
from dataclasses import replace

import pytest

from fal_mcp.jobs import by_time
from fal_mcp.jobs.job import Job, Order, begun
from fal_mcp.jobs.ledger import Ledger, Limits

NOW = 1_800_000_000.0
ORDER = Order("me/draw", {}, price=1.0, price_note="before", per_second=0.002, rate_note="GPU-H100 at $0.002 a second")


def job(per_second: float | None = 0.002) -> Job:
    return begun(replace(ORDER, per_second=per_second), NOW, NOW, "session", keeps_arguments=True)


def test_what_ran_comes_to_its_seconds():
    settled = by_time.settled(job(), 4.2, NOW + 10)
    assert settled == {
        "price": pytest.approx(0.0084),
        "price_note": "estimated: it ran 4.2 s; GPU-H100 at $0.002 a second",
    }


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 1e308, 71.0])
def test_seconds_that_cannot_be_leave_it_as_it_was(seconds: float):
    assert by_time.settled(job(), seconds, NOW + 10) == {}


@pytest.mark.parametrize("per_second", [None, 0.0])
def test_what_has_a_price_of_its_own_keeps_it(per_second: float | None):
    assert by_time.settled(job(per_second), 4.2, NOW + 10) == {}


async def test_the_ledger_keeps_the_rate_and_books_what_it_came_to():
    ledger = Ledger(None)
    begun = await ledger.begin(ORDER, Limits(day=5.0))
    assert await ledger.spent(ORDER.owner, 0) == 1.0
    found = await ledger.get(begun.job_id, ORDER.owner)
    assert found is not None and (found.per_second, found.rate_note) == (0.002, "GPU-H100 at $0.002 a second")
    await ledger.record(found.job_id, state="completed", **by_time.settled(found, 4.2, ledger.now()))
    assert await ledger.spent(ORDER.owner, 0) == pytest.approx(0.0084)
    await ledger.aclose()
