"""What came of a call, before anyone decides how MCP should say it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, before anyone decides how MCP should say it."""

    data: Mapping[str, Any]
    media: tuple[Media, ...] = ()
    note: str = ""
    """A short text that a model can use as it stands."""
    previews: tuple[Preview, ...] = ()
    is_plain: bool = False
    """Whether `note` is the whole text; else what `data["output"]` holds is told after it."""

    def with_notes(self, notes: tuple[str, ...]) -> "Outcome":
        """The same, with what was put right in the arguments said first."""
        if not notes:
            return self
        said = f"Arguments were put right: {'; '.join(notes)}."
        return replace(self, note=f"{said}\n{self.note}", data={**self.data, "repaired": list(notes)})
