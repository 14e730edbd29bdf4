"""The requests that search is measured by, their rules, and their two halves.

The half for tuning may be looked at; the half for CI is only counted. A fixed hash says which is which.
"""

import fnmatch
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.search import Hit, Search

FOLDER = Path(__file__).with_name("requests")
KINDS = ("raw", "terse", "languages")
Half = Literal["tuning", "ci"]
_MEDIA = {"speech": "audio", "music": "audio"}


@dataclass(frozen=True)
class Asked:
    """One request, and what answers it."""

    text: str
    rules: tuple[str, ...]

    @property
    def half(self) -> Half:
        """By a hash of the request alone, so that adding others moves none."""
        return "ci" if hashlib.sha256(self.text.encode()).digest()[0] % 2 else "tuning"


@dataclass(frozen=True)
class Score:
    """Shares of requests with an answer first, and among the first five; the mean of one over its place."""

    count: int
    at_1: float
    at_5: float
    mrr: float


def asked(kind: str) -> list[Asked]:
    """Every request of one file."""
    answers = _answers()
    found: list[Asked] = []
    for line in _lines(kind):
        text, _, names = line.partition("|")
        rules = [rule for name in names.split() for rule in answers.get(name, (name,))]
        found.append(Asked(text.strip(), tuple(rules)))
    return found


def half(kind: str, which: Half) -> list[Asked]:
    """One half of one file."""
    return [one for one in asked(kind) if one.half == which]


def measured(requests: list[Asked], catalog: Catalog, find: Callable[[str], list[Hit]]) -> Score:
    """How well `find` answers them."""
    places = [place_of(one, catalog, find(one.text)) for one in requests]
    count = max(len(places), 1)
    return Score(
        len(places),
        sum(place == 1 for place in places) / count,
        sum(place is not None and place <= 5 for place in places) / count,
        sum(1 / place for place in places if place) / count,
    )


def place_of(one: Asked, catalog: Catalog, hits: list[Hit]) -> int | None:
    """Where the first right answer stands among the first ten, from 1."""
    return next((at for at, hit in enumerate(hits[:10], 1) if answers(one.rules, catalog, hit.endpoint_id)), None)


def answers(rules: tuple[str, ...], catalog: Catalog, endpoint_id: str) -> bool:
    """Whether this model is one of the right ones."""
    return any(all(_holds(part, catalog, endpoint_id) for part in rule.split("&")) for rule in rules)


def sure_share(kind: str, which: Half, search: Search) -> float:
    """Of the requests of one half, the share that search says it found something for."""
    requests = half(kind, which)
    return sum(search.match(one.text).is_sure for one in requests) / len(requests)


def _holds(part: str, catalog: Catalog, endpoint_id: str) -> bool:
    if part.startswith("!"):
        return not _holds(part[1:], catalog, endpoint_id)
    category = catalog.category(endpoint_id)
    if part.startswith("@"):
        return category == part[1:]
    if part.startswith("~"):
        return part[1:] in _text(catalog.metadata(endpoint_id), endpoint_id)
    if ">" in part:
        given, _, made = category.partition("-to-")
        kinds = _MEDIA.get(given, given), _MEDIA.get(made, made)
        return all(wanted in ("*", kind) for wanted, kind in zip(part.split(">"), kinds, strict=True))
    return fnmatch.fnmatchcase(endpoint_id, part)


def _text(about: Mapping[str, object], endpoint_id: str) -> str:
    return (
        " ".join(str(about.get(name) or "") for name in ("display_name", "description", "tags", "group")).casefold()
        + endpoint_id
    )


def _answers() -> dict[str, tuple[str, ...]]:
    return {
        name.strip(): tuple(rules.split()) for name, _, rules in (line.partition("=") for line in _lines("answers"))
    }


def _lines(name: str) -> list[str]:
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
