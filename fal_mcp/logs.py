"""The log: one line for each thing that happened, as text for people or as JSON for programs, on standard error.

What a line is about stands in fields of its own: ids, and nothing that anybody wrote. Of an exception there are its
kind and the places that it came through, and never its text, which may quote a prompt, a path or an address. All else
is cleaned and cut, so that what a stranger sent can be no line of its own, nor draw on a terminal, nor fill a disk.
"""

import json
import logging
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal, TextIO

from fal_mcp.text import one_line

Form = Literal["text", "json"]
Field = str | int | float
_OURS = "fal_mcp"
_LONGEST_MESSAGE = 1000
_LONGEST_FIELD = 200
_MOST_PLACES = 12
_MOST_CAUSES = 4
_MOST_WAITING = 10_000
_LONGEST_GOODBYE = 1.0
A_MOMENT = 0.2
"""Seconds that a line may wait for others to be written with."""
_QUERY = re.compile(r"\b((?:https?|wss?)://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")
"""What makes an address more than an address: signatures, tokens, and what was searched for."""
_PLAIN = re.compile(r"[\w./:@+-]+", re.ASCII)
_TOKEN = re.compile(r"\b(?:falmcp_|eyJ)[\w.-]{20,}", re.ASCII)
"""Tokens of this server's and of issuers', which somebody may have put where none belongs."""
_NOTHING: Mapping[str, Field] = MappingProxyType({})
_about: ContextVar[Mapping[str, Field]] = ContextVar("about", default=_NOTHING)


@contextmanager
def about(**fields: Field) -> Generator[None]:
    """Each line that is written in it, or in what is begun in it, is about this; an empty field takes one away."""
    before = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(before)


def fields(**more: Field | None) -> Mapping[str, Any]:
    """What one line is about besides, as `extra` of the standard library's loggers takes it."""
    return {"about": {name: value for name, value in more.items() if value is not None}}


def kind_of(error: BaseException) -> str:
    """What of an error may be told in a message: its kind, and an HTTP status where it has one. What fal says of a run
    may quote what it was given."""
    status = getattr(error, "status", None)
    return f"{type(error).__qualname__}, HTTP {status}" if isinstance(status, int) else type(error).__qualname__


def begin(form: Form, level: str, stream: TextIO | None = None, *, moment: float = A_MOMENT) -> "Writer":
    """From here on everything that is logged in this process is written so, and nothing in any other way: ours from
    this level on, what libraries say from `warning` on, since at `info` they tell addresses. `moment` is how many
    seconds a line may wait for others."""
    writer = Writer(stream or sys.stderr, moment)
    writer.setFormatter(Lines(form))
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    return writer


def flush() -> None:
    """Have everything written that was logged; after a second it is given up."""
    for handler in logging.getLogger().handlers:
        handler.flush()


class Lines(logging.Formatter):
    """A record as one line."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        known = {**_about.get(), **getattr(record, "about", {})}
        said = {name: _field(value) for name, value in known.items() if value != ""}
        if record.exc_info and record.exc_info[1] is not None:
            said |= _of_exception(record.exc_info[1])
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        head = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname.lower(), "logger": record.name}
        message = _safe(record.getMessage(), _LONGEST_MESSAGE)
        if self._form == "json":
            # ASCII alone: what reads it may take other signs than ours for the end of a line.
            return json.dumps({**head, "message": message, **said})
        about_it = " ".join(f"{name}={_quoted(value)}" for name, value in said.items())
        # Before the message, so that nothing in a message can pass for a field.
        return f"{head['time']} {head['level'].upper()} {head['logger']} [{about_it}] {message}"


class Writer(logging.Handler):
    """Writes lines in a thread of its own. Whoever started this process may read none of them, and a pipe that is full
    must stop no call: what is more than 10,000 lines behind is left out, and counted."""

    def __init__(self, stream: TextIO, moment: float = A_MOMENT) -> None:
        super().__init__()
        self._stream = stream
        self._moment = moment
        # Of C's: one of Python's makes whoever logs wait for the thread that writes.
        self._waiting: queue.SimpleQueue[logging.LogRecord | threading.Event] = queue.SimpleQueue()
        self._is_hurried = threading.Event()
        self._left_out = 0
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Have one record written."""
        try:
            if self._waiting.qsize() < _MOST_WAITING:
                self._waiting.put(_as_it_is_now(record))
            else:
                self._left_out += 1
        except Exception:
            # An argument that cannot be made a text is a fault of this program, and no reason to end what it is about.
            self._left_out += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until all is written, a second at most."""
        if self._thread is not None:
            is_written = threading.Event()
            self._waiting.put(is_written)
            self._is_hurried.set()
            is_written.wait(_LONGEST_GOODBYE)

    def close(self) -> None:
        """The same: the stream is not ours to close."""
        self.flush()
        super().close()

    def _write(self) -> None:
        while True:
            each = self._waiting.get()
            # A rush of calls is answered before this thread takes its part of the processor.
            self._is_hurried.wait(self._moment)
            self._is_hurried.clear()
            with suppress(queue.Empty):
                while True:
                    self._write_one(each)
                    each = self._waiting.get_nowait()
            self._say_what_is_missing()

    def _write_one(self, each: logging.LogRecord | threading.Event) -> None:
        if isinstance(each, threading.Event):
            self._say_what_is_missing()
            each.set()
            return
        try:
            line = self.format(each)
        except Exception:
            # As in `emit`; and what comes after it is still written.
            self._left_out += 1
        else:
            self._put(line)

    def _put(self, line: str) -> None:
        # Nobody is there to be told of a log that cannot be written.
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _say_what_is_missing(self) -> None:
        if not self._left_out:
            return
        count, self._left_out = self._left_out, 0
        about_it = f"{count:,} lines were left out here: they came faster than they were read."
        self._put(self.format(logging.LogRecord(_OURS, logging.WARNING, "", 0, about_it, None, None)))


def _as_it_is_now(record: logging.LogRecord) -> logging.LogRecord:
    """A record that can be written later, when what it is about and what its message says may be something else."""
    record.msg, record.args = record.getMessage(), None
    record.about = {**_about.get(), **getattr(record, "about", {})}
    return record


def _of_exception(error: BaseException) -> dict[str, Field]:
    kinds: list[str] = []
    one: BaseException | None = error
    while one is not None and len(kinds) < _MOST_CAUSES:
        kinds.append(type(one).__qualname__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_PLACES:]
    places = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": " < ".join(kinds), "at": " > ".join(places)}


def _short(filename: str) -> str:
    """The file as it is imported: where it lies on this disk is nobody's business."""
    parts = filename.replace("\\", "/").rpartition("site-packages/")[2].split("/")
    start = parts.index(_OURS) if _OURS in parts else max(len(parts) - 2, 0)
    return "/".join(parts[start:])


def _field(value: Field) -> Field:
    return _safe(value, _LONGEST_FIELD) if isinstance(value, str) else value


def _safe(text: str, limit: int) -> str:
    # Cut first: what is megabytes long is not looked through for what the line will not hold. Twice the length, as
    # much of it may be what is taken out.
    shown = text[: limit * 2]
    # Looked for where one may be: there are six fields to a line, and hundreds of lines a second.
    if "://" in shown:
        shown = _QUERY.sub(r"\1", shown)
    if "falmcp_" in shown or "eyJ" in shown:
        shown = _TOKEN.sub("(a token)", shown)
    return one_line(shown, limit)


def _quoted(value: Field) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
