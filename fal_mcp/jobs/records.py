"""What the ledger does inside a transaction: rows read, written, taken over and summed."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs import cost, rows
from fal_mcp.jobs.job import NOBODY, UNFINISHED, Job
from fal_mcp.jobs.store import CLOSED
from fal_mcp.json_values import JsonMapping

KEPT_DAYS = 30
MOST_ROWS = 20_000
_LARGEST_OUTPUT = 512 * 1024
_LOOKED_FOR = cost.DAY
"""Seconds for which a submit without an answer is looked for in fal's records."""

_SUM = "SUM(MIN(MAX(CAST(booked AS INTEGER), 0), 1000000000000000))"
"""What is booked, whatever another program put there: never less than nothing."""


def jobs(database: sqlite3.Connection, where: str, *values: object) -> Iterator[Job]:
    """The jobs of some rows, without their outputs."""
    with closing(database.execute(f"SELECT {rows.COLUMNS} FROM job WHERE {where}", values)) as cursor:
        yield from [rows.read(row) for row in cursor.fetchall()]


def whole(database: sqlite3.Connection, where: str, *values: object) -> Job | None:
    """The first such job, with its output."""
    job = next(jobs(database, where, *values), None)
    if job is None:
        return None
    row = database.execute("SELECT content FROM output WHERE job_id = ?", (job.job_id,)).fetchone()
    return replace(job, output=rows.read_object(row[0])) if row else job


def of_payer(payer: str) -> tuple[str, tuple[str, str, str]]:
    """A condition for the jobs of a payer and of every principal below it, and its values. A range, for the index."""
    return "(owner = ? OR (owner > ? AND owner < ?))", (payer, f"{payer}/", f"{payer}0")


def payer_of(owner: str) -> str:
    """Who pays for this owner's jobs; where the server has no key, each for itself."""
    payer = owner.partition("/")[0]
    return owner if payer == NOBODY else payer


def spent(database: sqlite3.Connection, owner: str, since: float, session: str | None) -> int:
    """Millionths that this owner spent, with whoever is below it."""
    within, whom = of_payer(owner)
    if session is not None:
        statement = f"SELECT {_SUM} FROM job WHERE {within} AND session = ? AND created >= ?"
        values: tuple[Any, ...] = (*whom, session, since)
    else:
        statement, values = f"SELECT {_SUM} FROM job WHERE {within} AND created >= ?", (*whom, since)
    return int(database.execute(statement, values).fetchone()[0] or 0)


def note(database: sqlite3.Connection, name: str) -> str | None:
    """What was noted under a name."""
    row = database.execute("SELECT text FROM note WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def check_open(database: sqlite3.Connection) -> None:
    """Refuse where budgets are closed.

    Raises:
        BudgetExceeded: the ledger was damaged, and nobody said go since.
    """
    aside = note(database, CLOSED)
    if aside is not None:
        raise BudgetExceeded(
            f"The ledger of paid work was damaged and set aside as {aside!r}: what was spent is not fully "
            "known, and a limit is set.",
            hint="Nothing was sent. Ask the user to look, and to run `fal-mcp ledger accept` to go on.",
        )


@contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """All of it, or nothing."""
    # The lock for writing is taken at the beginning: two servers that both read first would both see the money that is
    # there once.
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    # A cancelled thread or an interrupt too: a transaction that is left open locks every other server out.
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def write(database: sqlite3.Connection, job_id: str, fence: int | None, columns: JsonMapping, now: float) -> bool:
    """Write values by the names of `Job`'s fields, and book the job anew; whether the fence is still the row's."""
    statement = "SELECT state, price_micro, billed_micro, has_run, fence, request_id FROM job WHERE job_id = ?"
    row = database.execute(statement, (job_id,)).fetchone()
    # Another server took it over, for whatever reason it thought this one gone; what it writes is the truth now.
    if row is None or (fence is not None and row[4] != fence):
        return False
    values = rows.changed(columns)
    output = rows.text(values.pop("output", None))
    if row[0] in ("completed", "failed", "cancelled") and values.get("state") in UNFINISHED:
        # Its end was told by another way first, as fal's callbacks may.
        del values["state"]
    state = values.get("state", row[0])
    # Never unset: what ran once may be billed, even where it is cancelled later.
    if state in ("running", "completed"):
        values["has_run"] = 1
    has_run = bool(values.get("has_run", row[3]))
    price = values.get("price_micro", rows.typed("price_micro", row[1]))
    billed = values.get("billed_micro", rows.typed("billed_micro", row[2]))
    values |= {"booked": cost.booked(state, price, billed, has_run), "updated": now}
    names = ", ".join(f"{name} = ?" for name in values)
    database.execute(f"UPDATE job SET {names} WHERE job_id = ?", (*values.values(), job_id))
    is_at_fal = bool(values.get("request_id", row[5]))
    # What is large is fetched again when it is asked for, where fal has it.
    if output is not None and not (is_at_fal and len(output) > _LARGEST_OUTPUT):
        database.execute("INSERT OR REPLACE INTO output (job_id, content) VALUES (?, ?)", (job_id, output))
    return True


def insert(database: sqlite3.Connection, job: Job) -> None:
    """Write the row of a job that is about to be submitted."""
    columns = rows.changed(rows.written(job))
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    database.execute(f"INSERT INTO job ({names}) VALUES ({marks})", (*columns.values(),))


def charge(database: sqlite3.Connection, job_id: str, amount: int, now: float) -> None:
    """Add so many millionths to what a job is thought to cost; less than nothing gives them back."""
    row = database.execute("SELECT price_micro FROM job WHERE job_id = ?", (job_id,)).fetchone()
    if row is not None:
        write(database, job_id, None, {"price_micro": max((rows.typed("price_micro", row[0]) or 0) + amount, 0)}, now)


def is_first(database: sqlite3.Connection, key: str, now: float, seconds: float) -> bool:
    """Whether this key is shown for the first time in so many seconds; shown again, it is not."""
    database.execute("DELETE FROM mark WHERE until < ?", (now,))
    statement = "INSERT OR IGNORE INTO mark (key, until) VALUES (?, ?)"
    return database.execute(statement, (key, now + seconds)).rowcount == 1


def forget_old(database: sqlite3.Connection, now: float) -> None:
    """Delete what is old, and what is too much; unfinished work never."""
    database.execute(
        "UPDATE job SET state = 'lost' WHERE state = 'unknown' AND request_id IS NULL AND created < ?",
        (now - _LOOKED_FOR,),
    )
    # What may still cost, or be owed to somebody, stays whatever its age.
    over = f"state NOT IN {UNFINISHED}"
    database.execute(f"DELETE FROM job WHERE {over} AND created < ?", (now - KEPT_DAYS * cost.DAY,))
    newest = "SELECT job_id FROM job ORDER BY created DESC LIMIT ?"
    database.execute(f"DELETE FROM job WHERE {over} AND job_id NOT IN ({newest})", (MOST_ROWS,))
    database.execute("DELETE FROM output WHERE job_id NOT IN (SELECT job_id FROM job)")
    database.execute("DELETE FROM mark WHERE until < ?", (now,))


def take(database: sqlite3.Connection, job: Job, session: str) -> Job:
    """Let this server follow the job from here on."""
    # Its server ended between the row and fal's answer: it may be running, and is not sent again.
    state = "unknown" if job.state == "intent" else job.state
    statement = "UPDATE job SET fence = fence + 1, session = ?, state = ? WHERE job_id = ?"
    database.execute(statement, (session, state, job.job_id))
    return replace(job, fence=job.fence + 1, session=session, state=state)
