"""PostgreSQL's connection as the ledger's statements know it."""

import functools
import re
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, cast

import psycopg

from fal_mcp.jobs import postgres_trouble
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
        return self._began if self._began is not None else self._looked(self.execute(f"SELECT {NOW}"))

    @contextmanager
    def transaction(self, *, decides: bool = False) -> Generator[None]:
        """All of it, or nothing."""
        # One after the other where money is decided about: both of two that read first would see what is there once.
        lock = f"pg_advisory_xact_lock({_DECIDING})" if decides else "1"
        # In one journey, and the clock behind the lock: who waited for it is not in the past.
        cursor = self.connection.execute(cast(LiteralString, f"BEGIN; SELECT {lock}; SELECT {NOW}"), prepare=False)
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
