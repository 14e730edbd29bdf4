"""What was asked for, read out of its words: terms with weights, what goes in, what is to come out."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from fal_mcp.catalog import languages
from fal_mcp.catalog.vocabulary import kind_of, vocabulary
from fal_mcp.catalog.words import plain, spelled_out, words

LONGEST = 300
_MOST_WORDS = 40
_NEAR = 3
"""Words between a sign and the medium it is about: "my very old photo"."""

IsEnglish = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """`words` in English and in order; `given` and `made` are kinds of media, where they were told."""

    words: tuple[str, ...]
    given: frozenset[str]
    made: frozenset[str]

    @property
    def content(self) -> list[str]:
        """The words that tell what is wanted, each once."""
        empty = vocabulary().empty
        return [word for word in dict.fromkeys(self.words) if word not in empty]

    @property
    def is_question(self) -> bool:
        """Whether it asks, and so wants words."""
        return bool(self.words) and self.words[0] in vocabulary().asks


def read(query: str, is_english: IsEnglish) -> Request:
    """The request that `query` makes, in whatever language; `is_english` says of a word whether search knows it."""
    spoken = tuple(_english(spelled_out(plain(query[:LONGEST])), is_english)[:_MOST_WORDS])
    made = _made(spoken)
    given = _given(spoken)
    if not made and given in ({"video"}, {"audio"}):
        made = given  # what is done to a video mostly gives a video, and to a song a song
    return Request(spoken, frozenset(given - made or given or ({"text"} if made else ())), frozenset(made))


def _english(text: str, is_english: IsEnglish) -> list[str]:
    language = languages.language_of(text)
    if language is None:
        language = _of_latin_letters(text, is_english)
    if language is None:
        return words(text)
    pieces: list[str] = []
    for run in languages.runs(text):
        spaceless = languages.is_spaceless(run[0])
        pieces.extend(languages.segments(run, language) if spaceless else [run.strip('.,!?¿¡:;"()،؟।')])
    return words(" ".join(language.english(pieces)))


def _of_latin_letters(text: str, is_english: IsEnglish) -> languages.Language | None:
    """The language of the table that knows more of the words than English does; None for English."""
    pieces = [piece for piece in text.replace("?", " ").replace(",", " ").split() if piece]
    english = sum(all(map(is_english, words(piece))) for piece in pieces)
    if not pieces or english == len(pieces):
        return None
    # Languages of other letters cannot be meant by Latin ones.
    counts = {name: found.count(pieces) for name, found in languages.languages().items() if name not in _OTHER_LETTERS}
    best = max(counts, key=lambda name: counts[name])
    # More than English, not as many: names of models are the same in every language.
    return languages.languages()[best] if counts[best] > english else None


_OTHER_LETTERS = {"ja", "zh", "ko", "hi", "ar", "ru"}


def _made(said: tuple[str, ...]) -> set[str]:
    known = vocabulary()
    # From the surest sign to the weakest: "into", a verb at the end, a question, and only then the medium that stands
    # alone.
    if made := {kind for at in _turns(said) if (kind := _next_kind(said, at))}:
        return made
    if turned := _turned(said):
        return {turned[-1]}
    if said and said[0] in known.asks:
        return {"text"}
    for at, word in enumerate(said):
        kind = kind_of(word)
        if kind and at + 1 < len(said) and kind_of(said[at + 1]):
            continue  # "music video" is a video
        if kind and not _is_given(said, at) and (at == 0 or _is_about(said, at) or _is_made(said, at)):
            return {kind}
    return set()


def _given(said: tuple[str, ...]) -> set[str]:
    given = {kind for at, word in enumerate(said) if (kind := kind_of(word)) and _is_given(said, at)}
    for at in _turns(said):
        given |= {kind for before in said[max(at - _NEAR, 0) : at] if (kind := kind_of(before))}
    return given | set(_turned(said)[:-1])


def _turns(said: tuple[str, ...]) -> list[int]:
    """Where one medium becomes another; "adapt it to my clips" is none."""
    known = vocabulary()
    after = (*said[1:], "")
    return [
        at for at, word in enumerate(said) if word in known.into and (word == "into" or after[at] not in known.given)
    ]


def _turned(said: tuple[str, ...]) -> list[str]:
    """The media before an "into" that nothing follows: where the verb comes last, what is made stands before it."""
    if "into" not in said:
        return []
    return [kind for word in said[: said.index("into")] if (kind := kind_of(word))]


def _is_about(said: tuple[str, ...], at: int) -> bool:
    return at + 1 < len(said) and said[at + 1] in vocabulary().about


def _is_given(said: tuple[str, ...], at: int) -> bool:
    before = said[max(at - _NEAR, 0) : at]
    known = vocabulary()
    inside = any(pair in (("in", "the"), ("on", "the"), ("of", "the"), ("into", "the")) for pair in pairwise(before))
    return inside or any(word in known.given or word in known.source for word in before)


def _is_made(said: tuple[str, ...], at: int) -> bool:
    beside = (*said[max(at - _NEAR - 1, 0) : at], *said[at + 1 : at + _NEAR])
    return any(word in vocabulary().made for word in beside)


def _next_kind(said: tuple[str, ...], at: int) -> str | None:
    return next((kind for word in said[at + 1 : at + 1 + _NEAR] if (kind := kind_of(word))), None)
