"""Families of models: the version in an id, the words that no version changes, and names misspelt."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Python reads no number of thousands of digits, and a version has a few.
_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)")
_AFTER_A_NAME = re.compile(r"[a-z]+(\d{1,9}(?:\.\d{1,9})?)")
_SHORTEST_NAME = 4
_LONG_NAME = 8


@dataclass(frozen=True, slots=True)
class Family:
    """`version` is empty where the id has none; `words` are the id's others."""

    version: tuple[int, ...]
    words: tuple[str, ...]


def family_of(endpoint_id: str) -> Family:
    """The first number in the id that reads as a version, and the id's other words."""
    version: tuple[int, ...] = ()
    rest: list[str] = []
    for part in re.split(r"[/-]", endpoint_id):
        match = _VERSION.fullmatch(part) or _AFTER_A_NAME.fullmatch(part)
        # The first number only: those after it are sizes and variants.
        if match and not version:
            version = tuple(map(int, match[1].split(".")))
            part = part[: match.start(1)].removesuffix("v")
        rest.append(part)
    return Family(version, tuple(filter(None, rest)))


class Spellings:
    """Names that a word may be a misspelling of."""

    def __init__(self, names: Iterable[str]) -> None:
        self._of_length: dict[int, list[tuple[str, frozenset[str]]]] = {}
        for name in names:
            if len(name) >= _SHORTEST_NAME and name.isalpha():
                self._of_length.setdefault(len(name), []).append((name, frozenset(name)))

    def nearest(self, word: str) -> str | None:
        """The name that is one letter off, or two where the word is long; None where none is."""
        if len(word) < _SHORTEST_NAME:
            return None
        most_letters = 2 if len(word) >= _LONG_NAME else 1
        letters = frozenset(word)
        near = [
            (distance, name)
            for length in range(len(word) - most_letters, len(word) + most_letters + 1)
            for name, others in self._of_length.get(length, ())
            # Each letter off changes the set of letters by two at most: this spares nearly all of the work.
            if len(letters ^ others) <= 2 * most_letters
            and (distance := _distance(word, name, most_letters)) <= most_letters
        ]
        return min(near)[1] if near else None


def _distance(one: str, other: str, most: int) -> int:
    """Letters to put in, leave out, change or swap with the next; anything above `most` is `most + 1`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        older, before, row = before, row, [at]
        for place, against in enumerate(other, 1):
            cost = min(before[place] + 1, row[-1] + 1, before[place - 1] + (letter != against))
            if older and place > 1 and letter == other[place - 2] and one[at - 2] == against:
                cost = min(cost, older[place - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
