"""What the ledger does inside a transaction: rows read, written, taken over and summed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fal_mcp.client.queue import Request
from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs import cost, rows
from fal_mcp.jobs.database import Database
from fal_mcp.jobs.job import UNFINISHED, Job, Order
from fal_mcp.jobs.schema import CLOSED
from fal_mcp.json_values import JsonMapping, JsonObject, dumped, number_of

WaitingRow = tuple[str, str, str, float]
"""A job that waits: its id, owner, server, and when it was last written."""
KEPT_DAYS = 30
MOST_ROWS = 20_000
_LARGEST_OUTPUT = 512 * 1024
_LOOKED_FOR = cost.DAY
"""Seconds for which a submit without an answer is looked for in fal's records."""

_MOST = 1_000_000_000_000_000

# What is unknown is looked for, for up to a day; a session or an instance is no job in fal's queue.
_RUNS = "state IN ('intent', 'queued', 'running') AND way IN ('queue', 'workflow', 'sync', 'stream')"


def summed(column: str) -> str:
    """The sum of a column of millionths, whatever another program put there: never less than nothing."""
    amount = f"CAST({column} AS BIGINT)"
    return f"SUM(CASE WHEN {amount} > {_MOST} THEN {_MOST} WHEN {amount} > 0 THEN {amount} ELSE 0 END)"


@dataclass(frozen=True, slots=True)
class Change:
    """What was written of a job: its state `before` and now, fal's id of it, and how long it waited at fal, in seconds,
    where that is known by now."""

    job_id: str
    endpoint_id: str
    owner: str
    before: str
    state: str
    request_id: str | None
    queue_seconds: float | None
    is_saved: bool


def jobs(database: Database, where: str, *values: Any) -> Iterator[Job]:
    """The jobs of some rows, without their outputs."""
    found = database.execute(f"SELECT {rows.COLUMNS} FROM job WHERE {where}", values).fetchall()
    yield from [rows.read(row) for row in found]


def ids(database: Database, where: str, *values: Any) -> list[tuple[str, str]]:
    """The ids of some jobs, with whose they are."""
    return database.execute(f"SELECT job_id, owner FROM job WHERE {where}", values).fetchall()


def whole(database: Database, where: str, *values: Any) -> Job | None:
    """The first such job, with its output."""
    job = next(jobs(database, where, *values), None)
    if job is None:
        return None
    row = database.execute("SELECT content FROM output WHERE job_id = ?", (job.job_id,)).fetchone()
    return replace(job, output=rows.read_object(row[0])) if row else job


def spent(database: Database, where: str, *values: Any) -> int:
    """Millionths that such jobs are booked at."""
    return int(database.execute(f"SELECT {summed('booked')} FROM job WHERE {where}", values).fetchone()[0] or 0)


