"""Finds models for a request in words: the words first, then what they mean, then what is known of a model besides."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from fal_mcp.catalog import request as requests
from fal_mcp.catalog.catalog import CATEGORIES, Catalog
from fal_mcp.catalog.families import Family, family_of, nearest
from fal_mcp.catalog.index import Fields, Index, TaskIndex
from fal_mcp.catalog.request import Request
from fal_mcp.catalog.stems import Stems
from fal_mcp.catalog.tasks import tasks
from fal_mcp.catalog.vocabulary import vocabulary
from fal_mcp.catalog.weights import BOUNDS, NORMAL, Weights
from fal_mcp.catalog.words import plain, words

_LONGEST_DESCRIPTION = 1000
_NEAR_ENOUGH = 0.6
"""A second task is named where it is asked for at least so much as the first."""
_SHORTEST_PART = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """One model that was found; the higher `score`, the better."""

    endpoint_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Matches:
    """What a request finds. Where `is_sure` is false, nothing of the catalog fits it, and `hits` are guesses."""

    hits: list[Hit]
    is_sure: bool
    tasks: tuple[str, ...]
    """The tasks that the request may mean, the likeliest first."""


@dataclass(frozen=True, slots=True)
class _Row:
    endpoint_id: str
    category: str
    given: frozenset[str]
    made: str
    tasks: tuple[int, ...]
    stems: frozenset[str]
    """Of its name and title."""
    family: Family
    is_training: bool
    is_deprecated: bool
    is_ahead: bool
    is_known: bool


class Search:
    """An index over one catalog, built when first asked."""

    def __init__(self, catalog: Catalog, allowed: Iterable[str], weights: Weights = NORMAL) -> None:
        self._weights = weights
        self._stems = Stems()
        self._tasks = TaskIndex(self._stems)
        ids = list(allowed)
        fields = [_fields(catalog, endpoint_id) for endpoint_id in ids]
        self._index = Index(fields, weights, self._stems)
        self._rows = [self._row(catalog, one, model) for one, model in zip(ids, fields, strict=True)]
        self._newest = _newest(self._rows)

    def find(self, query: str, category: str | None = None) -> list[Hit]:
        """Every model that fits, the best first; an empty query lists all, in the catalog's order."""
        return self.match(query, category).hits

    def match(self, query: str, category: str | None = None) -> Matches:
        """What fits, whether it does at all, and the tasks that were meant."""
        if not query.strip():
            return Matches(self._all(category), True, ())
        request = requests.read(query, self._is_english)
        terms = self._terms(request)
        asked = self._tasks.scores(terms)
        scores = self._scores(request, terms, asked)
        order = sorted(scores, key=lambda model: (self._rows[model].is_deprecated, -scores[model], model))
        hits = [
            Hit(self._rows[model].endpoint_id, scores[model])
            for model in order
            if category in (None, self._rows[model].category)
        ]
        return Matches(hits, self._is_sure(request, asked), self._meant(asked))

    def successor(self, endpoint_id: str) -> str | None:
        """The newest model of the same family and task, where it is newer than this one."""
        family = family_of(endpoint_id)
        row = next((row for row in self._rows if row.endpoint_id == endpoint_id), None)
        newer = [
            other
            for other in self._rows
            if not other.is_deprecated
            and other.family.version > family.version
            and other.family.words == family.words
            and (row is None or other.category == row.category)
        ]
        return max(newer, key=lambda other: other.family.version).endpoint_id if newer else None

    def categories(self) -> dict[str, int]:
        """How many models each category has, the largest first."""
        counts: dict[str, int] = {}
        for row in self._rows:
            counts[row.category] = counts.get(row.category, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The tasks to ask by: those that a model here does."""
        done = {number for row in self._rows for number in row.tasks}
        return tuple(task.name for number, task in enumerate(tasks()) if number in done and not task.is_rare)

    def _all(self, category: str | None) -> list[Hit]:
        rows = [row for row in self._rows if category in (None, row.category)]
        rows.sort(key=lambda row: row.is_training or row.is_deprecated)
        return [Hit(row.endpoint_id, 0.0) for row in rows]

    def _row(self, catalog: Catalog, endpoint_id: str, fields: Fields) -> _Row:
        about = catalog.metadata(endpoint_id)
        category = catalog.category(endpoint_id)
        name = {*words(plain(fields.name)), *words(plain(fields.title))}
        given, made = _kinds(category)
        return _Row(
            endpoint_id=endpoint_id,
            category=category,
            given=given,
            made=made,
            tasks=tuple(number for number, task in enumerate(tasks()) if task.is_done_by(category, name)),
            stems=frozenset(map(self._stems.of, name)),
            family=family_of(endpoint_id),
            is_training=category == "training" or about.get("kind") == "training",
            is_deprecated=about.get("status") == "deprecated",
            is_ahead=bool(about.get("highlighted") or about.get("pinned")),
            is_known=not vocabulary().known.isdisjoint(name),
        )

    def _is_english(self, word: str) -> bool:
        stem = self._stems.of(word)
        return word in vocabulary().empty or self._index.knows(stem) or self._tasks.knows(stem)

    def _terms(self, request: Request) -> dict[str, float]:
        """The stems to look for, each with how sure it is that it was asked for."""
        known = vocabulary()
        content = request.content
        terms: dict[str, float] = {}
        for word in content:
            self._add(terms, word, 1.0)
        for word in content:
            for other in known.same.get(word, ()):
                self._add(terms, other, self._weights.same)
            if not self._is_english(word):
                for other in self._guesses(word):
                    self._add(terms, other, self._weights.guessed)
        for first, second in zip(request.words, request.words[1:], strict=False):
            if (joined := first + second) in self._index.names:
                self._add(terms, joined, self._weights.joined)
        return terms

    def _add(self, terms: dict[str, float], word: str, weight: float) -> None:
        stem = self._stems.of(word)
        terms[stem] = max(terms.get(stem, 0.0), weight)

    def _guesses(self, word: str) -> tuple[str, ...]:
        """What a word may be that is known nowhere: two names in one, or a name misspelt."""
        names = self._index.names
        for at in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
            if word[:at] in names and word[at:] in names:
                return word[:at], word[at:]
        near = nearest(word, names)
        return (near,) if near else ()

    def _scores(self, request: Request, terms: dict[str, float], asked: dict[int, float]) -> dict[int, float]:
        weights = self._weights
        found = self._index.scores(self._as_names(request, terms))
        best = max(asked.values(), default=0.0)
        trains = any(task.startswith("train") for task in self._meant(asked)[:1])
        scores: dict[int, float] = {}
        for model, row in enumerate(self._rows):
            task = max((asked.get(number, 0.0) for number in row.tasks), default=0.0)
            score = found.get(model, 0.0) + weights.task * task
            if score <= 0:
                continue
            score += weights.given * (not row.given.isdisjoint(request.given)) + weights.made * (row.made in request.made)
            score += self._merit(row, request, terms)
            scores[model] = score * (0.3 if row.is_training and not trains else 1.0)
        del best
        return scores

    def _as_names(self, request: Request, terms: dict[str, float]) -> dict[str, float]:
        """The terms with names that are words of everyday made light, unless a name or a version stands beside them."""
        known = vocabulary()
        content = request.content
        if len(content) <= 3:
            return terms
        light = {self._stems.of(word) for word in content if word in known.everyday}
        return {stem: weight * (self._weights.everyday if stem in light else 1.0) for stem, weight in terms.items()}

    def _merit(self, row: _Row, request: Request, terms: dict[str, float]) -> float:
        weights = self._weights
        merit = weights.ahead * row.is_ahead + weights.known * row.is_known
        unnamed = sum(stem not in terms for stem in row.stems)
        merit -= weights.plain * math.log2(1 + unnamed)
        is_newest = row.family.version >= self._newest.get((row.category, row.family.words), ())
        return merit + weights.newest * is_newest

    def _is_sure(self, request: Request, asked: dict[int, float]) -> bool:
        return True

    def _meant(self, asked: dict[int, float]) -> tuple[str, ...]:
        order = sorted(asked, key=lambda number: -asked[number])
        return tuple(tasks()[number].name for number in order if asked[number] >= _NEAR_ENOUGH * asked[order[0]])


def _fields(catalog: Catalog, endpoint_id: str) -> Fields:
    about = catalog.metadata(endpoint_id)
    endpoint = None if about.get("description") else catalog.get(endpoint_id)
    group = about.get("group")
    label = str(group.get("label") or "") if isinstance(group, dict) else ""
    title = str(about.get("display_name") or (endpoint.title if endpoint else endpoint_id))
    owner, _, name = endpoint_id.partition("/")
    return Fields(
        title=f"{title} {label}",
        name=name if owner == "fal-ai" else endpoint_id,
        category=catalog.category(endpoint_id).replace("-", " "),
        tags=" ".join(map(str, about.get("tags") or ())),
        description=str(about.get("description") or (endpoint.description if endpoint else ""))[:_LONGEST_DESCRIPTION],
        owner=owner.removeprefix("fal-ai"),
    )


_AS_KIND = {"speech": "audio", "music": "audio"}
_READERS = {"vision": ("image", "text"), "llm": ("text", "text"), "training": ("archive", "model")}


def _kinds(category: str) -> tuple[frozenset[str], str]:
    """What goes in and what comes out, as the category says."""
    if category in _READERS:
        given, made = _READERS[category]
        return frozenset({given}), made
    given, _, made = category.partition("-to-")
    return frozenset({_AS_KIND.get(given, given)}), _AS_KIND.get(made, made)


def _newest(rows: Iterable[_Row]) -> dict[tuple[str, tuple[str, ...]], tuple[int, ...]]:
    newest: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
    for row in rows:
        key = row.category, row.family.words
        newest[key] = max(newest.get(key, ()), row.family.version)
    return newest


_ = CATEGORIES, BOUNDS
