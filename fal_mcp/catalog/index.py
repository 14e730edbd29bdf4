"""BM25 over the fields of every model, each with its weight; and over tasks, in the words of people who want them.

Nothing is parsed for it: fields come from fal's catalog items, and from a document only where there is no item.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fal_mcp.catalog.stems import Stems
from fal_mcp.catalog.tasks import Task, tasks
from fal_mcp.catalog.weights import Weights
from fal_mcp.catalog.words import plain, spelled_out, words

_SATURATION = 1.2
"""BM25's k1: how soon saying a word again stops to count."""
_LENGTH = {"title": 0.5, "name": 0.5, "category": 0.0, "tags": 0.5, "description": 0.6, "owner": 0.0}
"""BM25's b: how much a long field is held against it."""
_TASK_LENGTH = 0.35

Scores = dict[int, float]


@dataclass(frozen=True, slots=True)
class Fields:
    """The texts of one model."""

    title: str
    name: str
    category: str
    tags: str
    description: str
    owner: str


class Index:
    """Which model has which stem, and how much that counts."""

    def __init__(self, models: Iterable[Fields], weights: Weights, stems: Stems) -> None:
        self.stems = stems
        texts = [{name: words(spelled_out(plain(getattr(model, name)))) for name in _LENGTH} for model in models]
        # All at once: each visit to the stemmer's table costs more than a word does.
        stems.learn(word for fields in texts for text in fields.values() for word in text)
        self._counts = [
            {name: Counter(map(stems.of, text)) for name, text in fields.items() if text} for fields in texts
        ]
        self.names = {word for fields in texts for word in (*fields["name"], *fields["title"])}
        self._postings = self._weighed(weights)

    def scores(self, terms: Mapping[str, float]) -> Scores:
        """Every model that has one of the stems, with the sum of what they count."""
        return _summed(self._postings, terms)

    def knows(self, stem: str) -> bool:
        """Whether any model has it."""
        return stem in self._postings

    def _weighed(self, weights: Weights) -> dict[str, list[tuple[int, float]]]:
        means = {name: self._mean(name) for name in _LENGTH}
        postings: dict[str, list[tuple[int, float]]] = {}
        for model, fields in enumerate(self._counts):
            sums: dict[str, float] = {}
            for name, counts in fields.items():
                length = 1 - _LENGTH[name] + _LENGTH[name] * counts.total() / means[name]
                # BM25F: fields are summed before the saturation, so that a word in title and tags is not counted as
                # two finds.
                weight = getattr(weights, name) / length
                for stem, count in counts.items():
                    sums[stem] = sums.get(stem, 0.0) + weight * count
            for stem, value in sums.items():
                postings.setdefault(stem, []).append((model, value / (_SATURATION + value)))
        size = len(self._counts)
        return {
            stem: [(model, value * _rarity(len(models), size)) for model, value in models]
            for stem, models in postings.items()
        }

    def _mean(self, name: str) -> float:
        return max(
            sum(fields[name].total() for fields in self._counts if name in fields) / max(len(self._counts), 1), 1
        )


class TaskIndex:
    """Which task is asked for in which words."""

    def __init__(self, stems: Stems) -> None:
        stems.learn(word for task in tasks() for word in _said(task))
        counts = [Counter(map(stems.of, _said(task))) for task in tasks()]
        spread = Counter(stem for found in counts for stem in found)
        mean = sum(map(len, counts)) / len(counts)
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for number, found in enumerate(counts):
            length = 1 - _TASK_LENGTH + _TASK_LENGTH * len(found) / mean
            for stem, count in found.items():
                value = _rarity(spread[stem], len(counts)) * count / (count + _SATURATION * length)
                self._postings.setdefault(stem, []).append((number, value))

    def scores(self, terms: Mapping[str, float]) -> Scores:
        """How much each task is asked for."""
        return _summed(self._postings, terms)

    def knows(self, stem: str) -> bool:
        """Whether any task is asked for with it."""
        return stem in self._postings


def _summed(postings: Mapping[str, list[tuple[int, float]]], terms: Mapping[str, float]) -> Scores:
    scores: Scores = {}
    for stem, weight in terms.items():
        for number, value in postings.get(stem, ()):
            scores[number] = scores.get(number, 0.0) + weight * value
    return scores


def _said(task: Task) -> list[str]:
    """A task's own name counts as said twice more."""
    return [*words(plain(task.name)) * 2, *task.says]


def _rarity(count: int, size: int) -> float:
    # With the one inside, a word that more than half have counts little and never against a model.
    return math.log(1 + (size - count + 0.5) / (count + 0.5))
