"""Whether a ledger can be read, looked at from outside: nothing in it is changed."""

import sqlite3
from contextlib import closing
from pathlib import Path

_BUSY_SECONDS = 1.0


def looked_at(file: Path) -> tuple[int, str | None]:
    """How many jobs it holds, and what is wrong with it in a few words; None where nothing is."""
    try:
        address = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as database:
            (check,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (count,) = database.execute("SELECT count(*) FROM job").fetchone()
    except sqlite3.Error as error:
        return 0, str(error)
    return count, None if check == "ok" else str(check)


def reached(address: str) -> int:
    """The version of the PostgreSQL at this address, which answers.

    Raises:
        NotRecorded: it does not, or is too old.
    """
    # Its driver is not installed everywhere.
    from fal_mcp.jobs.postgres_database import connected
    from fal_mcp.jobs.postgres_patience import Patience

    with closing(connected(address, Patience())) as connection:
        return connection.info.server_version // 10_000
