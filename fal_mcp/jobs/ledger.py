"""The ledger of paid work: one row a job, written before it is submitted and at every change since.

In SQLite for the servers of one machine, in PostgreSQL for those of several. What is written stays through `kill -9` at
any moment. What decides is one transaction: join what was asked for already, or refuse by the limits, or write the row.
"""

import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fal_mcp.client.queue import Request
from fal_mcp.jobs import cost, journal, records, rows, schema
from fal_mcp.jobs.accounts import Accounts
from fal_mcp.jobs.cost import Limits, Spent, State
from fal_mcp.jobs.database import Database
from fal_mcp.jobs.decisions import Decisions
from fal_mcp.jobs.desk import Asked, Desk
from fal_mcp.jobs.job import FIRST_OWNER, UNFINISHED, Job, Order, Started
from fal_mcp.jobs.notes import Notes
from fal_mcp.jobs.store import BUSY_SECONDS
from fal_mcp.jobs.stores import Clock, store_at
from fal_mcp.jobs.turns import Room
from fal_mcp.jobs.uploads import Uploads
from fal_mcp.json_values import object_of

__all__ = ["Ledger", "Limits"]
_ANY = Room()
_LONGEST_GOODBYE = 2.0


class Ledger:
    """One server's view of the ledger: a file, the address of a PostgreSQL database, or memory where there is neither.
    Opened when it is first needed; every operation is one transaction.

    Any of them raises `NotRecorded`, with one sentence on why, where it cannot be used.
    """

    def __init__(
        self,
        where: Path | str | None,
        *,
        records_arguments: bool = True,
        first_owner: str | None = None,
        busy_seconds: float = BUSY_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        # At random and not the process's number: numbers come again, and in containers all are 1.
        self.session = secrets.token_hex(8)
        self._first_owner = first_owner
        self.store = store_at(where, self.session, self._adopt, busy_seconds=busy_seconds, clock=clock)
        self.uploads = Uploads(self.store)
        self.accounts = Accounts(self.store)
        self.notes = Notes(self.store)
        self.hearers: list[Callable[[records.Change], None]] = [journal.changed]
        """Told of each change that was written here."""
        self._decisions = Decisions(self.store, self.session, keeps_arguments=records_arguments)
        self._desk = Desk(self.store, self._decisions)

    def hurry(self) -> None:
        """The server ends, and must not be held up by a program that has the ledger to itself."""
        self.store.hurry(_LONGEST_GOODBYE)

    async def aclose(self) -> None:
        """Close it, and say that this server ends."""
        await self.store.aclose()

    async def join_or_begin(
        self, order: Order, limits: Limits, answering: frozenset[str] = frozenset(), room: Room = _ANY
    ) -> Started:
        """The job that this order repeats, or a new one, written down before it is submitted; one that `waiting` is
        the state of has yet to get its turn. One decision: of calls at once, in any number of servers, each sees what
        the others decided. `answering` are jobs whose answers are on their way out.

        Raises:
            BudgetExceeded: it would go over a limit; nothing was written.
            RateLimited: as many wait as may.
            NotRecorded: it cannot be written down, so it must not be submitted.
        """
        started = await self._desk.decided(Asked(order, limits, room, answering))
        if not started.is_joined:
            journal.begun(started.job)
        return started

    async def repeated(self, order: Order, answering: frozenset[str] = frozenset()) -> Job | None:
        """The job that this order would join, without joining it."""
        if order.is_fresh:
            return None
        return await self.store.run(lambda database: self._decisions.repeated(database, order, answering))

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

        def charge(database: Database) -> None:
            with database.transaction(decides=True):
                self._decisions.check(database, order, limits)
                records.charge(database, job_id, amount, database.now())

        amount = cost.micro(order.price) or 0
        await self.store.run(charge, lambda database: records.charge(database, job_id, -amount, database.now()))

    async def give_back(self, job_id: str, price: float | None) -> None:
        """What was added was refused or failed, and fal does not bill it."""
        # By the same rounding as it was added with, so that nothing is left over.
        amount = -(cost.micro(price) or 0)

        def refund(database: Database) -> None:
            with database.transaction():
                records.charge(database, job_id, amount, database.now())

        await self.store.run(refund)

    async def accepted(self, job_id: str, request: Request, fence: int | None = None) -> bool:
        """fal took it."""
        return await self.record(job_id, fence, state="queued", **rows.request_columns(request))

    async def record(self, job_id: str, fence: int | None = None, **columns: object) -> bool:
        """Write down what became of a job: values by the names of `Job`'s fields. With a fence, only while nobody took
        the job over; whether it was written."""

        def write(database: Database) -> records.Change | None:
            with database.transaction():
                return records.write(database, job_id, fence, columns, database.now())

        if (change := await self.store.run(write)) is None:
            return False
        for hear in self.hearers:
            hear(change)
        return True

    def now(self) -> float:
        """This moment, by the ledger's clock."""
        return self.store.now()

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
        return await self.store.run(lambda database: records.whole(database, "job_id = ? AND owner = ?", job_id, owner))

    async def by_call(self, call_id: str, owner: str) -> Job | None:
        """This owner's job that this call asked for; None where it asked for none, or for several."""

        def find(database: Database) -> Job | None:
            found = list(records.jobs(database, "owner = ? AND call_id = ? LIMIT 2", owner, call_id))
            return records.whole(database, "job_id = ?", found[0].job_id) if len(found) == 1 else None

        return await self.store.run(find) if call_id else None

    async def by_request(self, request_id: str, account: str) -> Job | None:
        """This account's job of this request of fal's."""
        where = "request_id = ? AND account = ?"
        return await self.store.run(lambda database: records.whole(database, where, request_id, account))

    async def unanswered(self, account: str, most: int) -> list[Job]:
        """This account's jobs whose submit was never answered, and that this server looks for."""
        where = "account = ? AND state = 'unknown' AND request_id IS NULL AND session = ? ORDER BY created DESC LIMIT ?"
        return await self.store.run(lambda database: list(records.jobs(database, where, account, self.session, most)))

    async def listed(
        self, owner: str, *, state: str | None = None, endpoint_id: str | None = None, since: float = 0, limit: int = 20
    ) -> list[Job]:
        """This owner's jobs without their outputs, the newest first."""
        where = (
            "owner = ? AND created >= ? AND (? = '' OR state = ?) AND (? = '' OR endpoint_id = ?) "
            "ORDER BY created DESC, rowid DESC LIMIT ?"
        )
        values = (owner, since, *2 * (state or "",), *2 * (endpoint_id or "",), limit)
        return await self.store.run(lambda database: list(records.jobs(database, where, *values)))

    async def followed(self, account: str) -> list[tuple[str, str]]:
        """The jobs that fal has and that this server is to follow, with whose they are."""
        where = "account = ? AND session = ? AND state IN ('queued', 'running') AND way = 'queue'"
        return await self.store.run(lambda database: records.ids(database, where, account, self.session))

    async def found(self, job: Job, requests: Sequence[Request]) -> Job:
        """The job with the first of these requests of fal's that is no other row's, written down; as it is where none
        is left. One decision: of jobs that are looked for at once, each gets a request of its own.
        """

        def find(database: Database) -> Job:
            with database.transaction(decides=True):
                return records.found(database, job, requests)

        return await self.store.run(find)

    async def orphaned(self, account: str) -> list[Job]:
        """Take over this account's jobs that are not over and whose server is gone, the newest first. Where fal's
        answer to the submit never came, nobody knows whether it runs."""

        def take(database: Database) -> list[Job]:
            sessions = records.gone(database, account)
            dead = sessions.keys() - self.store.alive(database, sessions) if sessions else set[str]()
            # Most looks find nobody gone, and write nothing.
            if not dead:
                return []
            where = f"state IN {UNFINISHED} AND account = ? AND session = ? ORDER BY created DESC"
            with database.transaction():
                found = [job for session in dead for job in records.jobs(database, where, account, session)]
                taken = [records.take(database, job, self.session) for job in found]
            return sorted((job for job in taken if job), key=lambda job: -job.created)

        return journal.taken_up(await self.store.run(take))

    async def claim(self, job: Job) -> Job | None:
        """Follow this job from here on; None where another server that lives does."""

        def take(database: Database) -> tuple[Job | None, bool]:
            with database.transaction():
                found = records.whole(database, "job_id = ?", job.job_id)
                # A fence that grew without another server would shut out whoever follows it here already.
                if found is None or found.session == self.session:
                    return found, False
                if found.session in self._decisions.alive(database, [found]):
                    return None, False
                taken = records.take(database, found, self.session)
                # The output is no part of the row: a caller that claims a completed job wants it still.
                return (replace(taken, output=found.output) if taken else None), True

        mine, is_new = await self.store.run(take)
        if mine is not None and is_new:
            journal.taken_up([mine])
        return mine

    async def spent(self, owner: str, since: float = 0) -> float:
        """USD that this owner's jobs since then cost, or are thought to."""
        where = "owner = ? AND created >= ?"
        amount = await self.store.run(lambda database: records.spent(database, where, owner, since))
        return amount / 1_000_000

    async def spent_now(self, owner: str) -> Spent:
        """What was spent in this session and on this day, in millionths."""
        return await self.store.run(lambda database: self._decisions.spent(database, owner))

    async def check(self, orders: list[Order], limits: Limits, room: Room = _ANY) -> None:
        """Refuse orders that would go over a limit, each or together, or for which nothing is left to wait in.

        Raises:
            BudgetExceeded: they would, or budgets are closed.
            RateLimited: as many wait as may.
        """
        # Without limits the file is not even opened: a disk that cannot be used then stops no estimate.
        if orders and (limits.are_set or room.is_limited):
            await self.store.run(lambda database: self._decisions.check_together(database, orders, limits, room))

    async def admit(self, account: str, room: Room) -> dict[str, int]:
        """Give those of this server's waiting jobs their turn that have it; the place of each that waits on."""

        def look(database: Database) -> dict[str, int]:
            with database.transaction(decides=True):
                return self._decisions.admit(database, account, room)

        return await self.store.run(look, is_urgent=True)

    async def left_for_one(self, account: str, most: int, in_hand: int, since: float) -> int:
        """Of `most` jobs of an account that may run or wait, how many one server of those that live may still begin,
        of which this one has so many in hand: they may be among its rows, and may have none yet. Where many came at
        once, that was `since` seconds ago, and what was free then is shared out in equal parts."""

        def count(database: Database) -> int:
            taken = records.taken(database, account, database.now() - since)
            servers, before = max(self.store.living(database), 1), sum(each.before for each in taken.values())
            free = most - before - sum(each.since for each in taken.values())
            own = taken.get(self.session, records.Taken())
            # What has no row yet comes off this server's own share, as the others know nothing of it.
            unwritten = max(in_hand - own.before - own.since, 0)
            # Upwards: together a few more than there are, and the store decides. A server that counts a moment after
            # another keeps the part that it had; where others leave theirs to it, it gets of that.
            share = max(-(-(most - before) // servers) - own.since, -(-free // servers))
            return min(share, free) - unwritten

        return await self.store.run(count, is_urgent=True)

    async def withdraw(self, job_id: str) -> bool:
        """End a job that still waits for its turn, at no cost; False where it does not wait any more."""

        def end(database: Database) -> bool:
            with database.transaction():
                return records.withdraw(database, job_id, database.now())

        if is_ended := await self.store.run(end):
            journal.withdrawn(job_id)
        return is_ended

    async def is_at(self, job_id: str, state: State) -> bool:
        """Whether a job of this server is in this state."""
        statement = "SELECT 1 FROM job WHERE job_id = ? AND session = ? AND state = ?"
        values = (job_id, self.session, state)
        return await self.store.run(lambda database: database.execute(statement, values).fetchone()) is not None

    async def order_of(self, job: Job) -> Order | None:
        """What a job that waited for its turn is to be sent with; None where that was not kept."""
        if job.arguments is None or job.way != "queue":
            return None
        more = await self.store.run(lambda database: records.sending(database, job.job_id))
        headers, query = (object_of(more.get(name)) or None for name in ("headers", "query"))
        return Order(job.endpoint_id, job.arguments, job.owner, headers=headers, query=query)

    async def once(self, key: str, seconds: float) -> bool:
        """Whether this is the first time in so many seconds that this key is shown. Each counts once, for all servers
        of the ledger."""

        def show(database: Database) -> bool:
            with database.transaction():
                return records.is_first(database, key, database.now(), seconds)

        return await self.store.run(show)

    async def turn(self, key: str, seconds: float) -> bool:
        """Whether it is this server's turn at something, for so many seconds. A turn of the future is over: the clock
        was set back since."""

        def take(database: Database) -> bool:
            with database.transaction():
                now = database.now()
                database.execute("DELETE FROM mark WHERE key = ? AND until > ?", (key, now + seconds))
                return records.is_first(database, key, now, seconds)

        return await self.store.run(take)

    async def accept(self) -> str | None:
        """Open the budgets again after a damaged ledger was set aside; what was set aside, None where nothing was."""

        def go(database: Database) -> str | None:
            with database.transaction():
                aside = records.note(database, schema.CLOSED)
                database.execute("DELETE FROM note WHERE name = ?", (schema.CLOSED,))
                return aside

        return await self.store.run(go)

    async def prune(self, now: float = math.inf) -> None:
        """Forget what is old, and what is too much. Unfinished work is never forgotten, but what fal does not know a
        day after its submit was lost is over. It is `now` at most, whatever this ledger's clock says."""

        def forget(database: Database) -> None:
            with database.transaction():
                self.store.settle(database)
                records.forget_old(database, min(database.now(), now))

        await self.store.run(forget)
        await self.uploads.prune()

    def _adopt(self, database: Database) -> None:
        # Before the ledger told keys apart there was one owner, of whatever key; nearly always that of the key in use
        # today. Given to nobody, the jobs of yesterday and what was spent today would be out of reach.
        if self._first_owner is not None:
            statement = "UPDATE job SET owner = ?, account = ? WHERE owner = ?"
            if database.execute("SELECT 1 FROM job WHERE owner = ? LIMIT 1", (FIRST_OWNER,)).fetchone():
                database.execute(statement, (self._first_owner, self._first_owner, FIRST_OWNER))

    async def _mark(self, calls: Iterable[tuple[str, str, float | None]], what: str) -> None:
        known = list(calls)
        if not known:
            return

        def mark(database: Database) -> None:
            with database.transaction():
                now = database.now()
                # A call that joined since has taken it over.
                where = "job_id = ? AND (? = '' OR call_id = ?)"
                values = [(now if at is None else at, job_id, call_id, call_id) for job_id, call_id, at in known]
                database.executemany(f"UPDATE job SET {what} WHERE {where}", values)

        await self.store.run(mark)
