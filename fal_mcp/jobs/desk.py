"""The desk at which one server decides about orders: those that come while it is busy go together.

Each decision is a transaction that all servers of a ledger take turns at, and that is on the disk when it is over: one
for each of hundreds of calls at once would keep all of them waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from fal_mcp.errors import BudgetExceeded, FalError, NotRecorded, RateLimited
from fal_mcp.jobs import records
from fal_mcp.jobs.cost import Limits
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.decisions import Decisions, Round
from fal_mcp.jobs.job import Order, Started
from fal_mcp.jobs.turns import Room

_MOST_TOGETHER = 50


@dataclass(slots=True, eq=False)
class Asked:
    """An order, what is looked at with it, and what came of it once that is known."""

    order: Order
    limits: Limits
    room: Room
    answering: frozenset[str]
    outcome: Started | Exception | None = None


class Desk:
    """The desk of one server."""

    def __init__(self, store: Store, decisions: Decisions) -> None:
        self._store = store
        self._decisions = decisions
        self._asked: list[Asked] = []
        self._turn = anyio.Lock()

    async def decided(self, asked: Asked) -> Started:
        """As `Ledger.join_or_begin`."""
        self._asked.append(asked)
        # Whoever hangs up now may have a row before that is noticed, and has to see to it.
        with anyio.CancelScope(shield=True):
            async with self._turn:
                # Their turn is the order in which they came: the first that is not decided is this one.
                if asked.outcome is None:
                    together, self._asked = self._asked[:_MOST_TOGETHER], self._asked[_MOST_TOGETHER:]
                    await self._decide(together)
        assert asked.outcome is not None
        if isinstance(asked.outcome, Exception):
            raise asked.outcome
        return asked.outcome

    async def _decide(self, together: Sequence[Asked]) -> None:
        begun: list[str] = []

        def decide(database: Database) -> list[Started | Exception]:
            round_ = Round(database, frozenset(asked.order.owner for asked in together))
            with database.transaction(decides=True):
                outcomes: list[Started | Exception] = [self._outcome(round_, asked) for asked in together]
                # Before it is committed: whether that came about may be known only later.
                begun[:] = [one.job.job_id for one in outcomes if isinstance(one, Started) and not one.is_joined]
                return outcomes

        def take_back(database: Database) -> None:
            # What was refused is submitted by nobody: it must not stand as if it were about to be.
            records.release(database, begun, database.now())

        try:
            outcomes = await self._store.run(decide, take_back, is_urgent=True)
        except NotRecorded as error:
            # One each: what is raised is marked on its way.
            outcomes = [NotRecorded(error.message, hint=error.hint) for _ in together]
        except Exception as error:
            if len(together) > 1:
                # Nothing of it was written. Whosever fault it is, the others have none.
                for asked in together:
                    await self._decide([asked])
                return
            outcomes = [error]
        for asked, outcome in zip(together, outcomes, strict=True):
            asked.outcome = outcome

    def _outcome(self, round_: Round, asked: Asked) -> Started | FalError:
        try:
            return self._decisions.join_or_begin(round_, asked.order, asked.limits, asked.room, asked.answering)
        except (BudgetExceeded, RateLimited) as refusal:
            return refusal
