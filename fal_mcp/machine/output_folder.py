"""Names for files that were made, and the writing of them: below one folder, never over another file."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from fal_mcp.errors import NotWritable

_KEPT = re.compile(r"[^a-z0-9]+")
_LONGEST = 60
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


def slug(text: str, longest: int = _LONGEST) -> str:
    """`text` as a part of a file name: letters, digits and dashes, safe on every system."""
    plain = _KEPT.sub("-", text.casefold()).strip("-")[:longest].strip("-")
    return f"{plain}-" if plain in _RESERVED else plain


class OutputFolder:
    """A folder that files are saved in."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))

    def place(self, below: str | None) -> Path:
        """The folder itself, or one below it.

        Raises:
            NotWritable: `below` leads out of it.
        """
        if not below:
            return self.folder
        target = Path(os.path.realpath(self.folder / below))
        if "\0" in below or not target.is_relative_to(self.folder):
            raise NotWritable(f"{below[:120]!r} is not inside the server's output folder.")
        return target

    def begin(self, place: Path) -> tuple[BinaryIO, Path]:
        """A file to write to, under a name that nobody reads yet.

        Raises:
            NotWritable: it cannot be made.
        """
        try:
            place.mkdir(parents=True, exist_ok=True)
            unfinished = place / f".{secrets.token_hex(6)}.part"
            return unfinished.open("xb"), unfinished
        except OSError as error:
            raise NotWritable(f"Nothing can be written to {str(place)!r}: {error.strerror}.") from error

    def finish(self, unfinished: Path, stem: str, ending: str) -> Path:
        """Give a written file the first free name of this kind; where it is now.

        Raises:
            NotWritable: it cannot be renamed.
        """
        for name in _names(stem):
            target = unfinished.with_name(f"{name}{ending}")
            try:
                # A link refuses to replace what is there; renaming would not.
                os.link(unfinished, target)
            except FileExistsError:
                continue
            except OSError as error:
                raise NotWritable(f"{target.name!r} cannot be written: {error.strerror}.") from error
            unfinished.unlink()
            return target
        raise AssertionError("unreachable")

    @staticmethod
    def drop(unfinished: Path) -> None:
        """Forget a file that was not finished."""
        with suppress(OSError):
            unfinished.unlink()


def _names(stem: str) -> Iterator[str]:
    yield stem
    for number in range(2, 100_000):
        yield f"{stem}-{number}"
