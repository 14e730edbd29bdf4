"""The ledger as a file of SQLite's: opened when it is first needed, used by one thread at a time and never by the event
loop's.

A file that SQLite calls damaged is set aside, with what can be read of it carried over; every other trouble is said,
and the file stays where it is.
"""

import logging
import math
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs import schema, trouble
from fal_mcp.jobs.database import TOLD, Database, Runs, T
from fal_mcp.jobs.leases import Leases
from fal_mcp.jobs.trouble import Damaged, translated

BUSY_SECONDS = 5.0
_PAUSE = 0.02
_BESIDE = ("", "-wal", "-shm")
_TABLES = ("job", "output", "upload", "mark", "note")

_Tables = dict[str, tuple[list[str], list[tuple[Any, ...]]]]
"""Each table's columns, and its rows."""

logger = logging.getLogger("fal_mcp")


class SqliteDatabase:
    """SQLite's connection as the ledger's statements know it."""

    # Whoever writes has the whole file: no row of it needs a lock.
    locking = ""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.now = clock
        self.execute = connection.execute
        # What nobody holds any longer is closed: since Python 3.13 SQLite's connection warns where it is not.
        weakref.finalize(self, connection.close)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:
        """Run one statement for each of several rows of values."""
        return self.connection.executemany(statement, values)

    @contextmanager
    def transaction(self, *, decides: bool = False) -> Generator[None]:
        """All of it, or nothing."""
        # The lock for writing is taken at the beginning: two servers that both read first would both see the money
        # that is there once.
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        # A cancelled thread or an interrupt too: a transaction that is left open locks every other server out.
        except BaseException:
            with suppress(sqlite3.Error):
                self.execute("ROLLBACK")
            raise