def note(database: Database, name: str) -> str | None:
    """What was noted under a name."""
    row = database.execute("SELECT text FROM note WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def check_open(database: Database) -> None:
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


def write(database: Database, job_id: str, fence: int | None, columns: JsonMapping, now: float) -> Change | None:
    """Write values by the names of `Job`'s fields, and book the job anew; None where the fence is not the row's."""
    statement = (
        "SELECT state, price_micro, billed_micro, has_run, fence, request_id, endpoint_id, owner FROM job "
        "WHERE job_id = ?"
    )
    row = database.execute(statement + database.locking, (job_id,)).fetchone()
    # Another server took it over, for whatever reason it thought this one gone; what it writes is the truth now.
    if row is None or (fence is not None and row[4] != fence):
        return None
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
    values |= {"booked": cost.booked(state, price, billed, has_run), "updated": values.get("updated", now)}
    names = ", ".join(f"{name} = ?" for name in values)
    database.execute(f"UPDATE job SET {names} WHERE job_id = ?", (*values.values(), job_id))
    is_at_fal = bool(values.get("request_id", row[5]))
    # What is large is fetched again when it is asked for, where fal has it.
    if output is not None and not (is_at_fal and len(output) > _LARGEST_OUTPUT):
        statement = "INSERT INTO output (job_id, content) VALUES (?, ?) ON CONFLICT (job_id) DO UPDATE SET content = ?"
        database.execute(statement, (job_id, output, output))
    return _change(job_id, row, state, columns)


def _change(job_id: str, row: Sequence[Any], state: object, columns: JsonMapping) -> Change:
    names = ("state", "request_id", "endpoint_id", "owner")
    before, request_id, endpoint_id, owner = map(rows.typed, names, (row[0], *row[5:]))
    return Change(
        job_id,
        endpoint_id,
        owner,
        before,
        state=rows.typed("state", state),
        request_id=rows.typed("request_id", columns.get("request_id", request_id)),
        queue_seconds=number_of(columns.get("queue_seconds")),
        is_saved=bool(columns.get("saved")),
    )


def insert(database: Database, job: Job, sending: Order | None = None) -> None:
    """Write the row of a job that is about to be submitted; with `sending`, once it is its turn."""
    columns = rows.changed(rows.written(job))
    if sending is not None and (sending.headers or sending.query):
        columns["sending"] = dumped({"headers": dict(sending.headers or {}), "query": dict(sending.query or {})})
    if sending is None:
        columns["admitted"] = job.created
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    database.execute(f"INSERT INTO job ({names}) VALUES ({marks})", (*columns.values(),))


def waiting(database: Database, account: str) -> list[WaitingRow]:
    """The jobs of an account that wait for their turn, the oldest first."""
    statement = "SELECT job_id, owner, session, updated FROM job WHERE account = ? AND state = 'waiting' "
    return database.execute(statement + "ORDER BY created, rowid", (account,)).fetchall()


def count_waiting(database: Database, account: str) -> int:
    """How many jobs of an account wait for their turn."""
    statement = "SELECT count(*) FROM job WHERE account = ? AND state = 'waiting'"
    return int(database.execute(statement, (account,)).fetchone()[0])


def running(database: Database, account: str) -> dict[str, int]:
    """How many jobs of an account are at fal, by whose they are."""
    statement = f"SELECT owner, count(*) FROM job WHERE account = ? AND {_RUNS} GROUP BY owner"
    return {row[0]: int(row[1]) for row in database.execute(statement, (account,)).fetchall()}


class Taken(NamedTuple):
    """How many places one server's jobs have, those begun before a moment and those since."""

    before: int = 0
    since: int = 0


def taken(database: Database, account: str, moment: float) -> dict[str, Taken]:
    """How many jobs of an account are at fal or wait for their turn, by the server that sees to them."""
    where = f"account = ? AND (state = 'waiting' OR {_RUNS})"
    counts = "SUM(CASE WHEN created < ? THEN 1 ELSE 0 END), SUM(CASE WHEN created < ? THEN 0 ELSE 1 END)"
    statement = f"SELECT session, {counts} FROM job WHERE {where} GROUP BY session"
    found = database.execute(statement, (moment, moment, account)).fetchall()
    return {row[0]: Taken(int(row[1]), int(row[2])) for row in found}


def last_turns(database: Database, account: str, owners: Iterable[str] = ()) -> dict[str, float]:
    """When each owner of which a job waits last got a turn, and these others; who never did is left out."""
    more = list(owners)
    # For each owner by the index: read in one go, all jobs of the account would be looked at.
    statement = (
        "SELECT owner, (SELECT MAX(admitted) FROM job AS had WHERE had.account = ? AND had.owner = one.owner) "
        "FROM (SELECT owner FROM job WHERE account = ? AND state = 'waiting'"
        f"{' UNION SELECT CAST(? AS TEXT)' * len(more)}) AS one"
    )
    rows = database.execute(statement, (account, account, *more)).fetchall()
    return {row[0]: number_of(row[1]) or 0.0 for row in rows if row[1] is not None}


def admit(database: Database, job_id: str, now: float) -> None:
    """It is this job's turn."""
    statement = "UPDATE job SET state = 'intent', admitted = ?, updated = ? WHERE job_id = ? AND state = 'waiting'"
    database.execute(statement, (now, now, job_id))


def withdraw(database: Database, job_id: str, now: float) -> bool:
    """End a job that still waits for its turn; False where it does not any more."""
    statement = "UPDATE job SET state = 'cancelled', booked = 0, updated = ? WHERE job_id = ? AND state = 'waiting'"
    return database.execute(statement, (now, job_id)).rowcount == 1


def release(database: Database, job_ids: Iterable[str], now: float) -> None:
    """End jobs that nobody submitted, and nobody is going to."""
    statement = (
        "UPDATE job SET state = 'cancelled', booked = 0, updated = ? "
        "WHERE job_id = ? AND state IN ('waiting', 'intent') AND request_id IS NULL"
    )
    for job_id in job_ids:
        database.execute(statement, (now, job_id))


def sending(database: Database, job_id: str) -> JsonObject:
    """With which headers and query a job that waited is to be sent."""
    row = database.execute("SELECT sending FROM job WHERE job_id = ?", (job_id,)).fetchone()
    return (rows.read_object(row[0]) if row else None) or {}


def usual_seconds(database: Database, account: str, lately: int) -> float:
    """How long the last so many jobs of an account ran."""
    statement = (
        "SELECT AVG(run_seconds) FROM (SELECT run_seconds FROM job WHERE account = ? AND state = 'completed' "
        "ORDER BY created DESC LIMIT ?) AS latest"
    )
    return number_of(database.execute(statement, (account, lately)).fetchone()[0]) or 0.0


def found(database: Database, job: Job, requests: Sequence[Request]) -> Job:
    """The job with the first of these requests that is no other row's; one that was found before keeps its own."""
    known = whole(database, "job_id = ?", job.job_id)
    if known is not None and known.request is not None:
        return known
    for request in requests:
        # One at a time: how many marks one statement may have depends on how SQLite was built.
        statement = "SELECT 1 FROM job WHERE request_id = ? AND account = ?"
        if database.execute(statement, (request.request_id, job.account)).fetchone() is None:
            write(database, job.job_id, None, {"state": "queued", **rows.request_columns(request)}, database.now())
            return replace(job, request=request, state="queued")
    return job


def charge(database: Database, job_id: str, amount: int, now: float) -> None:
    """Add so many millionths to what a job is thought to cost; less than nothing gives them back."""
    row = database.execute("SELECT price_micro FROM job WHERE job_id = ?", (job_id,)).fetchone()
    if row is not None:
        write(database, job_id, None, {"price_micro": max((rows.typed("price_micro", row[0]) or 0) + amount, 0)}, now)


def is_first(database: Database, key: str, now: float, seconds: float) -> bool:
    """Whether this key is shown for the first time in so many seconds; shown again, it is not."""
    database.execute("DELETE FROM mark WHERE until < ?", (now,))
    statement = "INSERT INTO mark (key, until) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
    return database.execute(statement, (key, now + seconds)).rowcount == 1


def forget_old(database: Database, now: float) -> None:
    """Delete what is old, and what is too much; unfinished work never."""
    database.execute(
        "UPDATE job SET state = 'lost' WHERE state = 'unknown' AND request_id IS NULL AND created < ?",
        (now - _LOOKED_FOR,),
    )
    # What may still cost, or be owed to somebody, stays whatever its age.
    over = f"state NOT IN {UNFINISHED}"
    database.execute(f"DELETE FROM job WHERE {over} AND created < ?", (now - KEPT_DAYS * cost.DAY,))
    newest = "SELECT job_id FROM job ORDER BY created DESC LIMIT ?"
    # What the day's budget is reckoned by stays until the day is over, however much it is.
    statement = f"DELETE FROM job WHERE {over} AND created < ? AND job_id NOT IN ({newest})"
    database.execute(statement, (cost.midnight(now), MOST_ROWS))
    database.execute("DELETE FROM output WHERE job_id NOT IN (SELECT job_id FROM job)")
    database.execute("DELETE FROM mark WHERE until < ?", (now,))


def gone(database: Database, account: str) -> dict[str, float]:
    """The servers that have this account's unfinished jobs, with when each was last heard of by one."""
    statement = f"SELECT session, MAX(updated) FROM job WHERE account = ? AND state IN {UNFINISHED} GROUP BY session"
    return {row[0]: number_of(row[1]) or 0.0 for row in database.execute(statement, (account,)).fetchall()}


def take(database: Database, job: Job, session: str) -> Job | None:
    """Let this server follow the job from here on; None where another one was faster."""
    # Its server ended between the row and fal's answer: it may be running, and is not sent again.
    state = "unknown" if job.state == "intent" else job.state
    statement = "UPDATE job SET fence = fence + 1, session = ?, state = ? WHERE job_id = ? AND fence = ? AND state = ?"
    values = (session, state, job.job_id, job.fence, job.state)
    if database.execute(statement, values).rowcount != 1:
        return None
    return replace(job, fence=job.fence + 1, session=session, state=state)
