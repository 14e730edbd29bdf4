"""The ledger in PostgreSQL, for servers of several machines. A few connections, each used by one thread at a time.

Time is the store's: a server whose clock is wrong, or that was asleep, must not believe that it holds what it lost.
"""

import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs import postgres_schema, postgres_trouble
from fal_mcp.jobs.database import Database, T
from fal_mcp.jobs.postgres_database import NOW, PostgresDatabase, connected, outcome_of
from fal_mcp.jobs.postgres_patience import Patience
from fal_mcp.jobs.postgres_trouble import Broken, InDoubt, translated

LEASE = 10.0
"""Seconds for which a server counts as alive after it said so."""
_MOST_CONNECTIONS = 4
_KEPT_FREE = 2
"""Connections besides, for what is urgent."""
_LONGEST_IDLE = 50.0
_AGAIN_AFTER = 1.0
Undo = Callable[[Database], object]


class PostgresStore:
    """A few connections to one database; `opened` is called once, when the first is made."""

    look_after = 2.0
    is_shared = True

    def __init__(
        self,
        address: str,
        session: str,
        opened: Callable[[Database], None] = lambda database: None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._address = address
        self._session = session
        self._opened = opened
        self._clock = clock
        self._free: deque[PostgresDatabase] = deque()
        self._is_ready = False
        self._moment: tuple[float, float] | None = None
        self._patience = Patience()
        self._patient_until = 0.0
        self._doubts: list[tuple[str, Undo]] = []
        self._limiter = anyio.CapacityLimiter(_MOST_CONNECTIONS)
        self._urgent = anyio.CapacityLimiter(_KEPT_FREE)
        self._opening = anyio.Lock()
        # A store that is forgotten without being closed keeps no connection.
        weakref.finalize(self, _close, self._free)

    async def run(self, work: Callable[[Database], T], undo: Undo | None = None, *, is_urgent: bool = False) -> T:
        """Do one piece of work in a thread, as `Store`.

        Raises:
            NotRecorded: the store cannot be used; one sentence says why, and what to do.
        """
        if not self._is_ready:
            async with self._opening:
                if not self._is_ready:
                    await self._in_thread(self._prepare)
        limiter = self._urgent if is_urgent else self._limiter
        try:
            return await anyio.to_thread.run_sync(self._done, work, limiter=limiter)
        except InDoubt as error:
            if undo is not None:
                self._doubts.append((error.number, undo))
            raise

    def hurry(self, seconds: float) -> None:
        """The server ends: a database that says nothing for so many seconds is given up."""
        self._patience.hurry(seconds)

    def now(self) -> float:
        """This moment by the store's clock, as far as it was heard of last."""
        if self._clock is not None:
            return self._clock()
        if self._moment is None:
            return time.time()
        there, here = self._moment
        return there + (time.monotonic() - here)

    def alive(self, database: Database, sessions: dict[str, float]) -> set[str]:
        """Those of these servers that live."""
        # After an outage of the store all look as if they were gone, until each has had the time to say otherwise.
        if time.monotonic() < self._patient_until:
            return set(sessions)
        rows = database.execute(f"SELECT session FROM server WHERE until > {NOW}").fetchall()
        living = {row[0] for row in rows}
        # Whoever is not heard of itself has no ground to call others gone.
        return living & sessions.keys() if self._session in living else set(sessions)

    def living(self, database: Database) -> int:
        """How many servers have a lease."""
        return int(database.execute(f"SELECT count(*) FROM server WHERE until > {NOW}").fetchone()[0])

    def settle(self, database: Database) -> None:
        """No earlier version wrote here."""

    async def renew(self) -> None:
        """Say again that this server lives, and take back what stands though it was said not to."""
        # Behind hundreds of calls it would come too late, and others would take this server for gone.
        await self.run(self._renew, is_urgent=True)
        for doubt in list(self._doubts):
            await self.run(lambda database, doubt=doubt: self._settle(database, *doubt))

    async def listen(self, hear: Callable[[str], None]) -> None:
        """Hand on what other servers tell, until cancelled."""
        while True:
            # Whatever was told while nobody listened was missed.
            hear("")
            with suppress(NotRecorded):
                await self._listen(hear)
            await anyio.sleep(_AGAIN_AFTER)

    async def aclose(self) -> None:
        """Close all connections, and say that this server ends."""
        with anyio.CancelScope(shield=True):
            if self._is_ready:
                with suppress(NotRecorded):
                    await self.run(
                        lambda database: database.execute("DELETE FROM server WHERE session = ?", (self._session,))
                    )
            await self._in_thread(self._close)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._limiter)

    def _close(self) -> None:
        _close(self._free)

    def _prepare(self) -> None:
        database = self._connected()
        with translated(self._address):
            with database.transaction():
                version = postgres_schema.migrate(database)
                if version > len(postgres_schema.STEPS):
                    raise postgres_trouble.newer(self._address, version, len(postgres_schema.STEPS))
                self._renewed(database)
                self._opened(database)
            self._moment = database.moment
        self._is_ready = True
        self._free.append(database)

    def _renew(self, database: Database) -> None:
        with database.transaction():
            self._renewed(database)

    def _settle(self, database: Database, number: str, undo: Undo) -> None:
        assert isinstance(database, PostgresDatabase)
        outcome = outcome_of(database, number)
        if outcome is None:
            return
        # Before it is undone: an amount that were given back twice would be spent twice.
        self._doubts.remove((number, undo))
        if outcome:
            with database.transaction():
                undo(database)

    def _renewed(self, database: Database) -> None:
        known = database.execute(f"SELECT until < {NOW} FROM server WHERE session = ?", (self._session,)).fetchone()
        if known and known[0]:
            self._patient_until = time.monotonic() + LEASE
        database.execute(
            f"INSERT INTO server (session, until) VALUES (?, {NOW} + {LEASE}) "
            "ON CONFLICT (session) DO UPDATE SET until = excluded.until",
            (self._session,),
        )
        database.execute(f"DELETE FROM server WHERE until < {NOW} - 3600")

    def _done(self, work: Callable[[Database], T]) -> T:
        try:
            return self._tried(work)
        except _Undone:
            if self._patience.is_over:
                raise
            # The others lay idle while the database was restarted, or a proxy on the way was.
            self._close()
            return self._tried(work)

    def _tried(self, work: Callable[[Database], T]) -> T:
        database = self._taken()
        try:
            with translated(self._address):
                result = work(database)
        except Broken as error:
            is_lost = database.connection.closed
            database.connection.close()
            # What was not committed does not stand, and one statement by itself may be said twice.
            if is_lost and not isinstance(error, InDoubt):
                raise _Undone(error.message, hint=error.hint) from error
            raise
        except BaseException:
            self._put_back(database)
            raise
        self._put_back(database)
        return result

    def _put_back(self, database: PostgresDatabase) -> None:
        self._moment = database.moment or self._moment
        database.used = time.monotonic()
        self._free.append(database)
        # The one that was used last is taken first: of those that a rush has left over, the oldest stands first.
        if database.used - self._free[0].used > _LONGEST_IDLE:
            with suppress(IndexError):
                self._free.popleft().connection.close()

    def _taken(self) -> PostgresDatabase:
        try:
            database = self._free.pop()
        except IndexError:
            return self._connected()
        # Firewalls forget connections that say nothing.
        if time.monotonic() - database.used > _LONGEST_IDLE:
            database.connection.close()
            return self._taken()
        return database

    def _connected(self) -> PostgresDatabase:
        return PostgresDatabase(self._address, self._clock, self._patience)

    async def _listen(self, hear: Callable[[str], None]) -> None:
        connection = await anyio.to_thread.run_sync(connected, self._address, self._patience, limiter=self._limiter)
        try:
            with translated(self._address):
                connection.execute("LISTEN fal_mcp")
                while True:
                    await anyio.wait_readable(connection.fileno())
                    for note in connection.notifies(timeout=0):
                        hear(note.payload)
        finally:
            connection.close()


def _close(databases: deque[PostgresDatabase]) -> None:
    while databases:
        databases.pop().connection.close()


class _Undone(Broken):
    """The connection was lost, and nothing of the work stands."""