class SqliteStore:
    """One connection to the ledger's file; `opened` is called with each new one."""

    look_after = 10.0
    is_shared = False

    def __init__(
        self,
        file: Path | None,
        session: str,
        opened: Callable[[Database], None] = lambda database: None,
        *,
        busy_seconds: float = BUSY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.file = file
        self.now = clock
        self._busy = busy_seconds
        self._patience = busy_seconds
        """Seconds that the work in hand waits where the file is locked."""
        self._patient_until = math.inf
        self._found_locked = -math.inf
        """When that was found last, after all of the waiting."""
        self._opened = opened
        self._session = session
        self._identity: tuple[int, int] | None = None
        """Which file is open, whatever it is called by now."""
        self._leases = Leases(file.with_name(f"{file.name}.servers") if file else None, session)
        self._database: SqliteDatabase | None = None
        # One at a time: a transaction is one piece of work, and SQLite's connection is not for several threads.
        self._limiter = anyio.CapacityLimiter(1)

    async def run(
        self,
        work: Callable[[Database], T],
        undo: Callable[[Database], object] | None = None,
        *,
        is_urgent: bool = False,
    ) -> T:
        """Do one piece of work in the ledger's own thread, each in its turn. What raises does not stand in a file:
        nothing is undone.

        Raises:
            NotRecorded: the file cannot be used; one sentence says why, and what to do.
        """
        return await anyio.to_thread.run_sync(self._in_its_turn, work, time.monotonic(), limiter=self._limiter)

    def hurry(self, seconds: float) -> None:
        """Whoever ends waits for so long in all where the file is locked."""
        self._patient_until = min(self._patient_until, time.monotonic() + seconds)

    def run_here(self, work: Callable[[Database], T]) -> T:
        """The same in this thread, for what has no event loop."""
        try:
            return self._done(work)
        # Once: a new ledger that is damaged too is the disk's fault, and is said.
        except Damaged:
            # What was open was damaged under us; opening anew sets it aside.
            self.close()
            return self._done(work)

    def close(self) -> None:
        """Close the file; what comes after opens it again."""
        if self._database is not None:
            with suppress(*trouble.FOREIGN):
                self._database.connection.close()
            self._database = None

    async def aclose(self) -> None:
        """The same from the event loop."""
        # Closing writes the log into the file; broken off, that is left to the next start.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close, limiter=self._limiter)
        self._leases.let_go()

    def alive(self, database: Database, sessions: dict[str, float]) -> set[str]:
        """Those of these servers that live, by the locks they hold."""
        return self._leases.are_alive(sessions, self.now)

    def living(self, database: Database) -> int:
        """How many servers hold a lock beside this file."""
        return self._leases.count()

    def settle(self, database: Database) -> None:
        """Give rows that an earlier version wrote what they lack."""
        schema.settle(database)

    async def renew(self) -> None:
        """The system itself knows who lives."""
        await anyio.lowlevel.checkpoint()

    async def listen(self, hear: Callable[[str], None]) -> None:
        """Look for what other servers of the file tell, until cancelled."""
        known: dict[str, str] | None = None
        while True:
            # A ledger in memory is nobody else's.
            await (anyio.sleep(self.look_after) if self.file else anyio.sleep_forever())
            with suppress(NotRecorded):
                known, before = await self.run(_told), known
                # Whatever was told before the first look may have been missed.
                for topic in [""] if before is None else [name for name in known if before.get(name) != known[name]]:
                    hear(topic.removeprefix(TOLD))

    def _in_its_turn(self, work: Callable[[Database], T], came: float) -> T:
        # Whoever stood in line while another waited for a locked file has waited for it as long: one after the other,
        # twenty calls would wait for minutes.
        waited = time.monotonic() - came if came <= self._found_locked else 0.0
        self._patience = max(min(self._busy - waited, self._patient_until - time.monotonic()), 0.0)
        try:
            return self.run_here(work)
        except NotRecorded as error:
            if error.__cause__ is not None and trouble.code_of(error.__cause__) == sqlite3.SQLITE_BUSY:
                self._found_locked = time.monotonic()
            raise
        finally:
            self._patience = self._busy

    def _done(self, work: Callable[[Database], T]) -> T:
        database = self._open()
        with translated(self.file):
            if self._patience == self._busy:
                return work(database)
            _wait_for_locks(database, self._patience)
            try:
                return work(database)
            finally:
                _wait_for_locks(database, self._busy)

    def _open(self) -> SqliteDatabase:
        if self._database is not None and self._is_elsewhere():
            return self._followed(self._database)
        if self._database is None:
            self._database = SqliteDatabase(self._found(), self.now)
            with translated(self.file):
                self._identity = _identity(self.file)
                self._leases.hold()
                self._opened(self._database)
        return self._database

    def _is_elsewhere(self) -> bool:
        """Whether what is open is the ledger no more: it was moved away or replaced, by a person or by a server that
        found it damaged."""
        try:
            return self._identity is not None and _identity(self.file) != self._identity
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _followed(self, old: SqliteDatabase) -> SqliteDatabase:
        """Go on where the other servers do, with what is this server's own: written on into the old file, it would be
        paid for and in nobody's ledger."""
        before, self._database = self._identity, None
        # Its sign of life may have gone with the file.
        self._leases.let_go()
        try:
            database = self._open()
            with translated(self.file), database.transaction():
                count = _inserted(database.connection, _own(old.connection, self._session))
        except BaseException:
            # Nothing is let go of before it is in the new one; the next who asks tries again.
            self.close()
            self._database, self._identity = old, before
            raise
        old.connection.close()
        logger.warning(
            "The ledger of paid work %s was moved or replaced while this server used it; %s rows of this server's were "
            "carried over into the one that is there now.",
            self.file,
            count,
        )
        return database

    def _found(self) -> sqlite3.Connection:
        if self.file is None:
            return connected(None, self._busy)
        try:
            found = connected(self.file, self._patience)
        except Damaged as error:
            return _begun_anew(self.file, self._busy, error)
        _wait_for_locks(found, self._busy)
        return found


def _identity(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    about = os.stat(file)
    return about.st_dev, about.st_ino


def _wait_for_locks(database: Runs, seconds: float) -> None:
    database.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").fetchone()


def _told(database: Database) -> dict[str, str]:
    return dict(database.execute("SELECT name, text FROM note WHERE name LIKE ?", (f"{TOLD}%",)).fetchall())


def connected(file: Path | None, busy_seconds: float) -> sqlite3.Connection:
    """The ledger, brought to today's version.

    Raises:
        Damaged: it is no sound database.
        NotRecorded: it cannot be used, and is as it was.
    """
    with translated(file):
        if file is not None:
            _prepare(file)
        database = sqlite3.connect(
            # Transactions are begun by hand, and threads take turns by the limiter above, not by SQLite's own check.
            str(file or ":memory:"),
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
    try:
        with translated(file):
            version = _ready(database, busy_seconds)
        if version > len(schema.STEPS):
            raise trouble.newer(file, version, len(schema.STEPS))
    except BaseException:
        database.close()
        raise
    return database


def _prepare(file: Path) -> None:
    """The file is its owner's alone before SQLite writes a byte: what SQLite puts beside it takes over its rights."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    for ending in _BESIDE:
        # Another user's file cannot be changed, and is as open as that user left it.
        with suppress(OSError):
            os.chmod(f"{file}{ending}", 0o600)


def _ready(database: sqlite3.Connection, busy_seconds: float) -> int:
    _patiently(lambda: database.execute("PRAGMA journal_mode = WAL").fetchone(), busy_seconds)
    # In a write-ahead log this holds through a killed process; only a machine without power may lose the last moment.
    database.execute("PRAGMA synchronous = NORMAL")
    version = schema.migrate(database)
    if version == len(schema.STEPS):
        # Damage in the table itself shows only when it is read, and now is the moment at which nothing is lost by it.
        database.execute("SELECT count(*) FROM job WHERE state = 'intent'").fetchone()
    return version


def _patiently(work: Callable[[], Any], seconds: float) -> None:
    """SQLite does not wait for its turn where the kind of journal is changed: several servers starting would fail."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            work()
            return
        except sqlite3.OperationalError as error:
            if trouble.code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)


def _begun_anew(file: Path, busy_seconds: float, error: Damaged) -> sqlite3.Connection:
    """A new ledger with what could be read of the damaged one, whose budgets are closed."""
    # Two servers may see the damage in the same moment; the second finds the first one's new ledger.
    claim = file.with_name(f"{file.name}.setting-aside")
    with translated(file):
        _patiently_claimed(claim, busy_seconds)
    try:
        with suppress(Damaged):
            return connected(file, busy_seconds)
        aside = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        with translated(file):
            rows = _readable(file)
            for ending in _BESIDE:
                with suppress(FileNotFoundError):
                    # Its log goes with it: a new ledger beside the old one's log would be damaged by it.
                    os.replace(f"{file}{ending}", f"{aside}{ending}")
        database = connected(file, busy_seconds)
        with translated(file):
            saved = _carried_over(database, rows, aside)
        logger.error(
            "%s It was set aside as %s, and %s rows of it were carried over. Budgets are closed until `fal-mcp ledger "
            "accept` is run.",
            *(error.message, aside, saved),
        )
        return database
    finally:
        with suppress(OSError):
            claim.unlink()


def _patiently_claimed(claim: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return
        except FileExistsError:
            # Whoever held it longer than this has ended in the middle.
            if time.monotonic() >= deadline:
                return
            time.sleep(_PAUSE)


def _readable(file: Path) -> _Tables:
    """Each table's columns, and its rows as far as they can be read from either end."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return {table: _rows(database, table) for table in _TABLES}
    except sqlite3.Error:
        return {}


def _own(database: sqlite3.Connection, session: str) -> _Tables:
    """What one server has written of its jobs, and what counts once; as far as it can be read."""
    jobs = "job_id IN (SELECT job_id FROM job WHERE session = ?)"
    wanted = {"job": ("session = ?", session), "output": (jobs, session), "mark": ("? != ''", session)}
    tables: _Tables = {}
    for table, (where, value) in wanted.items():
        with suppress(*trouble.FOREIGN):
            cursor = database.execute(f"SELECT * FROM {table} WHERE {where}", (value,))
            tables[table] = ([about[0] for about in cursor.description], cursor.fetchall())
    return tables


def _rows(database: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    rows: dict[Any, tuple[Any, ...]] = {}
    columns: list[str] = []
    # From both ends: a damaged page in the middle ends a reading, and what is behind it can be had backwards.
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error):
            cursor = database.execute(f"SELECT * FROM {table} ORDER BY rowid {order}")
            columns = [about[0] for about in cursor.description]
            for row in cursor:
                rows.setdefault(row[0], row)
    return columns, list(rows.values())


def _carried_over(database: sqlite3.Connection, tables: _Tables, aside: Path) -> int:
    database.execute("BEGIN IMMEDIATE")
    count = _inserted(database, tables)
    schema.settle(database)
    database.execute("INSERT OR REPLACE INTO note (name, text) VALUES (?, ?)", (schema.CLOSED, str(aside)))
    database.execute("COMMIT")
    return count


def _inserted(database: sqlite3.Connection, tables: _Tables) -> int:
    count = 0
    for table, (columns, rows) in tables.items():
        known = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        places = [place for place, name in enumerate(columns) if name in known]
        names = ", ".join(columns[place] for place in places)
        marks = ", ".join("?" * len(places))
        for row in rows:
            with suppress(sqlite3.Error):
                values = [row[place] for place in places]
                count += database.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", values).rowcount
    return count
