"""What people say, and what of fal's they mean by it: tasks to categories, everyday names to model families.

The data is in `intents.toml`, which says how to read it.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Intent:
    """Phrases that point at categories, and words to look for besides those of the query."""

    phrases: tuple[str, ...]
    categories: tuple[str, ...]
    words: tuple[str, ...]
    is_weak: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything search knows about what people say."""

    intents: tuple[Intent, ...]
    aliases: dict[str, str]
    training: tuple[str, ...]
    stop: frozenset[str]
    media: frozenset[str]
    known: frozenset[str]


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The vocabulary, read when first needed."""
    content = tomllib.loads(Path(__file__).with_name("intents.toml").read_text("utf-8"))
    return Vocabulary(
        intents=tuple(map(_intent, content["intent"])),
        aliases=content["aliases"],
        training=tuple(content["training"]),
        stop=frozenset(content["stop"]),
        media=frozenset(content["media"]),
        known=frozenset(content["known"]),
    )


def _intent(entry: dict[str, Any]) -> Intent:
    return Intent(
        tuple(entry["phrases"]),
        tuple(entry.get("categories", ())),
        tuple(entry.get("words", ())),
        bool(entry.get("weak")),
    )
