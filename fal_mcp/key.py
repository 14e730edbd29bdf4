"""fal's key as people hand it over: in a variable, in a file; and what is wrong with it, in a sentence. Pure but for
reading the file that was named.
"""

import errno
import os
import re
import select
import stat
import time
from collections.abc import Mapping
from pathlib import Path

_PLACEHOLDER = re.compile(
    r"\$\{?[\w.:-]*\}?|%\w+%|\{\{?[\w .]+\}?\}|<[^>]*>|\[[^\]]*\]|(?:your|my)[ _-][\w -]{0,20}key|fal[_-]key|key", re.I
)
_PREFIX = re.compile(r"(?:authorization:\s*)?(key|bearer)\s+|(?:export\s+)?fal_key\s*[=:]|authorization:", re.I)
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_HALVES = ("FAL_KEY_ID", "FAL_KEY_SECRET")
_LONGEST = 1000
_LONGEST_FILE = 16_384
_LONGEST_WAIT = 10.0


def key_of(env: Mapping[str, str]) -> str | None:
    """The key of FAL_KEY, of FAL_KEY_ID with FAL_KEY_SECRET, or in the file that FAL_KEY_FILE names.

    Raises:
        ValueError: it is none; the message names the variable and never the key.
    """
    if (text := env.get("FAL_KEY", "").strip()) != "":
        return checked("FAL_KEY", text)
    halves = {name: text for name in _HALVES if (text := env.get(name, "").strip())}
    if len(halves) == 2:
        return ":".join(checked(name, text) for name, text in halves.items())
    if halves:
        raise ValueError(f"{next(iter(halves))} is set without its other half; set FAL_KEY to the whole, id:secret.")
    file = env.get("FAL_KEY_FILE", "").strip()
    return in_file("FAL_KEY_FILE", file) if file else None


def admin_key_of(env: Mapping[str, str]) -> str | None:
    """The key of FAL_ADMIN_KEY.

    Raises:
        ValueError: it is none; the message never has the key.
    """
    text = env.get("FAL_ADMIN_KEY", "").strip()
    return checked("FAL_ADMIN_KEY", text) if text else None


def in_file(source: str, file: str, longest: float = _LONGEST_WAIT) -> str:
    """The key in a file. A pipe is waited for, for so many seconds at the longest.

    Raises:
        ValueError: the file cannot be read, or what it holds is no key.
    """
    if "${" in file:
        raise ValueError(f"{source} is {file!r}: whoever starts this server did not fill it in.")
    try:
        text = _content(Path(file).expanduser(), longest).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{source} names the file {file!r}, which is no text.") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be found"
        raise ValueError(f"{source} names the file {file!r}, which cannot be read: {reason}.") from None
    if not text:
        raise ValueError(f"{source} names the file {file!r}, which is empty.")
    return checked(f"The file {file!r} of {source}", text)


def _content(file: Path, longest: float) -> bytes:
    # Of a pipe (`<(pass fal)`) the other end may be nobody's, and then it would be waited for without an end.
    if not stat.S_ISFIFO(file.stat().st_mode):
        with file.open("rb") as stream:
            return stream.read(_LONGEST_FILE)
    content, deadline = b"", time.monotonic() + longest
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
        while len(content) < _LONGEST_FILE:
            if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))[0]:
                if content:
                    break
                raise OSError(errno.ETIMEDOUT, f"nobody wrote to this pipe for {longest:.0f} seconds")
            if not (piece := pipe.read(_LONGEST_FILE)):
                break
            content += piece
    return content


def checked(source: str, text: str) -> str:
    """A key that can be sent as it is.

    Raises:
        ValueError: it cannot, and what is to be done about it. A key with a line break in it would end the header and
            begin another.
    """
    if trouble := _trouble(text):
        raise ValueError(f"{source} {trouble}")
    return text


def _trouble(text: str) -> str | None:
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return "has quotes around it, which are taken for part of the key; write it without them."
    if _PLACEHOLDER.fullmatch(text):
        return f"is {text[:60]!r}, which is no key: nobody filled it in. Put the key itself there."
    if prefix := _PREFIX.match(text):
        return f"begins with {prefix[0].strip()!r}; leave that out and give the key alone."
    if any(character.isspace() for character in text):
        return "has a blank or a line break in it, which no key has; copy it again."
    if not text.isascii() or not text.isprintable():
        return "has a character in it that no key has; copy it again."
    if len(text) > _LONGEST:
        return f"is {len(text):,} characters long, and no key is; copy it again."
    return None
