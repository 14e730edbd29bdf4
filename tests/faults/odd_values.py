"""JSON values that nobody expects, and ways to put one at any place of a document."""

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any, cast

from tests import odd_values

Path = tuple[str | int, ...]


ODD: Mapping[str, Any] = {
    **odd_values.ODD,
    "number: 2 to the 63rd": 2**63,
    "text: a number": "12",
    "text: a number too large": "1e999",
    "text: a state": "COMPLETED",
    "text: no state": "PAUSED",
    "text: a bare file": "https://v3.fal.media/files/a/b.mp4",
    "shape: not ready": {"detail": "The bridge is still in progress."},
    "shape: a status": {"status": "COMPLETED", "request_id": "x", "response_url": "https://[x", "error": {}},
    "shape: 300 deep": odd_values.nested(300),
    "shape: 1,500 deep": odd_values.nested(1500),
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
        return odd_values.wire(value)
    except RecursionError:
        return b"[" * 100_000 + b"]" * 100_000
