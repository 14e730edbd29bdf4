"""Requests in other languages, put into the English words that search knows, by a table of words and no grammar."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from fal_mcp.catalog.words import plain

_LONGEST_PHRASE = 4
_SHORTEST_STEM = 4
# A syllable of Korean is one character, and roots in Arabic and Hindi are shorter than words in Latin letters.
_SHORTEST_OF = {"ko": 1, "hi": 3, "ar": 3}
_LONGEST_ENDING = 5
_LONGEST_SEGMENT = 8
_SCRIPTS = (
    ("\u3040", "\u30ff", "ja"),
    ("\u3400", "\u9fff", "zh"),
    ("\uac00", "\ud7a3", "ko"),
    ("\u0900", "\u097f", "hi"),
    ("\u0600", "\u06ff", "ar"),
    ("\u0400", "\u04ff", "ru"),
)
_LINKS = ("", "s", "n", "en", "es", "e")
"""What German and Dutch put between the halves of a compound."""


@dataclass(frozen=True, slots=True)
class Language:
    """One column of the table: what each of its words and phrases means."""

    name: str
    meanings: dict[str, str]

    def count(self, words: list[str]) -> int:
        """How many of the words it knows."""
        known = at = 0
        while at < len(words):
            length, meaning = self._longest(words, at)
            known += 0 if meaning is None else length
            at += length
        return known

    def english(self, words: list[str]) -> list[str]:
        """The words put into English, the longest phrase first; what is not in the table stays as it is."""
        result: list[str] = []
        at = 0
        while at < len(words):
            length, meaning = self._longest(words, at)
            result.extend(words[at : at + 1] if meaning is None else meaning.split())
            at += length
        return result

    def meaning(self, word: str) -> str | None:
        """Of one word: as it stands, of a longer form of it, or of a compound of two that are known."""
        if word in self.meanings:
            return self.meanings[word]
        shortest = _SHORTEST_OF.get(self.name, _SHORTEST_STEM)
        # From the end, as these languages put their cases and numbers there; the bound keeps a short word from being
        # found in every long one.
        for length in range(len(word) - 1, max(len(word) - _LONGEST_ENDING, shortest) - 1, -1):
            if word[:length] in self.meanings:
                return self.meanings[word[:length]]
        return self._compound(word) or self._without_article(word)

    def _longest(self, words: list[str], at: int) -> tuple[int, str | None]:
        # The longest first: a phrase means something other than its words.
        for length in range(min(_LONGEST_PHRASE, len(words) - at), 1, -1):
            if meaning := self.meanings.get(" ".join(words[at : at + length])):
                return length, meaning
        return 1, self.meaning(words[at])

    def _compound(self, word: str) -> str | None:
        # Only these write compounds as one word.
        if self.name not in ("de", "nl"):
            return None
        for at in range(len(word) - 3, 3, -1):
            first = next((word[: at - len(link)] for link in _LINKS if self._ends(word[:at], link)), None)
            second = self.meanings.get(word[at:])
            if first and second:
                return f"{self.meanings[first]} {second}"
        return None

    def _ends(self, word: str, link: str) -> bool:
        return word.endswith(link) and word[: len(word) - len(link)] in self.meanings

    def _without_article(self, word: str) -> str | None:
        for start in ("وال", "بال", "لل", "ال", "و", "ب", "ل") if self.name == "ar" else ("l'", "d'", "un'", "dell'"):
            if word.startswith(start) and len(word) > len(start) + 2:
                return self.meanings.get(word[len(start) :])
        return None


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """Every language of the table, by its two letters; read when a request first needs it."""
    lines = [line for line in Path(__file__).with_name("languages.txt").read_text("utf-8").splitlines() if line]
    names = next(line for line in lines if line.startswith("# es|"))[2:].split("|")
    meanings: dict[str, dict[str, str]] = {name: {} for name in names}
    for line in lines:
        if line.startswith("#"):
            continue
        english, *columns = line.split("|")
        for name, column in zip(names, columns, strict=True):
            meanings[name].update((plain(word.strip()), english) for word in column.split(",") if word.strip())
    return {name: Language(name, found) for name, found in meanings.items()}


def language_of(text: str) -> Language | None:
    """The language that the text's script alone tells; None where it is written in Latin letters."""
    names = {name for start, end, name in _SCRIPTS for character in text if start <= character <= end}
    # Japanese first: it is written in Chinese characters too, and only its own letters tell it from Chinese.
    first = next((name for name in ("ja", "zh", "ko", "hi", "ar", "ru") if name in names), None)
    return languages()[first] if first else None


def segments(text: str, language: Language) -> list[str]:
    """A text without spaces cut so that the table knows the most of it; what it does not know is cut by character."""
    best: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(text) + 1):
        # The fewest unknown characters, then the fewest pieces: a long phrase that is known beats two short ones.
        ways = [(best[end - 1][0] + 1, best[end - 1][1] + 1, 1)]
        for size in range(1, min(_LONGEST_SEGMENT, end) + 1):
            if text[end - size : end] in language.meanings:
                ways.append((best[end - size][0], best[end - size][1] + 1, size))
        best.append(min(ways))
    result: list[str] = []
    at = len(text)
    while at:
        result.append(text[at - best[at][2] : at])
        at -= best[at][2]
    return result[::-1]


def is_spaceless(character: str) -> bool:
    """Whether this character is of a script that is written without spaces: Chinese or Japanese."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or character == "々"


def runs(text: str) -> list[str]:
    """The text cut where a script without spaces begins or ends, and at spaces."""
    if not text:
        return []
    cuts = [0, *(at for at, (one, two) in enumerate(pairwise(text), 1) if is_spaceless(one) != is_spaceless(two))]
    return [word for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True) for word in text[start:end].split()]
