"""Standard output and standard error, made ready for whatever is written to them and whatever they are connected to."""

import io
import os
import sys
from collections.abc import MutableMapping


def make_ready(env: MutableMapping[str, str]) -> None:
    """A sign that an encoding does not have is a question mark and ends no command; and a screen has a width."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    for name in ("COLUMNS", "LINES"):
        if name in env and not _is_a_size(env[name]):
            del env[name]


def let_go() -> None:
    """Forget what could not be written: the reader has gone or the disk is full, and the interpreter would say so again
    when it closes the stream."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_a_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0
