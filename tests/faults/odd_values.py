"""JSON values that nobody expects, and ways to put one at any place of a document."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, cast

Path = tuple[str | int, ...]


def _nested(depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


ODD: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "minus one": -1,
    "a fraction": 0.1,
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "not a number": float("nan"),
    "a whole number of 400 digits": 10**400,
    "the largest float": 1.7e308,
    "the smallest float": 5e-324,
    "2 to the 63rd": 2**63,
    "no text": "",
    "a blank": " ",
    "a lone surrogate": "a\ud83d",
    "a NUL": "a\0b",
    "a line break": "a\r\nb",
    "an escape sequence": "\x1b[2J\x1b]0;x\x07",
    "a turned direction": "\u202egnp.exe",
    "invisible tags": "a\U000e0041\u200b\ufe0f",
    "a long text": "long " * 30_000,
    "a number as text": "12",
    "a number too large as text": "1e999",
    "a broken address": "https://[x",
    "an address with a wrong port": "https://v3.fal.media:99999/a.png",
    "an address with a space": "https://v3.fal.media/files/a b.png",
    "an address of this machine": "http://127.0.0.1:1/a.png",
    "a file address": "file:///etc/passwd",
    "an empty data address": "data:,",
    "a data address of text": "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a data address that is none": "data:image/png;base64,@@@",
    "a data address of nothing": "data:image/png;base64,",
    "a bare file": "https://v3.fal.media/files/a/b.mp4",
    "a known state": "COMPLETED",
    "an unknown state": "PAUSED",
    "an empty list": [],
    "an empty object": {},
    "a list of nulls": [None, None],
    "a file without an address": {"content_type": "image/png", "width": 10},
    "a file with a null address": {"url": None, "content_type": None},
    "a file of no size": {"url": "https://v3.fal.media/files/a/c.png", "width": float("inf"), "height": -1},
    "a file of odd types": {"url": "https://v3.fal.media/files/a/d.png", "content_type": 7, "file_size": "x"},
    "a detail": {"detail": "The bridge is still in progress."},
    "fal's own words": {"status": "COMPLETED", "request_id": "x", "response_url": "https://[x", "error": {}},
    "an odd key": {"": 1, "\ud83d": 2, "\0": 3},
    "300 lists": _nested(300, 1),
    "1,500 lists": _nested(1500, 1),
    "ten thousand numbers": list(range(10_000)),
}
"""Values that JSON, or Python's reading of it, has; by name."""


def places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a document, the whole of it first."""
    yield at
    if isinstance(value, dict):
        for key, inner in cast(dict[str, Any], value).items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast(list[Any], value)):
            yield from places(inner, (*at, index))


def put(document: Any, place: Path, value: Any) -> Any:
    """A copy of the document with `value` at the place."""
    if not place:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def without(document: Any, place: Path) -> Any:
    """A copy of the document that lacks the place."""
    if not place:
        return {}
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


def oddly(document: Any, chance: random.Random) -> tuple[str, Any]:
    """The document with something odd somewhere, and what and where that is."""
    place = chance.choice(list(places(document)))
    if chance.random() < 0.15:
        return f"without {place}", without(document, place)
    name = chance.choice(list(ODD))
    return f"{name} at {place}", put(document, place, ODD[name])


def written(value: Any) -> bytes:
    """As the JSON that Python services write: NaN and lone surrogates as they are."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b"[" * 100_000 + b"]" * 100_000
