"""Many orders at once are decided together, and each as if it were alone."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from fal_mcp.errors import BudgetExceeded, RateLimited
from fal_mcp.jobs.database import Database, T
from fal_mcp.jobs.decisions import Decisions
from fal_mcp.jobs.desk import Asked, Desk
from fal_mcp.jobs.job import Order, Started
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.store import SqliteStore
from fal_mcp.jobs.turns import Room
from tests.jobs.conftest import Where

BOUND = 30
ANY = Room()


class Counting(SqliteStore):
    """A store in memory that counts its pieces of work."""

    count = 0

    async def run(
        self,
        work: Callable[[Database], T],
        undo: Callable[[Database], object] | None = None,
        *,
        is_urgent: bool = False,
    ) -> T:
        self.count += 1
        return await super().run(work, undo, is_urgent=is_urgent)


def order(owner: str = "me", arguments: Any = None, price: float = 0.01) -> Order:
    return Order("a/b", arguments or {"prompt": "x"}, owner, price, is_fresh=True)


async def at_once(count: int, decided: Callable[[int], Awaitable[Started]]) -> list[Any]:
    """What came of so many in one moment."""
    outcomes: list[Any] = [None] * count

    async def one(number: int) -> None:
        try:
            outcomes[number] = await decided(number)
        except Exception as error:
            outcomes[number] = error

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)
    return outcomes


async def together(ledger: Ledger, orders: list[Order], limits: Limits, room: Room = ANY) -> list[Any]:
    """What came of orders that came in one moment."""
    return await at_once(len(orders), lambda number: ledger.join_or_begin(orders[number], limits, room=room))


async def test_a_hundred_at_once_are_a_few_transactions_and_spend_to_the_cent():
    store = Counting(None, "here")
    desk = Desk(store, Decisions(store, "here", keeps_arguments=True))

    async def decided(number: int) -> Started:
        return await desk.decided(Asked(order(), Limits(day=0.6), ANY, frozenset()))

    outcomes = await at_once(100, decided)
    assert [isinstance(one, Started) for one in outcomes] == [True] * 60 + [False] * 40
    assert all(isinstance(one, BudgetExceeded) for one in outcomes[60:])
    assert store.count <= 4


async def test_one_that_is_refused_leaves_nothing_and_takes_nobody_along(where: Where):
    ledger = Ledger(where)
    outcomes = await together(ledger, [order(price=price) for price in (0.3, 9.0, 0.3)], Limits(day=1.0))
    assert [type(one) for one in outcomes] == [Started, BudgetExceeded, Started]
    assert await ledger.spent("me") == 0.6 and len(await ledger.listed("me")) == 2
    await ledger.aclose()


async def test_beyond_the_bound_of_those_that_wait_nothing_is_written(where: Where):
    ledger, room = Ledger(where), Room(whole=2, waiting=3)
    outcomes = await together(ledger, [order(f"payer/{number}") for number in range(9)], Limits(), room)
    assert [isinstance(one, RateLimited) for one in outcomes] == [False] * 5 + [True] * 4
    assert [one.job.state for one in outcomes[:5]] == ["intent"] * 2 + ["waiting"] * 3
    rows = [job for number in range(9) for job in await ledger.listed(f"payer/{number}")]
    assert len(rows) == 5
    await ledger.aclose()


async def test_whoever_is_at_their_own_limit_holds_up_nobody_beyond_the_bound(where: Where):
    """All places to wait in are taken by one person; another, for whom there is room, goes at once."""
    ledger, room = Ledger(where), Room(each=1, waiting=2)
    outcomes = await together(ledger, [order("payer/many") for _ in range(4)], Limits(), room)
    assert [isinstance(one, RateLimited) for one in outcomes] == [False] * 3 + [True]
    assert (await ledger.join_or_begin(order("payer/few"), Limits(), room=room)).job.state == "intent"
    await ledger.aclose()


async def test_a_fault_in_one_order_is_that_order_s_alone(where: Where):
    ledger = Ledger(where)
    outcomes = await together(ledger, [order(), order(arguments={"prompt": object()}), order()], Limits())
    assert [type(one) for one in outcomes] == [Started, TypeError, Started]
    await ledger.aclose()


async def test_whoever_hangs_up_while_it_is_decided_knows_of_the_row(where: Where):
    ledger = Ledger(where)
    await ledger.listed("me")
    known: list[str] = []

    async def one() -> None:
        known.append((await ledger.join_or_begin(order(), Limits())).job.job_id)

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert sorted(known) == sorted(job.job_id for job in await ledger.listed("me"))
    await ledger.aclose()
