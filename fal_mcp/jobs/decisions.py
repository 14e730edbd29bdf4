"""What the ledger decides within a transaction: is it a repetition, is it within the limits, is it its turn."""

import time
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fal_mcp.errors import BudgetExceeded, RateLimited
from fal_mcp.jobs import cost, joining, records
from fal_mcp.jobs.cost import Limits, Spent
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.job import Job, Order, Started, begun, payer_of
from fal_mcp.jobs.turns import Candidate, Line, Room

_MOST_COMPARED = 200
_SHORTEST_RETURN, _LONGEST_RETURN = 5.0, 600.0
_LATELY = 20
_ITSELF = ""
"""The id of a job that is only asked about."""


class Full(RateLimited):
    """As many jobs of an account wait as may; `is_everybodys`: and as many run, so that nobody's would go at once."""

    def __init__(self, message: str, *, account: str, is_everybodys: bool, **more: Any) -> None:
        super().__init__(message, **more)
        self.account = account
        self.is_everybodys = is_everybodys

    def is_for(self, account: str) -> bool:
        """Whether another job of this account would be refused as well, whosever it is."""
        return self.is_everybodys and self.account == account

    def told(self) -> RateLimited:
        """What callers are told of it; one each, as what is raised is marked on its way."""
        return RateLimited(self.message, retry_after=self.retry_after, hint=self.hint)


@dataclass(slots=True)
class Round:
    """The decisions of one transaction, about orders of these owners; what is known since of each account's line, and
    why there is no room in it."""

    database: Database
    owners: frozenset[str]
    lines: dict[str, Line] = field(default_factory=dict[str, Line])
    full: dict[str, Full] = field(default_factory=dict[str, Full])


