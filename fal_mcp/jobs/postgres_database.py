"""PostgreSQL's connection as the ledger's statements know it.

A connection may be lost while it commits: what became of the transaction is then asked of the database, by the
transaction's number, so that nothing is begun twice for it and nothing stays that nobody knows of.
"""

import functools
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, cast

import psycopg
from psycopg import errors

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs import postgres_trouble
from fal_mcp.jobs.database import T
from fal_mcp.jobs.postgres_patience import Patience
from fal_mcp.jobs.postgres_trouble import translated

_DECIDING = 4_707_312_203
_OPTIONS = (
    # A server that is stopped in the middle of a transaction must not stop all others with it.
    "-c idle_in_transaction_session_timeout=4000 -c statement_timeout=10000 -c lock_timeout=8000 "
    # A row that was written is on the disk when it is answered, whatever the database's default is.
    "-c synchronous_commit=on"
)
NOW = "extract(epoch from clock_timestamp())::float8"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
# Longer than a transaction whose connection is gone may lie idle: by then the database has ended it.
_LONGEST_DOUBT = 6.0
_LONGEST_CONNECT = 5.0
_ASKED_AGAIN_AFTER = 0.1


class _Connection(psycopg.Connection[Any]):
    """A connection that does not wait for ever: what waits stands in a thread, which no cancellation ends."""

    patience = Patience()

    def wait(self, gen: Generator[Any, Any, T], *more: Any, **named: Any) -> T:
        """Wait until the driver has done what it is at.

        Raises:
            OperationalError: the server says nothing for too long; the connection is closed.
        """
        return super().wait(self._in_time(gen), *more, **named)

    def _in_time(self, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        began = time.monotonic()
        try:
            wish = next(steps)
            while True:
                # Nothing, as often as nothing has come in a tenth of a second.
                come = yield wish
                if not come and time.monotonic() > self.patience.deadline(began):
                    self.patience.give_up()
                    self.close()
                    raise psycopg.OperationalError("The server says nothing.")
                wish = steps.send(come)
        except StopIteration as end:
            return end.value


class PostgresDatabase:
    """PostgreSQL's connection as the ledger's statements know it."""

    locking = " FOR UPDATE"

    def __init__(self, address: str, clock: Callable[[], float] | None, patience: Patience) -> None:
        self.connection = connected(address, patience)
        self.moment: tuple[float, float] | None = None
        """The store's clock and this machine's steady one, when it was last looked at."""
        self.used = time.monotonic()
        self._address = address
        self._clock = clock
        self._patience = patience
        self._began: float | None = None

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> "psycopg.Cursor[Any]":
        """Run one statement."""
        return self.connection.execute(_marked(statement), [_fit(value) for value in values] or None)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> None:
        """Run one statement for each of several rows of values."""
        # One after the other: what `psycopg` would send in one go ends with a word after which PostgreSQL takes the
        # connection for busy, and a server that is stopped there would hold its rows for as long as it is.
        for row in values:
            self.execute(statement, row)

    def now(self) -> float:
        """This moment by the store's clock; within a transaction, when it began."""
        if self._clock is not None:
            return self._clock()
        return self._began if self._began is not None else self._looked(self.execute(f"SELECT {NOW}").fetchone())

    @contextmanager
    def transaction(self, *, decides: bool = False) -> Generator[None]:
        """All of it, or nothing."""
        # One after the other where money is decided about: both of two that read first would see what is there once.
        lock = f"pg_advisory_xact_lock({_DECIDING})" if decides else "1"
        # In one journey, and the clock behind the lock: who waited for it is not in the past.
        begin = f"BEGIN; SELECT {lock}; SELECT {NOW}, pg_current_xact_id()::text"
        cursor = self.connection.execute(cast(LiteralString, begin), prepare=False)
        try:
            cursor.nextset()
            cursor.nextset()
            row: Any = cursor.fetchone()
            self._began = self._looked(row)
            yield
            self._commit(row[1])
        except BaseException:
            with suppress(psycopg.Error):
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._began = None

    def _commit(self, number: str) -> None:
        try:
            self.connection.execute("COMMIT", prepare=False)
        except psycopg.Error:
            # Refused over a connection that goes on, it is undone. Where that is gone, only the answer may be lost.
            if not self.connection.closed:
                raise
            if not self._is_through(number):
                self.connection.close()
                raise

    def _is_through(self, number: str) -> bool:
        """Whether a transaction was committed, asked over a new connection.

        Raises:
            InDoubt: it cannot be told now.
        """
        began = time.monotonic()
        while time.monotonic() < self._patience.deadline(began, _LONGEST_DOUBT):
            with suppress(psycopg.Error, NotRecorded):
                if self.connection.closed:
                    self.connection = connected(self._address, self._patience)
                if (outcome := outcome_of(self, number)) is not None:
                    return outcome
            time.sleep(_ASKED_AGAIN_AFTER)
        raise postgres_trouble.InDoubt(self._address, number)

    def _looked(self, row: Any) -> float:
        moment = float(row[0])
        self.moment = (moment, time.monotonic())
        return moment


def outcome_of(database: PostgresDatabase, number: str) -> bool | None:
    """Whether the transaction of this number was committed; None while it is under way."""
    try:
        row = database.execute("SELECT pg_xact_status(?::xid8)", (number,)).fetchone()
    except errors.InvalidParameterValue:
        # A standby that took over has never heard of it: it is lost with the primary.
        return False
    status = row[0] if row else None
    return {"committed": True, "aborted": False}.get(str(status))


def connected(address: str, patience: Patience) -> "psycopg.Connection[Any]":
    """A connection to a server that is new enough.

    Raises:
        NotRecorded: there is none.
    """
    began = time.monotonic()
    with translated(address):
        if patience.is_over:
            raise psycopg.OperationalError("The server says nothing.")
        connection = _Connection.connect(
            address,
            autocommit=True,
            # In whole seconds, and two at least.
            connect_timeout=math.ceil(patience.deadline(began, _LONGEST_CONNECT) - began),
            options=_OPTIONS,
            application_name="fal-mcp",
            keepalives_idle=20,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=15_000,
        )
    connection.patience = patience
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
