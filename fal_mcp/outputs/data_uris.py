"""`data:` URIs of every form that models write: base64 of either alphabet, percent signs, plain text. Pure. RFC 2397.

What cannot be read as one is no file: it is a text like any other, and stays where it stood.
"""

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_LONGEST_HEAD = 300
_HEAD = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<parameters>(?:;[^;,]*)*),", re.ASCII | re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_SPACES = re.compile(r"\s+")
# A multiple of four: base64 comes in groups of four, and each step must end with one.
_STEP = 4 * 1024 * 1024
_URL_SAFE = str.maketrans("-_", "+/")


def is_one(text: str) -> bool:
    """Whether `text` is a `data:` URI whose bytes can be had. One without a type and without base64 reads like prose
    that begins with the word, and is none."""
    head = _head(text)
    if head is None:
        return False
    if not _is_base64(head):
        # A prompt may begin with "data: " and have a comma.
        return head["type"] is not None
    digits = _digits(text[head.end() :])
    # One digit over is six bits, and no byte.
    return bool(_BASE64.fullmatch(digits)) and len(digits) % 4 != 1


def content_type(text: str) -> str | None:
    """The type that it names; None where it names none."""
    head = _head(text)
    return head["type"].casefold() if head and head["type"] else None


def pieces(text: str) -> Iterator[bytes]:
    """Its bytes, a few megabytes at a time; nothing where it is none.

    Raises:
        ValueError: its base64 is broken.
    """
    head = _head(text)
    if head is None:
        return
    if not _is_base64(head):
        yield _plain(text[head.end() :])
        return
    digits = _digits(text[head.end() :])
    for start in range(0, len(digits), _STEP):
        part = digits[start : start + _STEP]
        yield base64.b64decode(part + "=" * (-len(part) % 4), validate=True)


def content(text: str, most: int) -> bytes | None:
    """All of its bytes; None where it is longer than `most` characters, or broken."""
    if len(text) > most:
        return None
    try:
        return b"".join(pieces(text)) if is_one(text) else None
    except ValueError:
        return None


def _head(text: str) -> re.Match[str] | None:
    # Bounded: in a text of megabytes without a comma the pattern would walk to its end.
    return _HEAD.match(text, 0, _LONGEST_HEAD)


def _is_base64(head: re.Match[str]) -> bool:
    return head["parameters"].casefold().replace(" ", "").endswith(";base64")


def _digits(body: str) -> str:
    """Base64 in the usual alphabet, without what stands between and after it."""
    # The `+` and `/` of base64 may be escaped as in any other address.
    plain = unquote_to_bytes(body).decode("latin-1") if "%" in body else body
    return _SPACES.sub("", plain).rstrip("=").translate(_URL_SAFE)


def _plain(body: str) -> bytes:
    # Text that was never escaped, such as SVG after `;utf8,`, may hold any character.
    if not _ESCAPED.search(body):
        return body.encode("utf-8", "replace")
    return unquote_to_bytes(body.encode("utf-8", "replace"))
