"""The ledger's tables in PostgreSQL, as they were when it came, and the steps since that both engines share."""

from fal_mcp.jobs.database import Runs
from fal_mcp.jobs.schema import COMMON

_BASE = (
    """
CREATE TABLE job (
  job_id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, owner TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
  created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL, arguments TEXT, request_id TEXT,
  status_url TEXT, response_url TEXT, cancel_url TEXT, position BIGINT, price_note TEXT NOT NULL DEFAULT '', error TEXT,
  queue_seconds DOUBLE PRECISION NOT NULL DEFAULT 0, run_seconds DOUBLE PRECISION NOT NULL DEFAULT 0,
  detached DOUBLE PRECISION, session TEXT NOT NULL, process BIGINT NOT NULL DEFAULT 0, saved TEXT,
  price_micro BIGINT, billed_micro BIGINT, booked BIGINT NOT NULL DEFAULT 0, way TEXT NOT NULL DEFAULT 'queue',
  has_run BIGINT NOT NULL DEFAULT 0, answered DOUBLE PRECISION, asked DOUBLE PRECISION NOT NULL DEFAULT 0,
  call_id TEXT NOT NULL DEFAULT '', connection TEXT NOT NULL DEFAULT '', fence BIGINT NOT NULL DEFAULT 0,
  rowid BIGINT GENERATED ALWAYS AS IDENTITY)""",
    "CREATE INDEX job_created ON job (created)",
    "CREATE INDEX job_unfinished ON job (state) WHERE state IN ('intent', 'queued', 'running', 'unknown')",
    "CREATE INDEX job_asked ON job (owner, digest, asked)",
    "CREATE INDEX job_spent ON job (owner, created, booked)",
    "CREATE INDEX job_request ON job (request_id)",
    "CREATE TABLE output (job_id TEXT PRIMARY KEY, content TEXT NOT NULL)",
    """
CREATE TABLE upload (
  identity TEXT PRIMARY KEY, url TEXT, expires DOUBLE PRECISION, upload_url TEXT, file_url TEXT, etags TEXT,
  created DOUBLE PRECISION NOT NULL)""",
    "CREATE TABLE mark (key TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL)",
    "CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL)",
    # Which servers live: each says so again and again, and one that does not is gone.
    "CREATE TABLE server (session TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL)",
    # Whoever waits for a job at another server hears of its change when that is committed, at no statement's cost.
    """
CREATE FUNCTION job_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('fal_mcp', 'job:' || NEW.job_id); RETURN NULL; END $$""",
    """
CREATE TRIGGER job_changed AFTER UPDATE OF state ON job FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION job_changed()""",
)
STEPS = (_BASE, *COMMON)
_LOCK = 4_707_312_202
"""Of all locks that programs agree on by a number, that of bringing the ledger up to date."""


def migrate(database: Runs) -> int:
    """Take the steps that are left, within a transaction; the version found, which may be a later one than ours. Of
    several servers that start at once, one migrates."""
    database.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
    # Asked first: whoever only uses the ledger need not be allowed to make tables.
    if database.execute("SELECT to_regclass('ledger_version')").fetchone()[0] is None:
        database.execute("CREATE TABLE ledger_version (version BIGINT NOT NULL)")
    row = database.execute("SELECT version FROM ledger_version").fetchone()
    version = int(row[0]) if row else 0
    for step in STEPS[version:]:
        for statement in step:
            database.execute(statement)
    if version < len(STEPS):
        database.execute("DELETE FROM ledger_version")
        database.execute("INSERT INTO ledger_version (version) VALUES (?)", (len(STEPS),))
    return version
