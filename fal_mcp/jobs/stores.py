"""Which engine a ledger is on, by where it is said to be."""

import time
from collections.abc import Callable
from pathlib import Path

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.database import Database, Store
from fal_mcp.jobs.store import SqliteStore

Clock = Callable[[], float]


def store_at(
    where: Path | str | None,
    session: str,
    opened: Callable[[Database], None],
    busy_seconds: float,
    clock: Clock | None,
) -> Store:
    """A file, the address of a PostgreSQL database, or memory where there is neither.

    Raises:
        NotRecorded: PostgreSQL's driver is not installed.
    """
    if not isinstance(where, str):
        return SqliteStore(where, session, opened, busy_seconds=busy_seconds, clock=clock or time.time)
    # An extra, and 12 MB: only for who uses it.
    try:
        from fal_mcp.jobs.postgres import PostgresStore
    except ImportError as error:
        raise NotRecorded(
            "A ledger in PostgreSQL needs a driver that is not installed here.",
            hint="Nothing was sent. Install fal-mcp[team] in place of fal-mcp.",
        ) from error
    return PostgresStore(where, session, opened, clock=clock)
