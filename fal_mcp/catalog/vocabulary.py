"""Words that search treats in a way of their own; `vocabulary.toml` has them and says why."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The sets of `vocabulary.toml`."""

    empty: frozenset[str]
    same: dict[str, tuple[str, ...]]
    everyday: frozenset[str]
    known: frozenset[str]
    foreign: frozenset[str]
    ours: frozenset[str]
    trains: frozenset[str]
    kinds: dict[str, str]
    asks: frozenset[str]
    given: frozenset[str]
    made: frozenset[str]
    into: frozenset[str]
    source: frozenset[str]
    about: frozenset[str]


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The words, read when first needed."""
    content = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text("utf-8"))
    same: dict[str, tuple[str, ...]] = {}
    for first, *others in map(str.split, content.pop("same")):
        for word in others:
            same[word] = (*same.get(word, ()), first)
    kinds = {word: kind for kind, text in content.pop("kinds").items() for word in text.split()}
    return Vocabulary(same=same, kinds=kinds, **{name: frozenset(text.split()) for name, text in content.items()})


def kind_of(word: str) -> str | None:
    """The medium that a word names, one or many of it."""
    kinds = vocabulary().kinds
    return kinds.get(word) or kinds.get(word.removesuffix("s"))
