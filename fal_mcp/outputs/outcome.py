"""What came of a call, before anyone decides how MCP should say it."""

from dataclasses import dataclass, replace
from typing import Literal

from fal_mcp.json_values import JsonMapping

Kind = Literal["image", "video", "audio", "3d", "text", "archive", "file"]


@dataclass(frozen=True, slots=True)
class Media:
    """One file that came out. `url` may be a `data:` URI where the model was asked for one."""

    url: str
    kind: Kind
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    """Bytes, where fal says."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture that the model sees."""

    content: bytes
    content_type: str
    size: tuple[int, int] | None = None
    """Width and height of what it is a small picture of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, before anyone decides how MCP should say it."""

    data: JsonMapping
    media: tuple[Media, ...] = ()
    note: str = ""
    """A short text that a model can use as it stands."""
    previews: tuple[Preview, ...] = ()
    is_plain: bool = False
    """Whether `note` is the whole text; else what `data["output"]` holds is told after it."""
    echoed: frozenset[str] = frozenset()
    """The names in `data["output"]` of what the caller gave itself, which a text need not repeat."""

    def with_notes(self, notes: tuple[str, ...]) -> "Outcome":
        """The same, with what else is to be known of it said first, in the text and in the data."""
        sentences = [sentence_of(note) for note in notes]
        if not sentences:
            return self
        data = {**self.data, "notes": [*sentences, *self.data.get("notes", ())]}
        return replace(self, note="\n".join([*sentences, self.note]), data=data)

    def repaired(self, repairs: tuple[str, ...]) -> "Outcome":
        """The same, with what was put right in the arguments said first."""
        return self.with_notes((f"Arguments were put right: {'; '.join(repairs)}",)) if repairs else self


def sentence_of(note: str) -> str:
    """`note` with a large letter and a full stop, where it has none. A name stays as it is written."""
    ended = note if note.endswith((".", "!", "?")) else f"{note}."
    return ended[:1].upper() + ended[1:] if ended.partition(" ")[0].isalpha() else ended
