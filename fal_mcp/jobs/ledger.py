"""The ledger of paid work: one row a job, written before it is submitted and at every change since. SQLite.

The write-ahead log keeps a row that was written through `kill -9` at any moment, and lets several servers share one
ledger. What decides about money is one transaction: read what was spent, refuse or write the row.
"""

import json
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fal_mcp.client.queue import Request
from fal_mcp.client.storage import Parts
from fal_mcp.errors import BudgetExceeded, NotRecorded
from fal_mcp.jobs.job import BILLED, UNFINISHED, Job, Order
from fal_mcp.json_values import dumped

KEPT_DAYS = 30
MOST_ROWS = 20_000
_LARGEST_OUTPUT = 512 * 1024
_DAY = 86_400.0
_BUSY_SECONDS = 10.0
_COLUMNS = (
    "job_id, endpoint_id, owner, digest, state, created, updated, arguments, request_id, status_url, response_url, "
    "cancel_url, position, price, price_note, output, error, queue_seconds, run_seconds, detached, billed, saved"
)
_STEPS = (
    f"""
CREATE TABLE IF NOT EXISTS job (
  job_id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, owner TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
  created REAL NOT NULL, updated REAL NOT NULL, arguments TEXT, request_id TEXT, status_url TEXT, response_url TEXT,
  cancel_url TEXT, position INTEGER, price REAL, price_note TEXT NOT NULL DEFAULT '', output TEXT, error TEXT,
  queue_seconds REAL NOT NULL DEFAULT 0, run_seconds REAL NOT NULL DEFAULT 0, detached REAL,
  session TEXT NOT NULL, process INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS job_created ON job (created);
CREATE INDEX IF NOT EXISTS job_unfinished ON job (state) WHERE state IN {UNFINISHED};
CREATE INDEX IF NOT EXISTS job_digest ON job (owner, digest, created);
CREATE TABLE IF NOT EXISTS upload (
  identity TEXT PRIMARY KEY, url TEXT, expires REAL, upload_url TEXT, file_url TEXT, etags TEXT, created REAL NOT NULL);
""",
    "ALTER TABLE job ADD COLUMN billed REAL;",
    "ALTER TABLE job ADD COLUMN saved TEXT;",
)
"""From an empty file to today's ledger; the file's user_version counts the steps that it has been through."""
_UPLOAD_DAYS = 6.0
_PARTS_HOURS = 20.0

logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, in USD; None is no limit. `approve_over`: what a person is asked about first."""

    call: float | None = None
    session: float | None = None
    day: float | None = None
    approve_over: float | None = None
    allow_unpriced: bool = False

    @property
    def are_set(self) -> bool:
        return any(limit is not None for limit in (self.call, self.session, self.day))


class Ledger:
    """One server's view of the ledger. Not for threads: each write is well under a millisecond."""

    def __init__(self, file: Path | None, *, records_arguments: bool = True) -> None:
        self.session = secrets.token_hex(8)
        self._records_arguments = records_arguments
        self._database = _opened(file) if file else _connected(":memory:")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def begin(self, order: Order, limits: Limits) -> Job:
        """Write down that this is about to be submitted, unless it would go over a limit.

        Raises:
            BudgetExceeded: it would; nothing was written.
            NotRecorded: it cannot be written down, so it must not be submitted.
        """
        now = time.time()
        job = Job(
            job_id=f"job_{secrets.token_hex(16)}",
            endpoint_id=order.endpoint_id,
            owner=order.owner,
            digest=order.digest,
            state="intent",
            created=now,
            updated=now,
            arguments=dict(order.arguments) if self._records_arguments else None,
            price=order.price,
            price_note=order.price_note,
        )
        with self._recording(), self._transaction():
            self._check(order, limits, now)
            self._database.execute(
                "INSERT INTO job (job_id, endpoint_id, owner, digest, state, created, updated, arguments, price, "
                "price_note, session, process) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(job.job_id, job.endpoint_id, job.owner, job.digest, job.state, now, now),
                    *(_json(job.arguments), job.price, job.price_note, self.session, os.getpid()),
                ),
            )
        return job

    def add(self, job_id: str, order: Order, limits: Limits) -> None:
        """Write down that more is about to be sent on this job's account, unless it would go over a limit.

        Raises:
            BudgetExceeded, NotRecorded: as for `begin`.
        """
        with self._recording(), self._transaction():
            self._check(order, limits, time.time())
            self._charge(job_id, order.price or 0.0)

    def give_back(self, job_id: str, price: float | None) -> None:
        """What was added was refused or failed, and fal does not bill it."""
        with self._recording():
            self._charge(job_id, -(price or 0.0))

    def accepted(self, job_id: str, request: Request) -> None:
        """fal took it."""
        self._set(
            job_id,
            state="queued",
            request_id=request.request_id,
            status_url=request.status_url,
            response_url=request.response_url,
            cancel_url=request.cancel_url,
        )

    def change(self, job_id: str, **columns: Any) -> None:
        """Other values for some columns. `output`, `error` and `saved` are objects."""
        for name in ("output", "error", "saved"):
            if name in columns:
                columns[name] = _json(columns[name])
        if len(columns.get("output") or "") > _LARGEST_OUTPUT and self._is_at_fal(job_id):
            # It is fetched again when it is asked for.
            columns["output"] = None
        self._set(job_id, **columns)

    def get(self, job_id: str, owner: str) -> Job | None:
        """This owner's job; None for an unknown one and for anybody else's."""
        return next(self._jobs("job_id = ? AND owner = ?", job_id, owner), None)

    def by_request(self, request_id: str) -> Job | None:
        """The job of this request of fal's, whoever it belongs to."""
        return next(self._jobs("request_id = ?", request_id), None)

    def listed(
        self, owner: str, *, state: str | None = None, endpoint_id: str | None = None, since: float = 0, limit: int = 20
    ) -> list[Job]:
        """This owner's jobs, the newest first."""
        return list(
            self._jobs(
                "owner = ? AND created >= ? AND (? IS NULL OR state = ?) AND (? IS NULL OR endpoint_id = ?) "
                "ORDER BY created DESC LIMIT ?",
                *(owner, since, state, state, endpoint_id, endpoint_id, limit),
            )
        )

    def unfinished(self) -> list[Job]:
        """Every job that is not over, whoever it belongs to, the newest first."""
        return list(self._jobs(f"state IN {UNFINISHED} ORDER BY created DESC"))

    def orphaned(self) -> list[Job]:
        """Intents whose server ended before fal answered: nobody knows whether they run."""
        rows = self._database.execute("SELECT job_id, process, created FROM job WHERE state = 'intent'").fetchall()
        dead = [row[0] for row in rows if not _is_alive(row[1]) or row[2] < time.time() - _DAY]
        return [job for job in self._jobs("state = 'intent'") if job.job_id in dead]

    def same(self, order: Order, since: float) -> Job | None:
        """The newest job of this owner with the same endpoint and arguments since then."""
        return next(
            self._jobs(
                "owner = ? AND digest = ? AND created >= ? ORDER BY created DESC LIMIT 1",
                *(order.owner, order.digest, since),
            ),
            None,
        )

    def spent(self, since: float = 0, session: str | None = None) -> float:
        """USD that jobs since then cost, or are thought to."""
        (total,) = self._database.execute(
            f"SELECT COALESCE(SUM(COALESCE(billed, price)), 0) FROM job WHERE state IN {BILLED} AND created >= ? "
            "AND (? IS NULL OR session = ?)",
            (since, session, session),
        ).fetchone()
        return cast(float, total)

    def uploaded(self, identity: str) -> str | None:
        """Where this very file is on fal's CDN already; None where it is not, or may be gone."""
        now = time.time()
        row = self._database.execute(
            "SELECT url FROM upload WHERE identity = ? AND url IS NOT NULL AND created > ? "
            "AND (expires IS NULL OR expires > ?)",
            (identity, now - _UPLOAD_DAYS * _DAY, now + 3600),
        ).fetchone()
        return row[0] if row else None

    def keep_upload(self, identity: str, url: str, expires: float | None) -> None:
        """Remember where a file is. Forgetting it costs an upload and nothing else, so a full disk stops nothing."""
        with suppress(sqlite3.Error):
            self._database.execute(
                "INSERT OR REPLACE INTO upload (identity, url, expires, created) VALUES (?, ?, ?, ?)",
                (identity, url, expires, time.time()),
            )

    def parts_of(self, identity: str) -> Parts | None:
        """How far the upload of this file came before it was broken off."""
        row = self._database.execute(
            "SELECT upload_url, file_url, etags FROM upload WHERE identity = ? AND url IS NULL AND created > ?",
            (identity, time.time() - _PARTS_HOURS * 3600),
        ).fetchone()
        return Parts(row[0], row[1], {int(number): tag for number, tag in json.loads(row[2]).items()}) if row else None

    def keep_parts(self, identity: str, parts: Parts) -> None:
        """Remember how far the upload of this file has come."""
        with suppress(sqlite3.Error):
            self._database.execute(
                "INSERT OR REPLACE INTO upload (identity, upload_url, file_url, etags, created) VALUES (?, ?, ?, ?, ?)",
                (identity, parts.upload_url, parts.file_url, json.dumps(parts.etags), time.time()),
            )

    def prune(self) -> None:
        """Forget what is old, and what is too much. Unfinished work is never forgotten."""
        kept = f"state NOT IN {UNFINISHED}"
        with suppress(sqlite3.Error):
            self._database.execute("DELETE FROM upload WHERE created < ?", (time.time() - _UPLOAD_DAYS * _DAY,))
            self._database.execute(f"DELETE FROM job WHERE {kept} AND created < ?", (time.time() - KEPT_DAYS * _DAY,))
            self._database.execute(
                f"DELETE FROM job WHERE {kept} AND job_id NOT IN "
                "(SELECT job_id FROM job ORDER BY created DESC LIMIT ?)",
                (MOST_ROWS,),
            )

    def _check(self, order: Order, limits: Limits, now: float) -> None:
        if not limits.are_set:
            return
        if order.price is None:
            if not limits.allow_unpriced:
                raise BudgetExceeded(
                    f"The price of {order.endpoint_id!r} is not known ({order.price_note or 'no reason given'}), and a "
                    "limit is set.",
                    hint="Nothing was sent. The server's --allow-unpriced lets such calls through.",
                )
            return
        spent = {
            "--max-cost": (limits.call, 0.0),
            "--session-budget": (limits.session, self.spent(0, self.session)),
            "--daily-budget": (limits.day, self.spent(now - now % _DAY)),
        }
        for setting, (limit, before) in spent.items():
            if limit is not None and before + order.price > limit + 1e-9:
                raise BudgetExceeded(
                    f"This would cost about {order.price:.4g} USD ({order.price_note}); {before:.4g} USD are spent, "
                    f"and {setting} is {limit:g} USD.",
                    hint="Nothing was sent. Choose a cheaper model or smaller arguments, or ask the user to raise "
                    f"{setting}.",
                )

    def _is_at_fal(self, job_id: str) -> bool:
        row = self._database.execute("SELECT request_id FROM job WHERE job_id = ?", (job_id,)).fetchone()
        return row is not None and row[0] is not None

    def _charge(self, job_id: str, amount: float) -> None:
        statement = "UPDATE job SET price = COALESCE(price, 0) + ?, updated = ? WHERE job_id = ?"
        self._database.execute(statement, (amount, time.time(), job_id))

    def _set(self, job_id: str, **columns: Any) -> None:
        columns["updated"] = time.time()
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._recording():
            self._database.execute(f"UPDATE job SET {assignments} WHERE job_id = ?", (*columns.values(), job_id))

    def _jobs(self, where: str, *values: Any) -> Iterator[Job]:
        with closing(self._database.execute(f"SELECT {_COLUMNS} FROM job WHERE {where}", values)) as rows:
            yield from [_job(row) for row in rows.fetchall()]

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _recording(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise NotRecorded(f"The ledger of paid work cannot be written: {error}.") from error


def _opened(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _connected(str(file))
    except sqlite3.DatabaseError as error:
        aside = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        logger.error("The ledger %s is damaged (%s). It was set aside as %s and a new one begun.", file, error, aside)
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(f"{file}{ending}", f"{aside}{ending}")
        return _connected(str(file))


def _connected(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (done,) = database.execute("PRAGMA user_version").fetchone()
        for number, step in enumerate(_STEPS[done:], done + 1):
            database.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
        database.execute("SELECT count(*) FROM job WHERE state = 'intent'").fetchone()
    except sqlite3.DatabaseError:
        database.close()
        raise
    with suppress(OSError):
        os.chmod(path, 0o600)
    return database


def _job(row: tuple[Any, ...]) -> Job:
    named: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    urls = [named.pop(name) for name in ("request_id", "status_url", "response_url", "cancel_url")]
    for name in ("arguments", "output", "error", "saved"):
        named[name] = json.loads(named[name]) if named[name] else None
    request = Request(named["endpoint_id"], *urls) if all(urls) else None
    return Job(**named, request=request)


def _json(value: Any) -> str | None:
    return None if value is None else dumped(value)


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return True
    if os.name == "nt":
        # There, asking a process whether it lives may end it; its intents are given a day.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
