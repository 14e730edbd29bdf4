"""What the ledger decides within a transaction: is it a repetition, is it within the limits, is it its turn."""

import time
from collections.abc import Container
from dataclasses import replace
from typing import Any

from fal_mcp.errors import BudgetExceeded, RateLimited
from fal_mcp.jobs import cost, joining, records, turns
from fal_mcp.jobs.cost import Limits, Spent
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.job import Job, Order, Started, begun, payer_of
from fal_mcp.jobs.turns import Candidate, Room

_MOST_COMPARED = 200
_SHORTEST_RETURN, _LONGEST_RETURN = 5.0, 600.0
_LATELY = 20


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


class Decisions:
    """The decisions of one server, `session`."""

    def __init__(self, store: Store, session: str, *, keeps_arguments: bool) -> None:
        self._store = store
        self._session = session
        self._keeps_arguments = keeps_arguments

    def join_or_begin(
        self,
        database: Database,
        order: Order,
        limits: Limits,
        room: Room,
        answering: Container[str],
        full: Full | None = None,
    ) -> Started:
        """As `Ledger.join_or_begin`. What is refused leaves nothing behind, and the transaction can go on; `full` is
        what came before in it and was refused for want of room."""
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
        if full is not None and full.is_for(order.payer):
            raise full.told()
        self.check(database, order, limits)
        return Started(self._begun(database, order, room), False)

    def repeated(self, database: Database, order: Order, answering: Container[str]) -> Job | None:
        """The job that this order would join."""
        now = database.now()
        came = _came(now, order)
        where = (
            "owner = ? AND digest = ? AND (asked >= ? OR detached >= ?) "
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
            spent = self.spent(database, order.owner)
            cost.check(order.endpoint_id, cost.micro(order.price), order.price_note, limits, spent)

    def check_together(self, database: Database, orders: list[Order], limits: Limits, room: Room) -> None:
        """Refuse orders of one call that would go over a limit, each or together, or for which nothing is left to
        wait in.

        Raises:
            BudgetExceeded, RateLimited: they would.
        """
        first = orders[0]
        if room.is_limited:
            check_waiting(database, first.payer, room)
        if not limits.are_set:
            return
        for order in orders:
            self.check(database, order, limits)
        spent = self.spent(database, first.owner)
        cost.check_together([cost.micro(order.price) for order in orders], limits, spent)

    def spent(self, database: Database, owner: str) -> Spent:
        """What is spent in this session and on this day: by all of the account, and by this owner."""
        account = payer_of(owner)
        day = cost.midnight(database.now())
        everybody = own = records.spent(database, "account = ? AND created >= ?", account, day)
        if owner != account:
            own = records.spent(database, "owner = ? AND created >= ?", owner, day)
        return Spent(
            session=records.spent(database, "account = ? AND session = ?", account, self._session),
            day=everybody,
            own_day=own,
        )

    def alive(self, database: Database, jobs: list[Job]) -> set[str]:
        """Those servers of these jobs that live."""
        sessions: dict[str, float] = {}
        for job in jobs:
            # The newest sign of life of each, for disks where locks say nothing.
            sessions[job.session] = max(job.updated, sessions.get(job.session, 0.0))
        return self._store.alive(database, sessions) if sessions else set()

    def admit(self, database: Database, account: str, room: Room) -> dict[str, int]:
        """Give those of this server's jobs their turn that have it; the place of each that waits on."""
        waiting = records.waiting(database, account)
        order, go = self._line(database, account, room, waiting)
        mine = {row[0] for row in waiting if row[2] == self._session}
        # Each server its own: one that ends between the two would leave a job of which nobody knows if it was sent.
        for job in go:
            if job.job_id in mine:
                records.admit(database, job.job_id, database.now())
        gone = {job.job_id for job in go}
        left = [job.job_id for job in order if job.job_id not in gone]
        places = {job_id: place for place, job_id in enumerate(left)}
        return {job_id: places[job_id] for job_id in mine if job_id in places}

    def _line(
        self, database: Database, account: str, room: Room, waiting: list[records.Waiting], newcomer: str = ""
    ) -> tuple[list[Candidate], list[Candidate]]:
        """These jobs as they will get their turn, and those of them that have it now."""
        seen = {row[2]: row[3] for row in waiting}
        alive = self._store.alive(database, seen) if seen else set[str]()
        # A server that is gone submits nothing: its jobs wait for whoever takes them over, and hold up nobody.
        candidates = [Candidate(row[0], row[1]) for row in waiting if row[2] in alive]
        order = turns.in_turn(candidates, records.last_turns(database, account, newcomer))
        return order, turns.admitted(order, records.running(database, account), room)

    def _asked_again(self, database: Database, job: Job, order: Order) -> Job:
        # Its answer is this call's now: where that does not arrive, the next call is owed it.
        statement = (
            "UPDATE job SET asked = ?, call_id = ?, connection = ?, detached = NULL, answered = NULL WHERE job_id = ?"
        )
        database.execute(statement, (_came(database.now(), order), order.call_id, order.connection, job.job_id))
        return records.whole(database, "job_id = ?", job.job_id) or job

    def _begun(self, database: Database, order: Order, room: Room) -> Job:
        now = database.now()
        job = begun(order, now, _came(now, order), self._session, keeps_arguments=self._keeps_arguments)
        if not room.is_limited:
            records.insert(database, job)
            return job
        waiting = records.waiting(database, order.payer)
        if len(waiting) >= room.waiting:
            # Asked before anything is written: a refusal is to leave nothing behind.
            new = (job.job_id, order.owner, self._session, now)
            _, go = self._line(database, order.payer, room, [*waiting, new], order.owner)
            if all(one.job_id != job.job_id for one in go):
                raise _full(database, order.payer, room)
        job = replace(job, state="waiting")
        records.insert(database, job, sending=order)
        return job if job.job_id in self.admit(database, order.payer, room) else replace(job, state="intent")


def check_waiting(database: Database, account: str, room: Room) -> None:
    """Refuse where as many wait as may.

    Raises:
        Full: they do; it says when to come back.
    """
    if records.count_waiting(database, account) >= room.waiting:
        raise _full(database, account, room)


def _came(now: float, order: Order) -> float:
    """When the order's call reached this server, by the ledger's clock."""
    return now - (0.0 if order.came is None else max(time.monotonic() - order.came, 0.0))


def _full(database: Database, account: str, room: Room) -> Full:
    each = records.usual_seconds(database, account, _LATELY)
    seconds = min(max(each * room.waiting / max(room.whole or 1, 1), _SHORTEST_RETURN), _LONGEST_RETURN)
    running = sum(records.running(database, account).values())
    return Full(
        f"{room.waiting} jobs wait here for their turn already, which is as many as may.",
        retry_after=seconds,
        hint=f"Nothing was sent, and it costs nothing. Call again in about {seconds:.0f} seconds.",
        account=account,
        is_everybodys=room.whole is not None and running >= room.whole,
    )
