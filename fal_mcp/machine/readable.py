"""Which files of this machine may be read, and the reading of them. Knows nothing of fal.

A path is resolved and checked, and then walked to from its allowed folder without following any link, so that what was
checked is what is opened. What is refused is refused in the same words whether it exists or not.
"""

import os
import re
import stat
import urllib.parse
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fal_mcp.addresses import parts_of
from fal_mcp.errors import NotReadable
from fal_mcp.machine.broad_folders import is_broad, is_forbidden
from fal_mcp.machine.secret_names import LOOKED_AT, holds_a_key, is_secret_name, may_hold_a_value
from fal_mcp.text import cut, one_line

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ANYWHERE = "An https URL of the file works everywhere."
_LONGEST_PATH = 4096
_LONGEST_SHOWN = 400
# O_NONBLOCK: opening a named pipe would otherwise wait for somebody to write to it, for ever. O_NOFOLLOW: the path
# was resolved, so a link in it now is one that was put there since.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_CAN_WALK = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An open file that may be read. `identity` changes when the file does."""

    stream: BinaryIO
    name: str
    size: int
    identity: str
    is_on_disk: bool = False

    def has_changed(self) -> bool:
        """Whether a program has written to it since it was opened."""
        return self.is_on_disk and _identity(os.fstat(self.stream.fileno())) != self.identity


def path_in(value: str) -> str | None:
    """The path that a value of a file argument stands for; None where it is a URL of some other kind.

    `file:` URLs, POSIX and Windows paths, percent-encoded and not.
    """
    text = value.strip()
    if text.casefold().startswith("file:"):
        return _path_of_url(text)
    # Before the schemes: `C:\pictures` looks like an address of the scheme `c`.
    if _DRIVE.match(text):
        return text
    return None if _SCHEME.match(text) or not text else text


def _path_of_url(text: str) -> str:
    parts = parts_of(text)
    if parts is None:
        # It names some other machine badly; a path that is refused like any other machine's.
        return f"//{text}"
    # Names on POSIX disks are bytes of any kind; these come out as they went in.
    place = urllib.parse.unquote(parts.path, errors="surrogateescape")
    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return host + (place[1:] if _DRIVE.match(place[1:]) else place)


class Readable:
    """The folders that may be read; a person may add to them while the server runs. `own` are the server's folders and
    files, which are never read, unless a folder in one of them was named."""

    def __init__(self, folders: Iterable[Path] = (), *, may_ask: bool = False, own: Iterable[Path] = ()) -> None:
        self._folders = [_resolved(folder) for folder in folders]
        self._own = [_resolved(place) for place in own]
        self._takes_values = False
        self.may_ask = may_ask

    @property
    def folders(self) -> list[Path]:
        return list(self._folders)

    def add(self, folder: Path) -> None:
        """Allow one more folder."""
        if (resolved := _resolved(folder)) not in self._folders:
            self._folders.append(resolved)

    def for_a_secret(self) -> "Readable":
        """The same folders, where a text file named after a secret may be read too, to be sent as one."""
        same = Readable(may_ask=self.may_ask)
        # The same list and no copy: a folder that the user allows during the question counts for both.
        same._folders, same._own, same._takes_values = self._folders, self._own, True
        return same

    def allows(self, path: str) -> bool:
        """Whether the path lies in an allowed folder, wherever its links lead."""
        try:
            return self._folder_with(self._place(path)) is not None
        except NotReadable:
            return False

    def folder_of(self, path: str) -> Path | None:
        """The folder to ask a person about for this path; None where no one may be asked about it."""
        try:
            place = self._place(path)
        except NotReadable:
            return None
        parent = place.parent
        is_own = any(place.is_relative_to(own) for own in self._own)
        # A person who is asked about home, or about a folder of keys, may say yes without meaning all of it. So
        # nobody is asked.
        return None if is_own or self._is_never(place) or is_broad(parent) else parent

    @contextmanager
    def opened(self, path: str) -> Generator[LocalFile]:
        """The file, open for reading.

        Raises:
            NotReadable: it is not in an allowed folder, or is none that is ever read, or is no file.
        """
        place = self._place(path)
        folder = self._folder_with(place)
        if folder is None:
            raise self._refusal(path, place)
        descriptor = _open(folder, place, path)
        about = os.fstat(descriptor)
        # Devices and pipes have no size and no end.
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise NotReadable(f"{_shown(path)} is not a file.", hint="Give the path of a file.")
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            _check(stream, about, path)
            # Names on POSIX disks are bytes of any kind, and nothing else takes what is no text.
            name = os.fsencode(place.name).decode("utf-8", "replace")
            yield LocalFile(stream, name, about.st_size, _identity(about), is_on_disk=True)

    def located(self, path: str) -> Path:
        """Where a file that may be read really is, for a program that opens it by its name.

        Raises:
            NotReadable: as `opened`.
        """
        with self.opened(path):
            return self._place(path)

    def _place(self, path: str) -> Path:
        # Two slashes name another machine on Windows, and asking it for the file already tells it the user's password
        # hash.
        if "\0" in path or path.startswith(("//", "\\\\")) or len(path) > _LONGEST_PATH:
            raise refusal(path)
        try:
            given = Path(path).expanduser() if path.startswith("~/") else Path(path)
            if given.is_absolute():
                return _resolved(given)
            # A relative path means one file only where there is one folder to begin from; the server's own current
            # folder is none that its user chose.
            if len(self._folders) == 1:
                return _resolved(self._folders[0] / given)
        except (OSError, RuntimeError, ValueError) as error:
            raise refusal(path) from error
        hint = "Give the whole path, or an https URL of the file."
        raise NotReadable(f"{_shown(path)} is not an absolute path.", hint=hint)

    def _folder_with(self, place: Path) -> Path | None:
        """The allowed folder that a resolved path may be read in."""
        if self._is_never(place):
            return None
        folders = (folder for folder in self._folders if _is_below(place, folder))
        return next((folder for folder in folders if not self._is_own(place, folder)), None)

    def _is_own(self, place: Path, folder: Path) -> bool:
        # Where somebody allowed a folder inside the server's own, such as the output folder, it was meant.
        return any(place.is_relative_to(own) and not folder.is_relative_to(own) for own in self._own)

    def _is_never(self, place: Path) -> bool:
        # On Windows a colon names a hidden stream of a file.
        return is_forbidden(place) or self._is_a_key(place.name) or (os.name == "nt" and ":" in place.name)

    def _is_a_key(self, name: str) -> bool:
        return is_secret_name(name) and not (self._takes_values and may_hold_a_value(name))

    def _refusal(self, path: str, place: Path) -> NotReadable:
        """What allows its folder; for a key in an allowed folder, that it is one. It need not exist."""
        refused = refusal(path)
        if self._is_a_key(place.name) and any(_is_below(place, folder) for folder in self._folders):
            # Said only of names inside an allowed folder, and whether or not the file exists: elsewhere it would tell
            # a prober what there is.
            refused.hint = "Its name is one that keys and passwords have, and such files are never read. " + _ANYWHERE
        return refused


