"""What an operator sees of a ledger: the jobs and the money of all who share it. Nothing that callers use asks here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fal_mcp.jobs import cost, records
from fal_mcp.jobs.cost import State
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.job import UNFINISHED, Job
from fal_mcp.json_values import number_of, text_of

_SUMS = (
    f"count(*), {records.summed('price_micro')}, {records.summed('billed_micro')}, {records.summed('booked')}, "
    "SUM(CASE WHEN price_micro IS NULL AND billed_micro IS NULL THEN 1 ELSE 0 END)"
)


@dataclass(frozen=True, slots=True)
class Sums:
    """What some jobs were thought to cost when they were begun, what fal is known to have billed, and what they count
    for against budgets, in USD; and of how many nothing is known."""

    jobs: int
    estimated: float
    billed: float
    counted: float
    unpriced: int


@dataclass(frozen=True, slots=True)
class OwnersDay:
    """One owner's jobs that were begun on one UTC day, which starts at `day`, in seconds since 1970."""

    day: float
    owner: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Standing:
    """How a ledger stands now. `today` is of all jobs that were begun on this UTC day, `waited` for how many seconds
    the one that waits longest has been waiting, and `servers` how many live; `left` are jobs whose server does not."""

    unfinished: dict[State, int] = field(default_factory=dict[State, int])
    today: Sums = Sums(0, 0.0, 0.0, 0.0, 0)
    waited: float = 0.0
    servers: int = 0
    left: int = 0


class Overview:
    """All of one ledger.

    Any of its methods raises `NotRecorded` where the ledger cannot be used.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def jobs(self, limit: int) -> list[Job]:
        """Everybody's jobs without their outputs, the newest first."""
        where = "created >= 0 ORDER BY created DESC, rowid DESC LIMIT ?"
        return await self._store.run(lambda database: list(records.jobs(database, where, limit)))

    async def by_owner_and_day(self, days: int) -> list[OwnersDay]:
        """What was begun on each of the last so many UTC days, today among them, the newest first."""
        return await self._store.run(lambda database: _by_owner_and_day(database, days))

    async def standing(self) -> Standing:
        """How it stands now."""
        return await self._store.run(self._standing)

    def _standing(self, database: Database) -> Standing:
        now = database.now()
        statement = (
            f"SELECT session, state, count(*), MAX(updated), MIN(created) FROM job WHERE state IN {UNFINISHED} "
            "GROUP BY session, state"
        )
        rows = database.execute(statement).fetchall()
        states: dict[State, int] = {}
        for row in rows:
            states[row[1]] = states.get(row[1], 0) + int(row[2])
        alive = self._store.alive(database, {row[0]: number_of(row[3]) or 0.0 for row in rows}) if rows else set[str]()
        since = [number_of(row[4]) or now for row in rows if row[1] == "waiting"]
        today = database.execute(f"SELECT {_SUMS} FROM job WHERE created >= ?", (cost.midnight(now),)).fetchone()
        return Standing(
            states,
            _sums(today),
            waited=max(now - min(since), 0.0) if since else 0.0,
            servers=self._store.living(database),
            left=sum(int(row[2]) for row in rows if row[0] not in alive),
        )


def _by_owner_and_day(database: Database, days: int) -> list[OwnersDay]:
    today = cost.midnight(database.now())
    statement = f"SELECT owner, {_SUMS} FROM job WHERE created >= ? AND created < ? GROUP BY owner ORDER BY owner"
    # A day at a time: the two engines round a division in ways of their own.
    starts = [today - number * cost.DAY for number in range(days)]
    return [
        OwnersDay(start, text_of(row[0]) or "", _sums(row[1:]))
        for start in starts
        for row in database.execute(statement, (start, start + cost.DAY)).fetchall()
    ]


def _sums(row: Sequence[Any]) -> Sums:
    # None where there is no row to add up.
    count, estimated, billed, counted, unpriced = (int(value or 0) for value in row)
    usd = [cost.dollars(amount) or 0.0 for amount in (estimated, billed, counted)]
    return Sums(count, *usd, unpriced=unpriced)
