"""Money: finite, never negative, exact in sums, and booked by what became of a job."""

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs import cost
from fal_mcp.jobs.cost import Limits, Spent, State
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger

STATES = get_args(State)
FREE = {("failed", False), ("cancelled", False)}
prices = st.none() | st.floats() | st.integers(-10, 10**30)


@given(prices)
def test_a_price_is_a_whole_number_of_millionths_rounded_up_or_none(price: Any):
    amount = cost.micro(price)
    is_money = price is not None and math.isfinite(price) and price >= 0
    assert (amount is not None) is is_money
    if amount is not None and price is not None:
        assert amount >= 0 and (amount > 0) is (price > 0)
        assert amount >= min(price, 1e9) * 1e6 * (1 - 1e-12)


@pytest.mark.parametrize(("price", "amount"), [(5e-7, 1), (1e-12, 1), (0.025, 25_000), (0.1, 100_000), (1e300, 10**15)])
def test_what_costs_is_not_free(price: float, amount: int):
    assert cost.micro(price) == amount


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("has_run", [True, False])
def test_what_a_job_is_booked_at_in_every_state(state: State, has_run: bool):
    """fal bills neither what had not begun nor its own failures, which count as that; all else may be."""
    expected = 0 if (state, has_run) in FREE else 5
    assert cost.booked(state, 5, None, has_run) == expected
    assert cost.booked(state, None, None, has_run) == 0
    assert cost.booked(state, 5, 7, has_run) == 7, "fal's bill decides"
    job = Job("j", "a/b", "o", "d", state, 0, 0, price=5e-6, has_run=has_run)
    assert job.cost == expected / 1e6


@given(
    st.lists(st.tuples(st.floats(0, 3), st.sampled_from(STATES), st.booleans()), max_size=12),
    st.floats(0, 5),
    st.floats(0, 3),
)
def test_no_run_of_events_lets_more_through_than_a_limit(
    events: list[tuple[float, State, bool]], limit: float, price: float
):
    spent = sum(cost.booked(state, cost.micro(given), None, ran) for given, state, ran in events)
    amount = cost.micro(price)
    assert amount is not None
    try:
        cost.check("a/b", amount, "", Limits(day=limit), Spent(day=spent))
    except BudgetExceeded:
        assert spent + amount > limit * 1e6 - 1
    else:
        assert spent + amount <= limit * 1e6


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7, 0.025, 1e-6, 3e-7]), max_size=50))
def test_sums_are_exact(amounts: list[float]):
    whole = [cost.micro(amount) or 0 for amount in amounts]
    cost.check_together([*whole], Limits(day=sum(whole) / 1e6), Spent())


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        (("failed",), False),
        (("cancelled",), False),
        (("queued", "cancelled"), False),
        (("queued", "running", "cancelled"), True),
        (("unknown",), True),
        (("unknown", "lost"), True),
        (("running", "lost"), True),
        # What the model refused after it had begun.
        (("running", "failed"), True),
        (("queued", "failed"), False),
        (("completed",), True),
    ],
)
async def test_budgets_count_what_may_be_billed(states: tuple[State, ...], counts: bool):
    """Begun, cancelled and begun again gets past no budget once the model ran."""
    ledger, limits = Ledger(None), Limits(session=0.25)
    order = Order("a/b", {}, "me", 0.2)
    job = await ledger.begin(order, limits)
    for state in states:
        await ledger.record(job.job_id, state=state)
    if not counts:
        await ledger.begin(order, limits)
    with pytest.raises(BudgetExceeded, match=r"0\.2 USD are spent, and --session-budget is 0\.25"):
        await ledger.begin(order, limits)
