"""Which servers of one ledger live: each holds a lock on a file of its own, which the system lets go when it ends.

A process id would not tell: in containers every server is number 1, and numbers come again.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_A_DAY = 86_400.0
_ENDING = ".lock"


class Leases:
    """The locks of a ledger's servers, in a folder beside it; nowhere for a ledger in memory."""

    def __init__(self, folder: Path | None, session: str) -> None:
        self._folder = folder
        self._session = session
        self._held: int | None = None
        self._can_lock = True

    def hold(self) -> None:
        """Say that this server lives, until it lets go or ends in any way. Where nothing can be locked, nothing is."""
        if self._folder is None or self._held is not None:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._held = _opened(self._file(self._session))
            self._can_lock = _locked(self._held)
        except OSError:
            self._can_lock = False

    def let_go(self) -> None:
        """This server ends."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
            with suppress(OSError):
                self._file(self._session).unlink()

    def are_alive(self, sessions: dict[str, float], now: Callable[[], float] = time.time) -> set[str]:
        """Those of these servers that live; with each, when it was last seen, for disks where nothing can be locked."""
        return {session for session, seen in sessions.items() if self._is_alive(session, seen, now())}

    def count(self) -> int:
        """How many servers live, this one among them."""
        if self._folder is None:
            return 1
        others = [file for file in self._folder.glob(f"*{_ENDING}") if file.stem != self._session]
        # Where nothing can be locked, a file that is there is all that can be told.
        return 1 + sum(1 for file in others if not self._can_lock or _is_held(file))

    def _is_alive(self, session: str, seen: float, now: float) -> bool:
        if session == self._session:
            return True
        # It becomes a file's name, and stands in a file that others may have written.
        if self._folder is None or not session.isalnum():
            return False
        # Network disks often lock nothing. A day without a sign of life is a server that is gone; sooner would be to
        # take over from one that only polls a slow job.
        if not self._can_lock:
            return abs(now - seen) < _A_DAY
        return _is_held(self._file(session))

    def _file(self, session: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{session}{_ENDING}"


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)


def _is_held(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        # It is there and cannot be looked at, another user's: rather alive than submitted twice.
        return True
    try:
        is_free = _locked(descriptor)
        if is_free:
            # Nobody holds it: its server ended without saying so.
            file.unlink(missing_ok=True)
        return not is_free
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Whether this open file could be locked now.

    Raises:
        OSError: this disk locks nothing.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
