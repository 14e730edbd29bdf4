"""SQLite's door: what goes wrong with the ledger's file, as one sentence that names the file and what to do.

Damage is what SQLite calls CORRUPT or NOTADB, and nothing else: a file that is locked, full, or out of reach is as
good as it was, and nobody may throw it away.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fal_mcp.errors import NotRecorded

_ELSEWHERE = "or point --data-dir at another folder"
_REASONS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: ("is locked by another program", "Call again, and if it stays so, end what holds it"),
    sqlite3.SQLITE_LOCKED: ("is locked", "Call again"),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", f"Free some disk space, {_ELSEWHERE}"),
    sqlite3.SQLITE_READONLY: ("cannot be written: it or its disk is read-only", f"Make it writable, {_ELSEWHERE}"),
    sqlite3.SQLITE_PERM: ("may not be opened by this user", f"Give this user access, {_ELSEWHERE}"),
    sqlite3.SQLITE_AUTH: ("may not be opened by this user", f"Give this user access, {_ELSEWHERE}"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened: its folder may be out of reach for this user, or too many files are open",
        f"Give this user access or end what holds the files, {_ELSEWHERE}",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written: its disk reports an error, as network disks do",
        "Point --data-dir at a folder on a disk of this machine",
    ),
    sqlite3.SQLITE_NOLFS: ("is too large for its disk", _ELSEWHERE.removeprefix("or ").capitalize()),
    sqlite3.SQLITE_PROTOCOL: (
        "cannot be locked on its disk, as happens on network disks",
        "Point --data-dir at a folder on a disk of this machine",
    ),
    sqlite3.SQLITE_NOMEM: ("cannot be read: this machine is out of memory", "End other programs and call again"),
    sqlite3.SQLITE_INTERRUPT: ("was interrupted", "Call again"),
}
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WORDS = {"is locked": sqlite3.SQLITE_BUSY, "closed database": sqlite3.SQLITE_INTERRUPT}
FOREIGN = (sqlite3.Error, sqlite3.Warning, OSError, OverflowError, UnicodeError)
"""Everything that using a file with SQLite raises besides what is ours."""


class Damaged(NotRecorded):
    """SQLite says that the file is no sound database."""


@contextmanager
def translated(file: Path | None) -> Generator[None]:
    """Whatever SQLite or the disk raises becomes ours.

    Raises:
        Damaged: the file is no sound database.
        NotRecorded: anything else; the file is as it was.
    """
    try:
        yield
    except FOREIGN as error:
        raise _ours(error, file) from error


def _ours(error: Exception, file: Path | None) -> NotRecorded:
    name = f"The ledger of paid work {str(file)!r}" if file else "The ledger of paid work"
    code = code_of(error)
    if code in _DAMAGE:
        return Damaged(f"{name} is damaged ({error}).")
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return NotRecorded(
            f"{name} cannot be opened: {why}.", hint=f"Nothing was sent. Give this user access, {_ELSEWHERE}."
        )
    # Every one says that nothing was sent, because a job is only submitted after its row.
    reason, remedy = _REASONS.get(code, (f"cannot be used: {error}", _ELSEWHERE.removeprefix("or ").capitalize()))
    return NotRecorded(f"{name} {reason}.", hint=f"Nothing was sent. {remedy}.")


def code_of(error: BaseException) -> int:
    """SQLite's primary code of an error; 0 where there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        # The higher bits say which read or lock it was; what to do about it is the same.
        return code & 0xFF
    # What Python's own module complains of carries no code of SQLite's.
    return next((known for words, known in _WORDS.items() if words in str(error)), 0)


def newer(file: Path | None, version: int, known: int) -> NotRecorded:
    """The ledger is of a later version of this program."""
    return NotRecorded(
        f"The ledger of paid work {str(file)!r} was written by a newer fal-mcp (version {version} of the ledger, and "
        f"this one knows {known}).",
        hint="Nothing was sent. Update fal-mcp, or point --data-dir at another folder.",
    )
