"""The ledger in PostgreSQL, for servers of several machines. A few connections, each used by one thread at a time.

Time is the store's: a server whose clock is wrong, or that was asleep, must not believe that it holds what it lost.
"""

import functools
import re
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, cast

import anyio
import anyio.to_thread
import psycopg

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs import postgres_schema, postgres_trouble
from fal_mcp.jobs.database import Database, T
from fal_mcp.jobs.postgres_trouble import Broken, translated

LEASE = 10.0
"""Seconds for which a server counts as alive after it said so."""
RENEWED = 3.0
_MOST_CONNECTIONS = 4
_KEPT_FREE = 2
"""Connections besides, for what is urgent."""
_DECIDING = 4_707_312_203
_LONGEST_IDLE = 50.0
_OPTIONS = (
    # A server that is stopped in the middle of a transaction must not stop all others with it.
    "-c idle_in_transaction_session_timeout=4000 -c statement_timeout=10000 -c lock_timeout=8000 "
    # A row that was written is on the disk when it is answered, whatever the database's default is.
    "-c synchronous_commit=on"
)
_NOW = "extract(epoch from clock_timestamp())::float8"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_AGAIN_AFTER = 1.0


class PostgresDatabase:
    """PostgreSQL's connection as the ledger's statements know it."""

    locking = " FOR UPDATE"

    def __init__(self, connection: "psycopg.Connection[Any]", clock: Callable[[], float] | None) -> None:
        self.connection = connection
        self.done = 0
        """How many statements were carried out in this piece of work."""
        self.moment: tuple[float, float] | None = None
        """The store's clock and this machine's steady one, when it was last looked at."""
        self.used = time.monotonic()
        self._clock = clock
        self._began: float | None = None

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> "psycopg.Cursor[Any]":
        """Run one statement."""
        cursor = self.connection.execute(_marked(statement), [_fit(value) for value in values] or None)
        self.done += 1
        return cursor

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> object:
        """Run one statement for each of several rows of values."""
        cursor = self.connection.cursor()
        cursor.executemany(_marked(statement), [[_fit(value) for value in row] for row in values])
        self.done += 1
        return cursor

    def now(self) -> float:
        """This moment by the store's clock; within a transaction, when it began."""
        if self._clock is not None:
            return self._clock()
        return self._began if self._began is not None else self._looked(self.execute(f"SELECT {_NOW}"))

    @contextmanager
    def transaction(self, *, decides: bool = False) -> Generator[None]:
        """All of it, or nothing."""
        # One after the other where money is decided about: both of two that read first would see what is there once.
        lock = f"pg_advisory_xact_lock({_DECIDING})" if decides else "1"
        # In one journey, and the clock behind the lock: who waited for it is not in the past.
        cursor = self.connection.execute(cast(LiteralString, f"BEGIN; SELECT {lock}; SELECT {_NOW}"), prepare=False)
        try:
            cursor.nextset()
            cursor.nextset()
            self._began = self._looked(cursor)
            self.done += 1
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._began = None

    def _looked(self, cursor: "psycopg.Cursor[Any]") -> float:
        row: Any = cursor.fetchone()
        moment = float(row[0])
        self.moment = (moment, time.monotonic())
        return moment


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
        self._patient_until = 0.0
        self._limiter = anyio.CapacityLimiter(_MOST_CONNECTIONS)
        self._urgent = anyio.CapacityLimiter(_KEPT_FREE)
        self._opening = anyio.Lock()
        # A store that is forgotten without being closed keeps no connection.
        weakref.finalize(self, _close, self._free)

    async def run(self, work: Callable[[Database], T], *, is_urgent: bool = False) -> T:
        """Do one piece of work in a thread. What is urgent, because others wait for it, stands behind no other work.

        Raises:
            NotRecorded: the store cannot be used; one sentence says why, and what to do.
        """
        if not self._is_ready:
            async with self._opening:
                if not self._is_ready:
                    await self._in_thread(self._prepare)
        limiter = self._urgent if is_urgent else self._limiter
        return await anyio.to_thread.run_sync(self._done, work, limiter=limiter)

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
        rows = database.execute(f"SELECT session FROM server WHERE until > {_NOW}").fetchall()
        living = {row[0] for row in rows}
        # Whoever is not heard of itself has no ground to call others gone.
        return living & sessions.keys() if self._session in living else set(sessions)

    def living(self, database: Database) -> int:
        """How many servers have a lease."""
        return int(database.execute(f"SELECT count(*) FROM server WHERE until > {_NOW}").fetchone()[0])

    def settle(self, database: Database) -> None:
        """No earlier version wrote here."""

    async def renew(self) -> None:
        """Say again that this server lives."""
        # Behind hundreds of calls it would come too late, and others would take this server for gone.
        await self.run(self._renew, is_urgent=True)

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

    def _renewed(self, database: Database) -> None:
        known = database.execute(f"SELECT until < {_NOW} FROM server WHERE session = ?", (self._session,)).fetchone()
        if known and known[0]:
            self._patient_until = time.monotonic() + LEASE
        database.execute(
            f"INSERT INTO server (session, until) VALUES (?, {_NOW} + {LEASE}) "
            "ON CONFLICT (session) DO UPDATE SET until = excluded.until",
            (self._session,),
        )
        database.execute(f"DELETE FROM server WHERE until < {_NOW} - 3600")

    def _done(self, work: Callable[[Database], T]) -> T:
        try:
            return self._tried(work)
        except _Stale:
            # Nothing of it was carried out: the database was restarted while the connection lay idle.
            self._close()
            return self._tried(work)

    def _tried(self, work: Callable[[Database], T]) -> T:
        database = self._taken()
        is_old, database.done = database.used > 0, 0
        try:
            with translated(self._address):
                result = work(database)
        except Broken as error:
            database.connection.close()
            if is_old and not database.done:
                raise _Stale(error.message, hint=error.hint) from error
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
        connection = connected(self._address)
        database = PostgresDatabase(connection, self._clock)
        database.used = 0.0
        return database

    async def _listen(self, hear: Callable[[str], None]) -> None:
        connection = await anyio.to_thread.run_sync(connected, self._address, limiter=self._limiter)
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


class _Stale(Broken):
    """A connection that lay idle was gone before anything was asked of it."""


def connected(address: str) -> "psycopg.Connection[Any]":
    """A connection to a server that is new enough.

    Raises:
        NotRecorded: there is none.
    """
    with translated(address):
        connection = psycopg.connect(
            address,
            autocommit=True,
            connect_timeout=5,
            options=_OPTIONS,
            application_name="fal-mcp",
            keepalives_idle=20,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=15_000,
        )
    if connection.info.server_version < postgres_trouble.OLDEST * 10_000:
        connection.close()
        raise postgres_trouble.too_old(address, connection.info.server_version)
    return connection


@functools.lru_cache(maxsize=256)
def _marked(statement: str) -> LiteralString:
    return cast(LiteralString, statement.replace("?", "%s"))


def _fit(value: Any) -> Any:
    # No text of PostgreSQL's has a NUL in it, and UTF-8 has no half characters.
    return _UNFIT.sub("\ufffd", value) if isinstance(value, str) else value
