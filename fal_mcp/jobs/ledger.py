"""The ledger of paid work: one row a job, written before it is submitted and at every change since. SQLite.

The write-ahead log keeps a row that was written through `kill -9` at any moment, and lets several servers share one
ledger. What decides is one transaction: join what was asked for already, or refuse by the limits, or write the row.
Nothing here touches the event loop, and nothing is asked of the order in which work arrives: another engine, with its
own clock and for several machines, can take this one's place.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fal_mcp.client.queue import Request
from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs import cost, joining, records, rows, schema
from fal_mcp.jobs.cost import Limits, Spent
from fal_mcp.jobs.job import FIRST_OWNER, UNFINISHED, Job, Order, Started, begun
from fal_mcp.jobs.leases import Leases
from fal_mcp.jobs.store import BUSY_SECONDS, CLOSED, Store
from fal_mcp.jobs.uploads import Uploads

__all__ = ["Ledger", "Limits"]
_MOST_COMPARED = 200

Clock = Callable[[], float]


class Ledger:
    """One server's view of the ledger. Opened when it is first needed; every operation is one transaction.

    Any of them raises `NotRecorded`, with one sentence on why, where the file cannot be used.
    """

    def __init__(
        self,
        file: Path | None,
        *,
        records_arguments: bool = True,
        first_owner: str | None = None,
        busy_seconds: float = BUSY_SECONDS,
        clock: Clock = time.time,
    ) -> None:
        # At random and not the process's number: numbers come again, and in containers all are 1.
        self.session = secrets.token_hex(8)
        self._records_arguments = records_arguments
        self._first_owner = first_owner
        self._clock = clock
        self._leases = Leases(file.with_name(f"{file.name}.servers") if file else None, self.session)
        self._store = Store(file, busy_seconds, self._adopt)
        self.uploads = Uploads(self._store, clock)

    async def aclose(self) -> None:
        """Close the file, and say that this server ends."""
        await self._store.aclose()
        self._leases.let_go()

    async def join_or_begin(self, order: Order, limits: Limits, answering: frozenset[str] = frozenset()) -> Started:
        """The job that this order repeats, or a new one, written down before it is submitted. One decision: of calls
        at once, in any number of servers, each sees what the others decided. `answering` are jobs whose answers are on
        their way out.

        Raises:
            BudgetExceeded: it would go over a limit; nothing was written.
            NotRecorded: it cannot be written down, so it must not be submitted.
        """

        def decide(database: sqlite3.Connection) -> Started:
            with records.transaction(database):
                # Joining comes before the limits: what is paid for already costs nothing more, however little is left.
                job = None if order.is_fresh else self._repeated(database, order, answering)
                if job is not None:
                    return Started(self._asked_again(database, job, order), True)
                # Nobody was asked about money because there seemed to be none to pay; it was, a moment ago.
                if order.is_only_joined:
                    raise BudgetExceeded(
                        "The job that this call would have joined has just ended without a result.",
                        hint="Nothing was sent. Call again to begin another; the user is asked first.",
                    )
                return Started(self._begun(database, order, limits), False)

        return await self._store.run(decide)

    async def repeated(self, order: Order, answering: frozenset[str] = frozenset()) -> Job | None:
        """The job that this order would join, without joining it."""
        if order.is_fresh:
            return None
        return await self._store.run(lambda database: self._repeated(database, order, answering))

    async def begin(self, order: Order, limits: Limits) -> Job:
        """Write down that this is about to be submitted, whatever was asked for before.

        Raises:
            BudgetExceeded, NotRecorded: as for `join_or_begin`.
        """
        return (await self.join_or_begin(replace(order, is_fresh=True), limits)).job

    async def add(self, job_id: str, order: Order, limits: Limits) -> None:
        """Write down that more is about to be sent on this job's account, unless it would go over a limit.

        Raises:
            BudgetExceeded, NotRecorded: as for `begin`.
        """

        def charge(database: sqlite3.Connection) -> None:
            with records.transaction(database):
                self._check(database, order, limits)
                records.charge(database, job_id, cost.micro(order.price) or 0, self._clock())

        await self._store.run(charge)

    async def give_back(self, job_id: str, price: float | None) -> None:
        """What was added was refused or failed, and fal does not bill it."""
        # By the same rounding as it was added with, so that nothing is left over.
        amount = -(cost.micro(price) or 0)

        def refund(database: sqlite3.Connection) -> None:
            with records.transaction(database):
                records.charge(database, job_id, amount, self._clock())

        await self._store.run(refund)

    async def accepted(self, job_id: str, request: Request, fence: int | None = None) -> bool:
        """fal took it."""
        return await self.record(job_id, fence, state="queued", **rows.request_columns(request))

    async def record(self, job_id: str, fence: int | None = None, **columns: Any) -> bool:
        """Write down what became of a job: values by the names of `Job`'s fields. With a fence, only while nobody took
        the job over; whether it was written."""

        def write(database: sqlite3.Connection) -> bool:
            with records.transaction(database):
                return records.write(database, job_id, fence, columns, self._clock())

        return await self._store.run(write)

    def now(self) -> float:
        """This moment, by the ledger's clock."""
        return self._clock()

    async def answered(self, job_ids: Iterable[str], call_id: str = "", at: float | None = None) -> None:
        """A client has the answer to the call that asked for these jobs; without a call, whoever asked last. `at` is
        when that was given, 0 for one that says only that they go on: what became of them since is unseen."""
        await self.arrived([(job_id, call_id, at) for job_id in job_ids])

    async def arrived(self, answers: Iterable[tuple[str, str, float | None]]) -> None:
        """The same for many: each a job, the call, and when."""
        await self._mark(answers, "answered = ?, detached = NULL")

    async def left(self, job_ids: Iterable[str], call_id: str = "") -> None:
        """The call that asked for these jobs ended, and nobody got its answer."""
        await self._mark([(job_id, call_id, None) for job_id in job_ids], "detached = ?, answered = NULL")

    async def get(self, job_id: str, owner: str) -> Job | None:
        """This owner's job with its output; None for an unknown one and for anybody else's."""
        return await self._store.run(
            lambda database: records.whole(database, "job_id = ? AND owner = ?", job_id, owner)
        )

    async def by_request(self, request_id: str, owner: str) -> Job | None:
        """This owner's job of this request of fal's."""
        return await self._store.run(
            lambda database: records.whole(database, "request_id = ? AND owner = ?", request_id, owner)
        )

    async def listed(
        self, owner: str, *, state: str | None = None, endpoint_id: str | None = None, since: float = 0, limit: int = 20
    ) -> list[Job]:
        """This owner's jobs without their outputs, the newest first."""
        where = (
            "owner = ? AND created >= ? AND (? IS NULL OR state = ?) AND (? IS NULL OR endpoint_id = ?) "
            "ORDER BY created DESC, rowid DESC LIMIT ?"
        )
        values = (owner, since, state, state, endpoint_id, endpoint_id, limit)
        return await self._store.run(lambda database: list(records.jobs(database, where, *values)))

    async def claimed(self, owner: str, request_ids: Iterable[str]) -> set[str]:
        """Those of these requests of fal's that are known jobs already."""
        wanted = list(request_ids)

        def look(database: sqlite3.Connection) -> set[str]:
            # One at a time: how many marks one statement may have depends on how SQLite was built.
            statement = "SELECT 1 FROM job WHERE request_id = ? AND owner = ?"
            return {request_id for request_id in wanted if database.execute(statement, (request_id, owner)).fetchone()}

        return await self._store.run(look)

    async def orphaned(self, owner: str) -> list[Job]:
        """Take over this owner's jobs that are not over and whose server is gone, the newest first. Where fal's answer
        to the submit never came, nobody knows whether it runs."""

        def take(database: sqlite3.Connection) -> list[Job]:
            with records.transaction(database):
                found = list(
                    records.jobs(database, f"state IN {UNFINISHED} AND owner = ? ORDER BY created DESC", owner)
                )
                alive = self._alive(found)
                return [records.take(database, job, self.session) for job in found if job.session not in alive]

        return await self._store.run(take)

    async def claim(self, job: Job) -> Job | None:
        """Follow this job from here on; None where another server that lives does."""

        def take(database: sqlite3.Connection) -> Job | None:
            with records.transaction(database):
                found = records.whole(database, "job_id = ?", job.job_id)
                if found is None or (found.session != self.session and found.session in self._alive([found])):
                    return None
                # The output is no part of the row: a caller that claims a completed job wants it still.
                return replace(records.take(database, found, self.session), output=found.output)

        return await self._store.run(take)

    async def spent(self, owner: str, since: float = 0, session: str | None = None) -> float:
        """USD that this owner's jobs since then cost, or are thought to."""
        amount = await self._store.run(lambda database: records.spent(database, owner, since, session))
        return amount / 1_000_000

    async def spent_now(self, owner: str) -> Spent:
        """What this owner spent in this session and on this day, in millionths."""
        return await self._store.run(lambda database: self._spent(database, owner))

    async def check(self, orders: list[Order], limits: Limits) -> None:
        """Refuse orders that would go over a limit, each or together.

        Raises:
            BudgetExceeded: they would, or budgets are closed.
        """
        # Without limits the file is not even opened: a disk that cannot be used then stops no estimate.
        if not orders or not limits.are_set:
            return

        def check(database: sqlite3.Connection) -> None:
            records.check_open(database)
            # All orders of one call are one owner's.
            spent = self._spent(database, orders[0].owner)
            for order in orders:
                cost.check(order.endpoint_id, cost.micro(order.price), order.price_note, limits, spent)
            cost.check_together([cost.micro(order.price) for order in orders], limits, spent)

        await self._store.run(check)

    async def once(self, key: str, seconds: float) -> bool:
        """Whether this is the first time in so many seconds that this key is shown. Each counts once, for all servers
        of the ledger."""

        def show(database: sqlite3.Connection) -> bool:
            with records.transaction(database):
                return records.is_first(database, key, self._clock(), seconds)

        return await self._store.run(show)

    async def accept(self) -> str | None:
        """Open the budgets again after a damaged ledger was set aside; what was set aside, None where nothing was."""

        def go(database: sqlite3.Connection) -> str | None:
            with records.transaction(database):
                aside = records.note(database, CLOSED)
                database.execute("DELETE FROM note WHERE name = ?", (CLOSED,))
                return aside

        return await self._store.run(go)

    async def prune(self) -> None:
        """Forget what is old, and what is too much. Unfinished work is never forgotten, but what fal does not know a
        day after its submit was lost is over."""
        now = self._clock()

        def forget(database: sqlite3.Connection) -> None:
            with records.transaction(database):
                schema.settle(database)
                records.forget_old(database, now)

        await self._store.run(forget)
        await self.uploads.prune()

    def _adopt(self, database: sqlite3.Connection) -> None:
        self._leases.hold()
        # Before the ledger told keys apart there was one owner, of whatever key; nearly always that of the key in use
        # today. Given to nobody, the jobs of yesterday and what was spent today would be out of reach.
        if self._first_owner is not None:
            statement = "UPDATE job SET owner = ? WHERE owner = ?"
            if database.execute("SELECT 1 FROM job WHERE owner = ? LIMIT 1", (FIRST_OWNER,)).fetchone():
                database.execute(statement, (self._first_owner, FIRST_OWNER))

    def _repeated(self, database: sqlite3.Connection, order: Order, answering: frozenset[str]) -> Job | None:
        now = self._clock()
        came = self._came(order)
        where = (
            "owner = ? AND digest = ? AND max(asked, coalesce(detached, 0)) >= ? "
            f"ORDER BY created DESC, rowid DESC LIMIT {_MOST_COMPARED}"
        )
        jobs = list(records.jobs(database, where, order.owner, order.digest, now - joining.MOMENTS_AGO))
        alive = self._alive(jobs)
        return next((job for job in jobs if joining.joins(job, order, came, alive, answering)), None)

    def _came(self, order: Order) -> float:
        """When the order's call reached this server, by the ledger's clock."""
        return self._clock() - (0.0 if order.came is None else max(time.monotonic() - order.came, 0.0))

    def _asked_again(self, database: sqlite3.Connection, job: Job, order: Order) -> Job:
        # Its answer is this call's now: where that does not arrive, the next call is owed it.
        statement = (
            "UPDATE job SET asked = ?, call_id = ?, connection = ?, detached = NULL, answered = NULL WHERE job_id = ?"
        )
        database.execute(statement, (self._came(order), order.call_id, order.connection, job.job_id))
        return records.whole(database, "job_id = ?", job.job_id) or job

    def _begun(self, database: sqlite3.Connection, order: Order, limits: Limits) -> Job:
        self._check(database, order, limits)
        job = begun(order, self._clock(), self._came(order), self.session, keeps_arguments=self._records_arguments)
        records.insert(database, job)
        return job

    def _check(self, database: sqlite3.Connection, order: Order, limits: Limits) -> None:
        if not limits.are_set:
            return
        records.check_open(database)
        spent = self._spent(database, order.owner)
        cost.check(order.endpoint_id, cost.micro(order.price), order.price_note, limits, spent)

    def _spent(self, database: sqlite3.Connection, owner: str) -> Spent:
        return Spent(
            session=records.spent(database, owner, 0, self.session),
            day=records.spent(database, owner, cost.midnight(self._clock()), None),
        )

    def _alive(self, jobs: list[Job]) -> set[str]:
        sessions: dict[str, float] = {}
        for job in jobs:
            # The newest sign of life of each, for disks where locks say nothing.
            sessions[job.session] = max(job.updated, sessions.get(job.session, 0.0))
        return self._leases.are_alive(sessions, self._clock)

    async def _mark(self, calls: Iterable[tuple[str, str, float | None]], what: str) -> None:
        now = self._clock()
        values = [(now if at is None else at, job_id, call_id, call_id) for job_id, call_id, at in calls]
        if not values:
            return

        def mark(database: sqlite3.Connection) -> None:
            with records.transaction(database):
                # A call that joined since has taken it over.
                where = "job_id = ? AND (? = '' OR call_id = ?)"
                database.executemany(f"UPDATE job SET {what} WHERE {where}", values)

        await self._store.run(mark)