class Decisions:
    """The decisions of one server, `session`."""

    def __init__(self, store: Store, session: str, *, keeps_arguments: bool) -> None:
        self._store = store
        self._session = session
        self._keeps_arguments = keeps_arguments

    def join_or_begin(
        self, together: Round, order: Order, limits: Limits, room: Room, answering: Container[str]
    ) -> Started:
        """As `Ledger.join_or_begin`. What is refused leaves nothing behind, so that the transaction can go on."""
        database = together.database
        # Joining comes before the limits: what is paid for already costs nothing more, however little is left.
        job = None if order.is_fresh else self.repeated(database, order, answering)
        if job is not None:
            return Started(self._asked_again(database, job, order), True)
        # Nobody was asked about money because there seemed to be none to pay; it was, a moment ago.
        if order.is_only_joined:
            raise BudgetExceeded(
                "The job that this call would have joined has just ended without a result.",
                hint="Nothing was sent. Call again to begin another; the user is asked first.",
            )
        if (full := together.full.get(order.payer)) is not None:
            raise full.told()
        self.check(database, order, limits)
        return Started(self._begun(together, order, room), False)

    def repeated(self, database: Database, order: Order, answering: Container[str]) -> Job | None:
        """The job that this order would join."""
        now = database.now()
        came = _came(now, order)
        where = (
            f"owner = ? AND digest = ? AND (asked >= ? OR detached >= ?) AND {joining.MAY_BE_OWED} "
            f"ORDER BY created DESC, rowid DESC LIMIT {_MOST_COMPARED}"
        )
        since = now - joining.MOMENTS_AGO
        jobs = list(records.jobs(database, where, order.owner, order.digest, since, since))
        alive = self.alive(database, jobs)
        return next((job for job in jobs if joining.joins(job, order, came, alive, answering)), None)

    def check(self, database: Database, order: Order, limits: Limits) -> None:
        """Refuse what would go over a limit.

        Raises:
            BudgetExceeded: it would.
        """
        if limits.are_set:
            records.check_open(database)
            spent = self.spent(database, order.owner, limits)
            cost.check(order.endpoint_id, cost.micro(order.price), order.price_note, limits, spent)

    def check_together(self, database: Database, orders: list[Order], limits: Limits, room: Room) -> None:
        """Refuse orders of one call that would go over a limit, each or together, or for which nothing is left to
        wait in.

        Raises:
            BudgetExceeded, RateLimited: they would.
        """
        first = orders[0]
        if room.is_limited and records.count_waiting(database, first.payer) >= room.waiting:
            line = self._line(database, first.payer, room, [first.owner])
            # Whoever need not wait is not refused because others do.
            if not line.goes(Candidate(_ITSELF, first.owner)):
                raise _full(database, first.payer, line)
        if not limits.are_set:
            return
        for order in orders:
            self.check(database, order, limits)
        if len(orders) > 1:
            spent = self.spent(database, first.owner, limits)
            cost.check_together([cost.micro(order.price) for order in orders], limits, spent)

    def spent(self, database: Database, owner: str, limits: Limits | None = None) -> Spent:
        """What is spent in this session and on this day, by all of the account and by this owner; with limits, only
        what they are about."""
        account = payer_of(owner)
        day = cost.midnight(database.now())
        # Each walks through a day's jobs, and all servers wait for it.
        session = everybody = own = 0
        if limits is None or limits.session is not None:
            session = records.spent(database, "account = ? AND session = ?", account, self._session)
        if limits is None or limits.day is not None:
            everybody = records.spent(database, "account = ? AND created >= ?", account, day)
        if limits is None or limits.own_day is not None:
            own = records.spent(database, "owner = ? AND created >= ?", owner, day)
        return Spent(session=session, day=everybody, own_day=own)

    def alive(self, database: Database, jobs: list[Job]) -> set[str]:
        """Those servers of these jobs that live."""
        sessions: dict[str, float] = {}
        for job in jobs:
            # The newest sign of life of each, for disks where locks say nothing.
            sessions[job.session] = max(job.updated, sessions.get(job.session, 0.0))
        return self._store.alive(database, sessions) if sessions else set()

    def admit(self, database: Database, account: str, room: Room) -> dict[str, int]:
        """Give those of this server's waiting jobs their turn that have it; the place of each that waits on."""
        rows = records.waiting(database, account)
        mine = {row[0] for row in rows if row[2] == self._session}
        line = self._line_of(database, account, room, rows)
        go = line.go
        # Each server its own: one that ends between the two would leave a job of which nobody knows if it was sent.
        for job_id in go & mine:
            records.admit(database, job_id, database.now())
        left = [job.job_id for job in line.order if job.job_id not in go]
        return {job_id: place for place, job_id in enumerate(left) if job_id in mine}

    def _line(self, database: Database, account: str, room: Room, owners: Iterable[str]) -> Line:
        return self._line_of(database, account, room, records.waiting(database, account), owners)

    def _line_of(
        self,
        database: Database,
        account: str,
        room: Room,
        rows: list[records.WaitingRow],
        owners: Iterable[str] = (),
    ) -> Line:
        seen = {row[2]: row[3] for row in rows}
        alive = self._store.alive(database, seen) if seen else set[str]()
        # A server that is gone submits nothing: its jobs wait for whoever takes them over, and hold up nobody.
        waiting = [Candidate(row[0], row[1]) for row in rows if row[2] in alive]
        last = records.last_turns(database, account, owners)
        return Line(room, waiting, last, records.running(database, account), len(rows))

    def _asked_again(self, database: Database, job: Job, order: Order) -> Job:
        # Its answer is this call's now: where that does not arrive, the next call is owed it.
        statement = (
            "UPDATE job SET asked = ?, call_id = ?, connection = ?, detached = NULL, answered = NULL WHERE job_id = ?"
        )
        database.execute(statement, (_came(database.now(), order), order.call_id, order.connection, job.job_id))
        return records.whole(database, "job_id = ?", job.job_id) or job

    def _begun(self, together: Round, order: Order, room: Room) -> Job:
        now = together.database.now()
        job = begun(order, now, _came(now, order), self._session, keeps_arguments=self._keeps_arguments)
        if not room.is_limited:
            records.insert(together.database, job)
            return job
        line = together.lines.get(order.payer)
        if line is None:
            line = self._line(together.database, order.payer, room, together.owners)
            together.lines[order.payer] = line
        candidate = Candidate(job.job_id, order.owner)
        if line.goes(candidate):
            records.insert(together.database, job)
            line.went(candidate, now)
            return job
        if line.is_full:
            full = _full(together.database, order.payer, line)
            if full.is_everybodys:
                together.full[order.payer] = full
            raise full
        job = replace(job, state="waiting")
        records.insert(together.database, job, sending=order)
        line.waits(candidate)
        return job


def _came(now: float, order: Order) -> float:
    """When the order's call reached this server, by the ledger's clock."""
    return now - (0.0 if order.came is None else max(time.monotonic() - order.came, 0.0))


def _full(database: Database, account: str, line: Line) -> Full:
    room = line.room
    each = records.usual_seconds(database, account, _LATELY)
    seconds = min(max(each * room.waiting / max(room.whole or 1, 1), _SHORTEST_RETURN), _LONGEST_RETURN)
    waiting = f"{room.waiting} jobs wait here for their turn already, which is as many as may."
    return Full(
        waiting if room.waiting else "As many jobs run as may, and none may wait here for its turn.",
        retry_after=seconds,
        hint=f"Nothing was sent, and it costs nothing. Call again in about {seconds:.0f} seconds.",
        account=account,
        is_everybodys=line.is_taken,
    )
