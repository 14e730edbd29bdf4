"""Finds models for a request in words: SQLite's bm25 over names and descriptions, then what people mean by them.

Nothing is parsed for it: the index holds what fal's catalog items say, and a document only where there is no item.
"""

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fal_mcp.catalog.catalog import CATEGORIES, Catalog
from fal_mcp.catalog.intents import vocabulary

_WEIGHTS = (9.0, 7.0, 3.0, 3.0, 1.0)
"""bm25's: title, id, tags, category, description."""
_MOST_WORDS = 24
_MOST_CANDIDATES = 400
_LONGEST_QUERY = 300
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")
_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Hit:
    """One model that was found; the higher `score`, the better."""

    endpoint_id: str
    score: float


@dataclass(frozen=True, slots=True)
class _Row:
    endpoint_id: str
    category: str
    words: frozenset[str]
    family: tuple[str, ...]
    version: tuple[int, ...]
    is_training: bool
    is_deprecated: bool
    is_ahead: bool
    place: int
    """Of its category, in the order in which people ask for them."""


class Search:
    """An index over one catalog, built when first asked."""

    def __init__(self, catalog: Catalog, allowed: Iterable[str]) -> None:
        self._rows: dict[str, _Row] = {}
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE model USING fts5(id UNINDEXED, title, name, tags, category, description, "
            "tokenize = 'porter unicode61')"
        )
        self._database.executemany(
            "INSERT INTO model VALUES (?, ?, ?, ?, ?, ?)", (self._index(catalog, one) for one in allowed)
        )
        self._newest = _newest(self._rows.values())
        self._order = {one: place for place, one in enumerate(self._rows)}

    def find(self, query: str, category: str | None = None) -> list[Hit]:
        """Every model that fits, the best first; an empty query lists all, in the catalog's order."""
        request = _Request.of(query[:_LONGEST_QUERY].casefold())
        found = self._candidates(request) if request.text else dict.fromkeys(self._rows, 0.0)
        hits = [
            Hit(one, score + _merit(self._rows[one], request, self._newest))
            for one, score in found.items()
            if category in (None, self._rows[one].category)
        ]
        return sorted(hits, key=lambda hit: (-round(hit.score, 6), self._order[hit.endpoint_id]))

    def successor(self, endpoint_id: str) -> str | None:
        """The newest model of the same family and task, where it is newer than this one."""
        version, family = _version(endpoint_id)
        row = self._rows.get(endpoint_id)
        newer = [
            other
            for other in self._rows.values()
            if not other.is_deprecated
            and other.version > version
            and (other.family == row.family if row else other.family[1:] == family[:3])
        ]
        return max(newer, key=lambda other: other.version).endpoint_id if newer else None

    def categories(self) -> dict[str, int]:
        """How many models each category has, the largest first."""
        counts: dict[str, int] = {}
        for row in self._rows.values():
            counts[row.category] = counts.get(row.category, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def _index(self, catalog: Catalog, endpoint_id: str) -> tuple[str, str, str, str, str, str]:
        about = catalog.metadata(endpoint_id)
        endpoint = None if about.get("description") else catalog.get(endpoint_id)
        title = str(about.get("display_name") or (endpoint.title if endpoint else endpoint_id))
        category = catalog.category(endpoint_id)
        description = str(about.get("description") or (endpoint.description if endpoint else ""))[:1000]
        tags: Any = about.get("tags") or ()
        name = " ".join(_words(endpoint_id))
        version, family = _version(endpoint_id)
        self._rows[endpoint_id] = _Row(
            endpoint_id=endpoint_id,
            category=category,
            words=frozenset(_words(f"{endpoint_id} {title}")),
            family=(category, *family[:3]),
            version=version,
            is_training=category == "training" or about.get("kind") == "training",
            is_deprecated=about.get("status") == "deprecated",
            is_ahead=bool(about.get("highlighted") or about.get("pinned")),
            place=CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES),
        )
        kind = f"{category} {category.replace('-to-', ' to ').replace('-', ' ')}"
        return endpoint_id, title, name, " ".join(map(str, tags)), kind, description

    def _candidates(self, request: "_Request") -> dict[str, float]:
        found = self._match([*request.words, *(word for _, extra in request.intents for word in extra)])
        wanted = {name for categories, _ in request.intents for name in categories}
        return {one: found.get(one, 0.0) for one, row in self._rows.items() if one in found or row.category in wanted}

    def _match(self, words: list[str]) -> dict[str, float]:
        terms = list(dict.fromkeys(words))[:_MOST_WORDS]
        if not terms:
            return {}
        expression = " OR ".join(f'"{term}"' for term in terms)
        rows = self._database.execute(
            f"SELECT id, -bm25(model, 0, {', '.join(map(str, _WEIGHTS))}) AS score FROM model WHERE model MATCH ? "
            "ORDER BY score DESC LIMIT ?",
            (expression, _MOST_CANDIDATES),
        )
        return dict(rows)


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for: its words, and the tasks it means, the surest first."""

    text: str
    words: tuple[str, ...]
    intents: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    wants_training: bool

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, text: str) -> "_Request":
        intents = tuple(_intents(text))
        # Where the task is known, "photo" and "video" have done their work; they would only find odd names.
        known = vocabulary()
        left_out = known.stop | known.media if intents else known.stop
        words = tuple(dict.fromkeys(word for word in _words(_with_aliases(text)) if word not in left_out))
        training = any(_pattern(phrase).search(text) for phrase in known.training)
        return cls(text.strip(), words, intents, training)


def _merit(row: _Row, request: _Request, newest: Mapping[tuple[str, ...], tuple[int, ...]]) -> float:
    """What counts besides the words: the task asked for, the newest of a family, trainers only when asked for."""
    if not request.text:
        return -50.0 * (row.is_training or row.is_deprecated)
    merit = 0.0
    for place, (categories, _) in enumerate(request.intents):
        if row.category in categories:
            merit += (9.0 - 2.5 * categories.index(row.category)) * (1.0 if place == 0 else 0.4)
    named = row.words.intersection(request.words)
    merit += 8.0 * len(named) / max(len(request.words), 1) + 1.5 * len(named)
    merit -= 0.3 * math.log2(1 + len(row.words) - len(named)) + 0.15 * row.place
    merit += 1.0 * row.is_ahead + 2.0 * (not row.words.isdisjoint(vocabulary().known))
    if row.version < newest.get(row.family, row.version) and not _names_version(request.text, row.version):
        merit -= 2.5
    if row.is_training != request.wants_training:
        merit -= 20.0
    return merit - (30.0 if row.is_deprecated else 0.0)


def _newest(rows: Iterable[_Row]) -> dict[tuple[str, ...], tuple[int, ...]]:
    newest: dict[tuple[str, ...], tuple[int, ...]] = {}
    for row in rows:
        newest[row.family] = max(newest.get(row.family, ()), row.version)
    return newest


def _words(text: str) -> list[str]:
    return _WORD.findall(re.sub(r"([a-z])([0-9])|([0-9])([a-z])", r"\1\3 \2\4", text.casefold()))


def _version(endpoint_id: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The first number in the id that reads as a version, and the id's other words."""
    parts = re.split(r"[/-]", endpoint_id)
    version: tuple[int, ...] = ()
    rest: list[str] = []
    for part in parts:
        found = _VERSION.fullmatch(part) or re.fullmatch(r"[a-z]+(\d+(?:\.\d+)?)", part)
        if found and not version:
            version = tuple(map(int, found[1].split(".")))
            rest.append(part[: found.start(1)].removesuffix("v"))
        else:
            rest.append(part)
    return version, tuple(filter(None, rest))


def _names_version(text: str, version: tuple[int, ...]) -> bool:
    return (
        bool(version) and re.search(rf"(?<![\d.]){re.escape('.'.join(map(str, version)))}(?![\d.])", text) is not None
    )


def _with_aliases(text: str) -> str:
    return " ".join([text, *(meant for said, meant in vocabulary().aliases.items() if said in text)])


def _intents(text: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """What the request asks for: categories and words, the longest phrase that fits first."""
    found: list[tuple[bool, int, tuple[str, ...], tuple[str, ...]]] = []
    for intent in vocabulary().intents:
        lengths = [len(phrase) for phrase in intent.phrases if _pattern(phrase).search(text)]
        if lengths:
            found.append((intent.is_weak, -max(lengths), intent.categories, intent.words))
    return [(categories, words) for _, _, categories, words in sorted(found, key=lambda one: one[:2])]


@lru_cache(maxsize=1024)
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(r"\b" + r"\s".join(_piece(word) for word in phrase.split()) + r"\b")


def _piece(word: str) -> str:
    if word == "*":
        return r"(?:\S+\s){0,3}\S+"
    return re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else "")
