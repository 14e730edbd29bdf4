"""Finds models for a request in words: the words first, then what they mean, then what is known of a model besides."""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from fal_mcp.catalog import request as requests
from fal_mcp.catalog.catalog import CATEGORIES, Catalog
from fal_mcp.catalog.families import Family, Spellings, family_of
from fal_mcp.catalog.fields import fields_of, kinds_of
from fal_mcp.catalog.index import Fields, Index, Scores, TaskIndex
from fal_mcp.catalog.request import Request
from fal_mcp.catalog.stems import Stems
from fal_mcp.catalog.tasks import tasks
from fal_mcp.catalog.vocabulary import kind_of, vocabulary
from fal_mcp.catalog.weights import BOUNDS, NORMAL, Bounds, Weights
from fal_mcp.catalog.words import plain, words

K = TypeVar("K", bound=Hashable)
_NEAR_ENOUGH = 0.6
"""A second task is named where it is asked for at least so much as the first."""
_SHORTEST_PART = 3
_UNASKED_TRAINER = 0.3
_QUESTION = "question"
_MOST_GUESSES = 4
_MOST_RANKED = 120
_LEAST_OF_BEST = 0.25


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
    near: tuple[str, ...] = ()
    """Tasks that are mistaken for the likeliest."""


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

    def __init__(
        self, catalog: Catalog, allowed: Iterable[str], weights: Weights = NORMAL, bounds: Bounds = BOUNDS
    ) -> None:
        self._weights = weights
        self._bounds = bounds
        self._stems = Stems()
        self._tasks = TaskIndex(self._stems)
        ids = list(allowed)
        fields = [fields_of(catalog, endpoint_id) for endpoint_id in ids]
        self._index = Index(fields, weights, self._stems)
        # After the index: it has taught the stemmer every word at once, which is much cheaper than word by word.
        self._rows = [self._row(catalog, one, model) for one, model in zip(ids, fields, strict=True)]
        # What does not depend on a request is worked out once for each model here, and not at every search.
        self._newest = _newest(self._rows)
        self._merits = [self._standing(row) for row in self._rows]
        self._of_task = _grouped((number, model) for model, row in enumerate(self._rows) for number in row.tasks)
        self._of_given = _grouped((kind, model) for model, row in enumerate(self._rows) for kind in row.given)
        self._of_made = _grouped((row.made, model) for model, row in enumerate(self._rows))
        self._trainers = {model for model, row in enumerate(self._rows) if row.is_training}
        self._everyday = set(map(self._stems.of, vocabulary().everyday))
        self._spellings = Spellings(self._index.names)
        self._called = _grouped((self._name_of(task.name), number) for number, task in enumerate(tasks()))
        self._ours = set(map(self._stems.of, vocabulary().ours))
        self._names = {*self._index.names, *vocabulary().everyday}
        self._families = {name for name in self._index.names if self._is_family(name)}

    def find(self, query: str, category: str | None = None) -> list[Hit]:
        """Every model that fits, the best first; an empty query lists all, in the catalog's order."""
        return self.match(query, category).hits

    def match(self, query: str, category: str | None = None) -> Matches:
        """What fits, whether it does at all, and the tasks that were meant."""
        if not query.strip():
            return Matches(self._all(category), True, ())
        request = requests.read(query, self._is_english)
        # Words to stems to tasks to models: each step takes only what the one before gives, so that a wrong task can
        # be traced to its word.
        terms = self._terms(request)
        asked = self._asked(request, terms)
        scores = self._scores(request, terms, asked)
        # After scoring: rarity is measured over the whole catalog, so that a score does not change its meaning with
        # the filter.
        if category is not None:
            scores = {model: score for model, score in scores.items() if self._rows[model].category == category}
        hits = [Hit(self._rows[model].endpoint_id, score) for model, score in self._ordered(scores, terms).items()]
        meant = self._meant(asked)
        near = next((task.near for task in tasks() if task.name in meant[:1]), ())
        return Matches(hits, self._is_sure(request, terms), meant, near)

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
            # A newer version for another task is no replacement.
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
        # The sort is stable: the catalog's order, which is what fal puts forward, stays within each half.
        rows.sort(key=lambda row: row.is_training or row.is_deprecated)
        return [Hit(row.endpoint_id, 0.0) for row in rows]

    def _row(self, catalog: Catalog, endpoint_id: str, fields: Fields) -> _Row:
        about = catalog.metadata(endpoint_id)
        category = catalog.category(endpoint_id)
        name = {*words(plain(fields.name)), *words(plain(fields.title))}
        given, made = kinds_of(category)
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

    def _name_of(self, task: str) -> frozenset[str]:
        empty = vocabulary().empty
        return frozenset(self._stems.of(word) for word in words(plain(task)) if word not in empty)

    def _is_family(self, name: str) -> bool:
        """Whether a word of a name is one that nobody says for anything else."""
        stem = self._stems.of(name)
        plain_word = (
            name in vocabulary().everyday
            or name in vocabulary().foreign
            or stem in self._everyday
            or self._tasks.knows(stem)
        )
        return name.isalpha() and len(name) >= _SHORTEST_PART and not plain_word and kind_of(name) is None

    def _terms(self, request: Request) -> dict[str, float]:
        """The stems to look for, each with how sure it is that it was asked for."""
        known = vocabulary()
        content = request.content
        terms: dict[str, float] = {}
        for word in content:
            # What was said counts whole; whatever is read into it, less. `_add` keeps the larger weight where both
            # hold.
            self._add(terms, word, 1.0)
        for word in content:
            for other in known.same.get(word, ()):
                self._add(terms, other, self._weights.same)
        # Only for words that mean nothing else: corrected without need, "cat" would find a family that is called
        # nearly so. The bound is for pasted nonsense, as each guess goes through all names.
        for word in [word for word in content if not self._is_english(word)][:_MOST_GUESSES]:
            for other in self._guesses(word):
                self._add(terms, other, self._weights.guessed)
        if request.is_question:
            self._add(terms, _QUESTION, self._weights.same)
        # Out of `words` and not `content`: there, words stand side by side that had another between them.
        for first, second in zip(request.words, request.words[1:], strict=False):
            # Only where the two together are a name: any two words side by side could be read as one otherwise.
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
            # Both halves have to be names: half a name and some letters is a misspelling, which is tried next.
            if word[:at] in names and word[at:] in names:
                return word[:at], word[at:]
        near = self._spellings.nearest(word)
        return (near,) if near else ()

    def _asked(self, request: Request, terms: Mapping[str, float]) -> Scores:
        """How much each task is asked for; one called by its own name, and nothing else, more than its neighbours."""
        asked = self._tasks.scores(terms)
        called = frozenset(map(self._stems.of, request.content))
        for number in self._called.get(called, ()):
            asked[number] *= self._weights.called
        return asked

    def _scores(self, request: Request, terms: dict[str, float], asked: Scores) -> Scores:
        """Every model with a word of the request in a field or in a task, by words and media."""
        weights = self._weights
        scores = self._index.scores(self._as_names(request, terms))
        best: Scores = {}
        # Ascending, so that the strongest of a model's tasks is written last and stays. Tasks do not add up: a model
        # with many would win over the one that does the one thing asked.
        for number in sorted(asked, key=lambda number: asked[number]):
            best.update(dict.fromkeys(self._of_task.get(number, ()), asked[number]))
        for model, score in best.items():
            scores[model] = scores.get(model, 0.0) + weights.task * score
        for kinds, of_kind, weight in (
            (request.given, self._of_given, weights.given),
            (request.made, self._of_made, weights.made),
        ):
            # Only what has a word in common already: medium alone fits hundreds, and would bury what was named.
            for model in {model for kind in kinds for model in of_kind.get(kind, ())} & scores.keys():
                scores[model] += weight
        if not any(map(kind_of, request.words)) and not self._families.intersection(request.words):
            for model in self._of_made.get("image", ()):
                scores[model] = scores.get(model, 0.0) + weights.unsaid
        if not self._wants_training(request, asked):
            for model in self._trainers & scores.keys():
                # Trainers have the name and the words of the model that they train, and are another thing than a run
                # of it: they come behind it unless training was asked for.
                scores[model] *= _UNASKED_TRAINER
        return scores

    def _wants_training(self, request: Request, asked: Scores) -> bool:
        is_named = any(word in vocabulary().trains for word in request.words)
        return is_named and any(name.startswith("train") for name in self._meant(asked)[:1])

    def _as_names(self, request: Request, terms: dict[str, float]) -> dict[str, float]:
        """The terms, with names that are words of everyday made light where other words stand beside them."""
        # Said alone, a name is a name, whatever else the word means: who types "film" into a search of models means
        # the model.
        if all(word in self._names for word in request.content):
            return terms
        light = self._weights.everyday
        return {
            stem: weight * (light if stem in self._everyday or self._tasks.knows(stem) else 1.0)
            for stem, weight in terms.items()
        }

    def _ordered(self, scores: Scores, terms: Mapping[str, float]) -> Scores:
        """Scores with what is known of the best models besides, the best first."""
        least = _LEAST_OF_BEST * max(scores.values(), default=0.0)
        # Merit reorders what fits, it must not lift what hardly does: only models within reach of the best get any.
        likely = sorted((model for model, score in scores.items() if score >= least), key=scores.__getitem__)
        merits = {model: scores[model] + self._merit(model, terms) for model in likely[-_MOST_RANKED:]}
        # Deprecated ones last whatever they score, as fal takes them away. The number ends ties, so that the order is
        # the same in every process.
        return dict(sorted(merits.items(), key=lambda pair: (self._rows[pair[0]].is_deprecated, -pair[1], pair[0])))

    def _merit(self, model: int, terms: Mapping[str, float]) -> float:
        stems = self._rows[model].stems
        unnamed = len(stems) - len(stems & terms.keys())
        # Logarithm: the first unnamed word makes a variant of a model, a fourth hardly changes what it is.
        return self._merits[model] - self._weights.plain * math.log2(1 + unnamed)

    def _standing(self, row: _Row) -> float:
        """What is known of a model whatever is asked for."""
        weights = self._weights
        is_newest = row.family.version >= self._newest.get((row.category, row.family.words), ())
        place = CATEGORIES.index(row.category) if row.category in CATEGORIES else len(CATEGORIES)
        merit = weights.ahead * row.is_ahead + weights.known * row.is_known + weights.newest * is_newest
        return merit - weights.rarely * place / len(CATEGORIES)

    def _is_sure(self, request: Request, terms: Mapping[str, float]) -> bool:
        """Whether the request is about anything that a model here does."""
        content = request.content
        # The name of a family is a match whatever surrounds it.
        if not content or any(word in self._families for word in content):
            return True
        asked = self._tasks.scores({stem: weight for stem, weight in terms.items() if stem != _QUESTION})
        best = max(asked.values(), default=0.0)
        is_ours = any(self._stems.of(word) in self._ours or kind_of(word) for word in content)
        if any(word in vocabulary().foreign for word in content) or (request.is_question and not is_ours):
            least = self._bounds.least_share if is_ours else self._bounds.least_share_foreign
            # By the word: a long sentence about something else touches some task by chance, and only its share of the
            # words tells that from a request.
            return best / len(content) >= least
        return is_ours or best / len(content) >= self._bounds.least_share_plain

    def _meant(self, asked: Scores) -> tuple[str, ...]:
        order = sorted(asked, key=lambda number: -asked[number])
        return tuple(tasks()[number].name for number in order if asked[number] >= _NEAR_ENOUGH * asked[order[0]])


def _newest(rows: Iterable[_Row]) -> dict[tuple[str, tuple[str, ...]], tuple[int, ...]]:
    newest: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
    for row in rows:
        key = row.category, row.family.words
        newest[key] = max(newest.get(key, ()), row.family.version)
    return newest


def _grouped(pairs: Iterable[tuple[K, int]]) -> dict[K, list[int]]:
    groups: dict[K, list[int]] = {}
    for key, model in pairs:
        groups.setdefault(key, []).append(model)
    return groups
