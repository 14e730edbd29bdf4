"""What models are for: some eighty tasks, which models do each, and the words of people who want it.

The data is in `tasks.toml`, which says how to read it.
"""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fal_mcp.json_values import JsonObject


@dataclass(frozen=True, slots=True)
class Task:
    """One task; a model does it that is of one of the categories, and has and lacks these words in its name."""

    name: str
    categories: tuple[str, ...]
    has: frozenset[str]
    lacks: frozenset[str]
    says: tuple[str, ...]
    near: tuple[str, ...]
    is_rare: bool

    def is_done_by(self, category: str, name: Collection[str]) -> bool:
        """Whether a model of this category, with these words in its name, does it."""
        fits = not self.categories or category in self.categories
        return fits and (not self.has or not self.has.isdisjoint(name)) and self.lacks.isdisjoint(name)


@lru_cache(maxsize=1)
def tasks() -> tuple[Task, ...]:
    """Every task, read when first needed."""
    content = tomllib.loads(Path(__file__).with_name("tasks.toml").read_text("utf-8"))
    return tuple(map(_task, content["task"]))


def _task(entry: JsonObject) -> Task:
    return Task(
        entry["name"],
        tuple(entry.get("categories", ())),
        frozenset(entry.get("has", "").split()),
        frozenset(entry.get("lacks", "").split()),
        tuple(entry["says"].split()),
        tuple(entry.get("near", ())),
        bool(entry.get("is_rare")),
    )
