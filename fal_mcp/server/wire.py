"""The two descriptors that a host talks through: lines in, lines out, and nothing out once the input has ended.

Standard library only, for `first_answers` opens it before anything is imported. It takes the descriptors for itself:
0 is the null device afterwards and 1 is standard error, so that neither a stray print nor a child reaches the host.
"""

import os
import select
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_LINE = 32 * 1024 * 1024
"""Eight times what the SDK takes over HTTP."""
_CHUNK = 64 * 1024
_HEAD = 4096
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NEVER_BLOCKS = 4096
"""So many bytes go into any pipe that says it can be written to."""
_LOOK_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was thrown away for its length; `head` is how it began."""

    head: bytes
    length: int


class Wire:
    """Lines from `read_fd`, lines to `write_fd`."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._writing = threading.Lock()
        self.has_ended = False
        """Whether the input has ended, or this server is ending: from then on nothing is written."""

    def lines(self) -> Iterator[bytes | TooLong]:
        """Each line as it comes, without its end and without a byte order mark; blocks, until the input ends."""
        gathered = _Line()
        while chunk := self._chunk():
            *whole, rest = chunk.split(b"\n")
            for part in whole:
                gathered.add(part)
                yield from gathered.taken()
            gathered.add(rest)
        self.has_ended = True
        yield from gathered.taken()

    def write(self, line: bytes) -> None:
        """Write one line; blocks until it is out, or until there is no use in it any more."""
        with self._writing:
            rest = memoryview(line + b"\n")
            while rest and not self.has_ended:
                rest = rest[self._written(rest) :]

    def _chunk(self) -> bytes:
        try:
            return os.read(self._read_fd, _CHUNK)
        except OSError:
            return b""

    def _written(self, rest: memoryview) -> int:
        try:
            if sys.platform == "win32":
                return os.write(self._write_fd, rest)
            # A host that reads no more must not hold the exit: the thread that writes looks up now and then.
            _, ready, _ = select.select([], [self._write_fd], [], _LOOK_AGAIN)
            return os.write(self._write_fd, rest[:_NEVER_BLOCKS]) if ready else 0
        except (OSError, ValueError):
            self.has_ended = True
            return 0


class _Line:
    """What has come of the line that is being read."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0
        self._is_too_long = False

    def add(self, part: bytes) -> None:
        self._length += len(part)
        if part and not self._is_too_long:
            self._parts.append(part)
        if self._length > LONGEST_LINE and not self._is_too_long:
            # Thrown away as it comes; only its head stays, for the id that the refusal is sent to.
            self._is_too_long, self._parts = True, [b"".join(self._parts[:1])[:_HEAD]]

    def taken(self) -> Iterator[bytes | TooLong]:
        """The line, if there is anything in it; the next one begins."""
        whole, length, is_too_long = b"".join(self._parts), self._length, self._is_too_long
        self._parts, self._length, self._is_too_long = [], 0, False
        if is_too_long:
            yield TooLong(whole, length)
        elif line := whole.removeprefix(_BYTE_ORDER_MARK).strip():
            yield line


def taken_over() -> Wire:
    """The wire on standard input and output, which nobody else has any more."""
    read_fd, write_fd = _private(0), _private(1)
    _pointed(0, os.open(os.devnull, os.O_RDONLY))
    _pointed(1, _to_standard_error())
    return Wire(read_fd, write_fd)


def _private(fd: int) -> int:
    """A duplicate outside the standard range, which children do not inherit."""
    low: list[int] = []
    try:
        # Where the host closed standard error, a copy would land there, and a warning would be written into the
        # conversation.
        while (copy := os.dup(fd)) <= 2:
            low.append(copy)
        return copy
    finally:
        for descriptor in low:
            os.close(descriptor)


def _to_standard_error() -> int:
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _pointed(fd: int, target: int) -> None:
    if target != fd:
        os.dup2(target, fd)
        os.close(target)
