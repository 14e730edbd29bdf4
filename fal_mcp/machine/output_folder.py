"""Names for files that were made, and the writing of them: below one folder, never over another file.

Files are their owner's alone, and so are the folders that are made for them. What was checked is what is used: below
the folder each step is opened from the one before it, and none of them is a link.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fal_mcp.errors import NotWritable
from fal_mcp.machine import program_files

_KEPT = re.compile(r"[^a-z0-9]+")
_LONGEST = 60
# Most file systems hold 255 bytes in a name: this leaves room for a number, an ending and the note's `.json`.
_LONGEST_STEM = 150
_LONGEST_PATH = 800
_DEEPEST = 20
# Windows takes these for devices whatever folder they are in, and with any ending; the files may be carried there.
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
# O_EXCL and O_NOFOLLOW together: a name that is taken, be it by a link that leads nowhere, is refused and never
# written through. O_BINARY keeps Windows from changing line ends in pictures.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_HAS_HANDLES = os.open in os.supports_dir_fd and os.mkdir in os.supports_dir_fd
"""Whether a folder can be held open and gone on from; Windows cannot."""
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
Link = Callable[..., None]


def slug(text: str, longest: int = _LONGEST) -> str:
    """`text` as a part of a file name: letters, digits and dashes, safe on every system."""
    plain = _KEPT.sub("-", text.casefold()).strip("-")[:longest].strip("-")
    return f"{plain}-" if plain in _RESERVED else plain


class OutputFolder:
    """A folder that files are saved in. `link` gives a file a second name and refuses one that is taken."""

    def __init__(self, folder: Path, *, link: Link = os.link) -> None:
        # Resolved once, when a person names it: what becomes a link later is not followed.
        self.folder = Path(os.path.realpath(folder))
        self._link = link

    def place(self, below: str | None) -> Path:
        """The folder itself, or one below it.

        Raises:
            NotWritable: `below` leads out of it, or to where programs look for instructions.
        """
        if not below:
            return self.folder
        shown = f"{below[:120]!r}"
        try:
            # Resolved before it is compared, or `pictures/../..` and a link in the folder would lead out of it.
            target = Path(os.path.realpath(self.folder / below))
            target.relative_to(self.folder)
            # A name that the disk cannot hold shows here and not when a paid result is to be written.
            os.fsencode(target)
        except (ValueError, OSError):
            raise NotWritable(f"{shown} is not inside the server's output folder.") from None
        parts = target.relative_to(self.folder).parts
        if len(parts) > _DEEPEST or len(str(target)) > _LONGEST_PATH:
            raise NotWritable(f"{shown} is deeper or longer than a folder's name may be here.")
        if any(part.startswith("~") or part.split(".")[0].casefold().strip() in _RESERVED for part in parts):
            raise NotWritable(
                f"{shown} would not be a folder of that name everywhere: a home folder is not looked up here, and "
                "Windows takes some names for devices.",
                hint="Name a plain folder below the output folder.",
            )
        if any(map(program_files.is_folder, parts)):
            raise NotWritable(
                f"{shown} is a folder in which programs look for instructions, and nothing is saved there.",
                hint="Name another folder: one without a leading dot.",
            )
        return target

    def begin(self, place: Path) -> tuple[BinaryIO, Path]:
        """A file to write to, under a name that nobody reads yet.

        Raises:
            NotWritable: it cannot be made.
        """
        # A leading dot and a name nobody can guess: neither a gallery that watches the folder nor another run picks
        # up half a file.
        name = f".{secrets.token_hex(6)}.part"
        with _told(f"Nothing can be written to {str(place)!r}"):
            _made(self.folder)
            with self._opened(place, makes=True) as handle:
                return _created(place, name, handle), place / name

    def finish(self, unfinished: Path, stem: str, ending: str) -> Path:
        """Give a written file the first free name of this kind; where it is now.

        Raises:
            NotWritable: it cannot be renamed.
        """
        with (
            _told(f"A file in {str(unfinished.parent)!r} cannot be given its name"),
            self._opened(unfinished.parent) as handle,
        ):
            for free in _names(stem[:_LONGEST_STEM]):
                # After the number was added, as `makefile-2` may be saved and `makefile` may not.
                name = program_files.harmless(free, ending)
                with suppress(FileExistsError):
                    self._renamed(unfinished, name, handle)
                    return unfinished.with_name(name)
        raise NotWritable(f"There are too many files like {stem[:80]!r} in {str(unfinished.parent)!r}.")

    def note(self, target: Path, text: str) -> None:
        """Write a note beside a file, once and never over another file; nothing is left of one that breaks off.

        Raises:
            NotWritable: it cannot be written.
        """
        name = f"{target.name}.json"
        with _told(f"The note beside {target.name!r} could not be written"), self._opened(target.parent) as handle:
            stream = _created(target.parent, name, handle)
            try:
                with stream:
                    stream.write(text.encode("utf-8", "replace"))
            except OSError:
                # The disk is full: half a note is JSON to nobody.
                os.unlink(_in(target.parent, name, handle), dir_fd=handle)
                raise

    @staticmethod
    def drop(unfinished: Path) -> None:
        """Forget a file that was not finished."""
        with suppress(OSError):
            unfinished.unlink()

    def _renamed(self, unfinished: Path, name: str, handle: int | None) -> None:
        """Raises FileExistsError where the name is taken. A link refuses to replace what is there; renaming would
        not, so where there are no links the name is taken first, by an empty file."""
        before, after = _in(unfinished.parent, unfinished.name, handle), _in(unfinished.parent, name, handle)
        try:
            if handle is None:
                self._link(before, after)
            else:
                self._link(before, after, src_dir_fd=handle, dst_dir_fd=handle)
        except FileExistsError:
            raise
        # exFAT and many network shares have no hard links.
        except (OSError, NotImplementedError):
            _created(unfinished.parent, name, handle).close()
            try:
                os.replace(before, after, src_dir_fd=handle, dst_dir_fd=handle)
            except OSError:
                # The empty file that held the name would stay as a result of nothing.
                os.unlink(after, dir_fd=handle)
                raise
            return
        os.unlink(before, dir_fd=handle)

    @contextmanager
    def _opened(self, place: Path, *, makes: bool = False) -> Generator[int | None]:
        """A handle of a folder at or below this one; None where the system has none."""
        if not _HAS_HANDLES:
            if makes:
                _made(place)
            yield None
            return
        # The folder itself may be reached by links, as it was named by a person; nothing below it may.
        handle = os.open(self.folder, _FOLDER)
        try:
            for part in place.relative_to(self.folder).parts:
                if makes:
                    with suppress(FileExistsError):
                        os.mkdir(part, _PRIVATE_FOLDER, dir_fd=handle)
                # One step at a time, each from the folder before it: a folder that somebody swaps for a link in
                # between is not gone through.
                inner = os.open(part, _FOLDER | _NO_LINK, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


def _made(folder: Path) -> None:
    # From the top down, each by itself: `mkdir(parents=True)` gives the mode to the last one only, and the others
    # would be open to all.
    for missing in [folder, *folder.parents][::-1]:
        if not missing.is_dir():
            missing.mkdir(_PRIVATE_FOLDER, exist_ok=True)


def _created(place: Path, name: str, handle: int | None) -> BinaryIO:
    descriptor = os.open(_in(place, name, handle), _NEW, _PRIVATE_FILE, dir_fd=handle)
    # Asked of what was opened, not of the name: between two questions about a name it can change.
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{name!r} is no file")
    return os.fdopen(descriptor, "wb")


def _in(place: Path, name: str, handle: int | None) -> str:
    return name if handle is not None else str(place / name)


@contextmanager
def _told(what: str) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NotWritable(f"{what}: {why}.") from error


def _names(stem: str) -> Iterator[str]:
    yield stem
    for number in range(2, 100_000):
        yield f"{stem}-{number}"
