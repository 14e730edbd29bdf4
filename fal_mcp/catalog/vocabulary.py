"""Words that search treats in a way of their own; `vocabulary.toml` has them and says why."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

KINDS = {
    **dict.fromkeys(
        "image picture photo photograph drawing painting portrait selfie snapshot sketch illustration artwork poster flyer "
        "logo icon sticker wallpaper mascot banner meme infographic headshot screenshot receipt pic png jpg".split(),
        "image",
    ),
    **dict.fromkeys("video movie film footage clip reel trailer promo commercial vlog mp4 gif".split(), "video"),
    **dict.fromkeys(
        "audio speech voice sound music song mp3 wav recording noise melody tune jingle soundtrack beat podcast voiceover "
        "piano voicemail interview sfx".split(),
        "audio",
    ),
    **dict.fromkeys(
        "text words lyrics script sentence letter article transcript description notes paragraph subtitle caption".split(),
        "text",
    ),
    **dict.fromkeys("3d mesh glb stl obj fbx".split(), "3d"),
}
"""What people call each medium."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The sets of `vocabulary.toml`."""

    empty: frozenset[str]
    same: dict[str, tuple[str, ...]]
    everyday: frozenset[str]
    known: frozenset[str]
    foreign: frozenset[str]
    ours: frozenset[str]
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
    return Vocabulary(same=same, **{name: frozenset(text.split()) for name, text in content.items()})


def kind_of(word: str) -> str | None:
    """The medium that a word names, one or many of it."""
    return KINDS.get(word) or KINDS.get(word.removesuffix("s"))