def refusal(path: str) -> NotReadable:
    """The one answer for everything that may not be read, whether it exists or not."""
    return NotReadable(
        f"{_shown(path)} may not be read by this server.",
        hint="The server's --allow-dir names the folders that may be; dotfiles and keys never are. "
        f'To allow one, add to the server\'s "args" where it is configured: {_args_line(path)}. {_ANYWHERE}',
    )


def escaped(folder: Path, longest: int = _LONGEST_SHOWN) -> str:
    """A path as a person should see it in a question: nothing in it breaks the line or hides, and its end is there."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(folder))
    # Both ends: the beginning says where, and the end is the folder that is asked about.
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def _args_line(path: str) -> str:
    parent = os.path.dirname(path)
    plain = path.isprintable() and parent.count("/") >= 2 and "/." not in path and len(parent) < 200
    folder = parent if plain else "/path/to/your/pictures"
    return f'"--allow-dir", "{folder}"'


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_below(place: Path, folder: Path) -> bool:
    if not place.is_relative_to(folder) or place == folder:
        return False
    # Hidden folders hold settings and keys (`.ssh`, `.aws`, `.git`), and allowing the folder around them was not
    # about those.
    return not any(part.startswith(".") for part in place.relative_to(folder).parts)


def _open(folder: Path, place: Path, path: str) -> int:
    try:
        return _walked(folder, place.relative_to(folder).parts) if _CAN_WALK else _opened_by_name(place)
    except FileNotFoundError as error:
        raise NotReadable(f"There is no file {_shown(path)}.", hint="Check the path.") from error
    except (OSError, ValueError) as error:
        raise NotReadable(f"{_shown(path)} cannot be opened.", hint="Check that it is a file you may read.") from error


def _walked(folder: Path, parts: tuple[str, ...]) -> int:
    """The last of `parts`, opened from folder to folder: one that became a link since it was resolved leads nowhere."""
    here = os.open(folder, _FLAGS | os.O_DIRECTORY)
    for number, part in enumerate(parts, 1):
        is_last = number == len(parts)
        try:
            following = os.open(part, _FLAGS | (0 if is_last else os.O_DIRECTORY), dir_fd=here)
        finally:
            os.close(here)
        here = following
    return here


def _opened_by_name(place: Path) -> int:
    """Where folders cannot be opened: the file by its name, and its name looked up once more."""
    descriptor = os.open(place, _FLAGS | getattr(os, "O_BINARY", 0))
    about, now = os.fstat(descriptor), os.stat(place, follow_symlinks=False)
    if (now.st_dev, now.st_ino) != (about.st_dev, about.st_ino) or _resolved(place) != place:
        os.close(descriptor)
        raise OSError("It is another file now.")
    return descriptor


def _check(stream: BinaryIO, about: os.stat_result, path: str) -> None:
    if about.st_size == 0:
        raise NotReadable(f"{_shown(path)} is empty.", hint="Give a file with something in it.")
    try:
        # Of the file that is open, after every check of its name: keys are also kept under harmless names.
        head = stream.read(LOOKED_AT) or b""
        stream.seek(0)
    except OSError as error:
        raise NotReadable(f"{_shown(path)} cannot be read.", hint="Check the disk it is on.") from error
    if holds_a_key(head):
        raise refusal(path)


def _identity(about: os.stat_result) -> str:
    # A file that was uploaded is not sent again while this is the same. The time of change is in nanoseconds, as an
    # editor saves more than once a second.
    return f"{about.st_dev}:{about.st_ino}:{about.st_size}:{about.st_mtime_ns}"


def _shown(path: str) -> str:
    return repr(cut(one_line(path, 200), 200))
