"""The ledger's tables, and the way from each earlier version to today's.

SQLite's files have a history of their own; what is added from now on is one text for both engines.
"""

import sqlite3

from fal_mcp.jobs.database import Runs

CLOSED = "closed"
"""The note that names what was set aside, until a person says go."""
_UNFINISHED = "('intent', 'queued', 'running', 'unknown')"

_SETTLED = (
    "INSERT OR IGNORE INTO output SELECT job_id, output FROM job WHERE output IS NOT NULL",
    "UPDATE job SET output = NULL WHERE output IS NOT NULL",
    "UPDATE job SET price_micro = CAST(price * 1000000 + 0.999 AS INTEGER) "
    "WHERE price_micro IS NULL AND price BETWEEN 0 AND 1e9",
    "UPDATE job SET billed_micro = CAST(billed * 1000000 + 0.999 AS INTEGER) "
    "WHERE billed_micro IS NULL AND billed BETWEEN 0 AND 1e9",
    "UPDATE job SET booked = COALESCE(billed_micro, price_micro, 0), asked = COALESCE(detached, created), "
    "has_run = state IN ('running', 'completed') WHERE asked = 0",
    "UPDATE job SET booked = 0 WHERE billed_micro IS NULL AND state IN ('failed', 'cancelled') AND NOT has_run",
)
"""What rows of an earlier version lack. Done again, it changes nothing."""

_ACCOUNTED = "UPDATE job SET account = owner WHERE account = ''"
"""The same for rows of before one account paid for several people."""

COMMON: tuple[tuple[str, ...], ...] = (
    (
        # Whose jobs these are is one thing, who pays another: people of a team share an account at fal.
        "ALTER TABLE job ADD COLUMN account TEXT NOT NULL DEFAULT ''",
        _ACCOUNTED,
        # When it got its turn, and with what besides its arguments it is to be sent then.
        "ALTER TABLE job ADD COLUMN admitted DOUBLE PRECISION",
        "ALTER TABLE job ADD COLUMN sending TEXT",
        "DROP INDEX IF EXISTS job_unfinished",
        "CREATE INDEX job_open ON job (account, state) "
        "WHERE state IN ('waiting', 'intent', 'queued', 'running', 'unknown')",
        "CREATE INDEX job_account ON job (account, created, booked)",
        "CREATE INDEX job_budget ON job (account, session, booked)",
        "CREATE INDEX job_turn ON job (account, owner, admitted)",
    ),
    (
        # What is billed by how long it runs comes to something else once it has run.
        "ALTER TABLE job ADD COLUMN per_second DOUBLE PRECISION",
        "ALTER TABLE job ADD COLUMN rate_note TEXT NOT NULL DEFAULT ''",
    ),
    # The trace that it was asked for in, as a traceparent of W3C's: whoever takes it over goes on in the same.
    ("ALTER TABLE job ADD COLUMN trace TEXT NOT NULL DEFAULT ''",),
)
"""From the tables of before there were two engines to today's, in what the two have in common."""

_HISTORY: tuple[tuple[str, ...], ...] = (
    (
        """
CREATE TABLE IF NOT EXISTS job (
  job_id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, owner TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
  created REAL NOT NULL, updated REAL NOT NULL, arguments TEXT, request_id TEXT, status_url TEXT, response_url TEXT,
  cancel_url TEXT, position INTEGER, price REAL, price_note TEXT NOT NULL DEFAULT '', output TEXT, error TEXT,
  queue_seconds REAL NOT NULL DEFAULT 0, run_seconds REAL NOT NULL DEFAULT 0, detached REAL,
  session TEXT NOT NULL, process INTEGER NOT NULL)""",
        "CREATE INDEX IF NOT EXISTS job_created ON job (created)",
        f"CREATE INDEX IF NOT EXISTS job_unfinished ON job (state) WHERE state IN {_UNFINISHED}",
        "CREATE INDEX IF NOT EXISTS job_digest ON job (owner, digest, created)",
        """
CREATE TABLE IF NOT EXISTS upload (
  identity TEXT PRIMARY KEY, url TEXT, expires REAL, upload_url TEXT, file_url TEXT, etags TEXT,
  created REAL NOT NULL)""",
    ),
    ("ALTER TABLE job ADD COLUMN billed REAL",),
    ("ALTER TABLE job ADD COLUMN saved TEXT",),
    (
        # An output may be half a megabyte, and SQLite walks through it to what stands behind it in the row.
        "CREATE TABLE output (job_id TEXT PRIMARY KEY, content TEXT NOT NULL)",
        # Money in millionths. The old columns stay for a server of the version before that still runs beside.
        "ALTER TABLE job ADD COLUMN price_micro INTEGER",
        "ALTER TABLE job ADD COLUMN billed_micro INTEGER",
        "ALTER TABLE job ADD COLUMN booked INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN way TEXT NOT NULL DEFAULT 'queue'",
        "ALTER TABLE job ADD COLUMN has_run INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN answered REAL",
        # Nobody wrote down then who was answered: only what was broken off was not.
        "UPDATE job SET answered = updated WHERE detached IS NULL",
        "ALTER TABLE job ADD COLUMN asked REAL NOT NULL DEFAULT 0",
        "ALTER TABLE job ADD COLUMN call_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN connection TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE job ADD COLUMN fence INTEGER NOT NULL DEFAULT 0",
        *_SETTLED,
        "CREATE INDEX job_asked ON job (owner, digest, asked)",
        "CREATE INDEX job_spent ON job (owner, created, booked)",
        "CREATE INDEX job_session ON job (owner, session, booked)",
        "CREATE INDEX job_request ON job (request_id)",
        "CREATE TABLE mark (key TEXT PRIMARY KEY, until REAL NOT NULL)",
        "CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL)",
    ),
)
STEPS = (*_HISTORY, *COMMON)
"""From an empty file to today's ledger; the file's user_version counts the steps that it has been through."""


def version_of(database: sqlite3.Connection) -> int:
    """How many steps this file has been through."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(database: sqlite3.Connection) -> int:
    """Take the steps that are left, all in one transaction; the version found, which may be a later one than ours.

    The version is read again under the lock: of several servers that start at once, one migrates.
    """
    if (version := version_of(database)) >= len(STEPS):
        return version
    database.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(database)
        for step in STEPS[version:]:
            for statement in step:
                database.execute(statement)
        if version < len(STEPS):
            database.execute(f"PRAGMA user_version = {len(STEPS)}")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return max(version, len(STEPS))


def settle(database: Runs) -> None:
    """Give rows that an earlier version wrote, or that were carried over from one, what they lack."""
    for statement in (*_SETTLED, _ACCOUNTED):
        database.execute(statement)
