"""What the ledger's statements run on: one connection to either engine, through the small door of its driver.

Statements are written once, with `?` for values, in what SQLite and PostgreSQL have in common: `BIGINT` millionths,
`ON CONFLICT`, `CASE` in place of functions that only one of them has. A door of our own and no SQLAlchemy, by
measurement: that is 205 ms and 22 MB more to import than the standard library's driver, and 1.8 ms a transaction beside
0.2, of which a stdio server starts many and a call makes four.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Runs(Protocol):
    """What runs statements."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        ...


class Database(Runs, Protocol):
    """One connection, used by one thread at a time."""

    locking: str
    """What a SELECT ends with so that the rows it reads stay as they are until the transaction ends."""

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> object:
        """Run one statement for each of several rows of values."""
        ...

    def now(self) -> float:
        """This moment by the store's clock, in seconds since 1970; within a transaction, when it began."""
        ...

    def transaction(self, *, decides: bool = False) -> AbstractContextManager[None]:
        """All of it, or nothing. What decides about money sees what every such transaction before it wrote."""
        ...


class Store(Protocol):
    """Where one server's ledger is kept."""

    look_after: float
    """Seconds between two looks for servers that are gone."""
    is_shared: bool
    """Whether servers of several machines may use it, so that each has to say that it lives."""

    async def run(
        self,
        work: Callable[[Database], T],
        undo: Callable[[Database], object] | None = None,
        *,
        is_urgent: bool = False,
    ) -> T:
        """Do one piece of work in a thread. It may be done again where nothing of it stands. `undo` is done later,
        where this raises and the work turns out to stand all the same. What is urgent, because others wait for it,
        stands behind no other work.

        Raises:
            NotRecorded: the store cannot be used; one sentence says why, and what to do.
        """
        ...

    def now(self) -> float:
        """This moment by the store's clock, as far as it was heard of last."""
        ...

    def alive(self, database: Database, sessions: dict[str, float]) -> set[str]:
        """Those of these servers that live; with each, when it last wrote something."""
        ...

    def living(self, database: Database) -> int:
        """How many servers of this ledger live, this one among them."""
        ...

    def settle(self, database: Database) -> None:
        """Give rows that an earlier version wrote what they lack."""
        ...

    async def renew(self) -> None:
        """Say again that this server lives, and take back what stands though it was said not to."""
        ...

    async def listen(self, hear: Callable[[str], None]) -> None:
        """Hand on what servers tell, until cancelled; an empty text is that something may have been missed."""
        ...

    def hurry(self, seconds: float) -> None:
        """The server ends: after so many seconds nothing waits for what another program holds."""
        ...

    async def aclose(self) -> None:
        """Close it, and say that this server ends."""
        ...


TOLD = "told: "


def tell(database: Database, topic: str) -> None:
    """Tell every server that something changed, once this transaction is through. Those of one file look for it."""
    if database.locking:
        database.execute("SELECT pg_notify('fal_mcp', ?)", (topic,))
        return
    statement = "INSERT INTO note (name, text) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
    database.execute(statement, (f"{TOLD}{topic}", secrets.token_hex(8)))
