"""Which files of this machine may be read, and the reading of them. Knows nothing of fal.

A path is resolved, checked, opened, and checked again on what was opened, so that a link put there in between leads
nowhere. What is refused is refused in the same words whether it exists or not.
"""

import fnmatch
import os
import re
import stat
import urllib.parse
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fal_mcp.errors import NotReadable
from fal_mcp.text import one_line

_SECRET = (
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore"),
    *(
        "*.kdbx",
        "*.ppk",
        "credentials*",
        "secrets.*",
        "*.env",
        "auth0_token",
        "known_hosts",
        "authorized_keys",
        "shadow",
    ),
)
_NEVER = ("/proc", "/sys", "/dev", "/run", "/etc")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An open file that may be read. `identity` changes when the file does."""

    stream: BinaryIO
    name: str
    size: int
    identity: str


def path_in(value: str) -> str | None:
    """The path that a value of a file argument stands for; None where it is a URL of some other kind.

    `file:` URLs, POSIX and Windows paths, percent-encoded and not.
    """
    text = value.strip()
    if text.casefold().startswith("file:"):
        parts = urllib.parse.urlsplit(text)
        place = urllib.parse.unquote(parts.path, errors="surrogateescape")
        host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
        return host + (place[1:] if _DRIVE.match(place[1:]) else place)
    if _DRIVE.match(text):
        return text
    return None if _SCHEME.match(text) or not text else text


class Readable:
    """The folders that may be read; a person may add to them while the server runs."""

    def __init__(self, folders: Iterable[Path] = (), *, may_ask: bool = False) -> None:
        self._folders = [_resolved(folder) for folder in folders]
        self.may_ask = may_ask

    @property
    def folders(self) -> list[Path]:
        return list(self._folders)

    def add(self, folder: Path) -> None:
        """Allow one more folder."""
        if (resolved := _resolved(folder)) not in self._folders:
            self._folders.append(resolved)

    def allows(self, path: str) -> bool:
        """Whether the path lies in an allowed folder, wherever its links lead."""
        try:
            return self._is_inside(self._place(path))
        except NotReadable:
            return False

    def folder_of(self, path: str) -> Path | None:
        """The folder to ask a person about for this path; None where no one may be asked about it."""
        try:
            place = self._place(path)
        except NotReadable:
            return None
        parent = place.parent
        return None if _is_never(place) or parent in (Path.home(), Path(parent.anchor)) else parent

    @contextmanager
    def opened(self, path: str) -> Generator[LocalFile]:
        """The file, open for reading.

        Raises:
            NotReadable: it is not in an allowed folder, or is none that is ever read, or is no file.
        """
        place = self._place(path)
        if not self._is_inside(place):
            raise refusal(path)
        descriptor = _open(place, path)
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise NotReadable(f"{_shown(path)} is not a file.", hint="Give the path of a file.")
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if not self._is_inside(_really(descriptor, place, about)):
                raise refusal(path)
            if about.st_size == 0:
                raise NotReadable(f"{_shown(path)} is empty.", hint="Give a file with something in it.")
            identity = f"{about.st_dev}:{about.st_ino}:{about.st_size}:{about.st_mtime_ns}"
            yield LocalFile(stream, place.name, about.st_size, identity)

    def located(self, path: str) -> Path:
        """Where a file that may be read really is, for a program that opens it by its name.

        Raises:
            NotReadable: as `opened`.
        """
        with self.opened(path):
            return self._place(path)

    def _place(self, path: str) -> Path:
        if "\0" in path or path.startswith(("//", "\\\\")) or len(path) > 4096:
            raise refusal(path)
        given = Path(path).expanduser() if path.startswith("~/") else Path(path)
        if not given.is_absolute() and len(self._folders) != 1:
            raise NotReadable(
                f"{_shown(path)} is not an absolute path.", hint="Give the whole path, or an https URL of the file."
            )
        try:
            return _resolved(given if given.is_absolute() else self._folders[0] / given)
        except (OSError, RuntimeError, ValueError) as error:
            raise refusal(path) from error

    def _is_inside(self, place: Path) -> bool:
        return not _is_never(place) and any(_is_below(place, folder) for folder in self._folders)


def refusal(path: str) -> NotReadable:
    """The one answer for everything that may not be read, whether it exists or not."""
    return NotReadable(
        f"{_shown(path)} may not be read by this server.",
        hint="The server's --allow-dir names the folders that may be; dotfiles and keys never are. An https URL of the "
        "file works everywhere.",
    )


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_below(place: Path, folder: Path) -> bool:
    if not place.is_relative_to(folder) or place == folder:
        return False
    return not any(part.startswith(".") for part in place.relative_to(folder).parts)


def _is_never(place: Path) -> bool:
    text, name = str(place), place.name.casefold()
    if any(text == root or text.startswith(f"{root}/") for root in _NEVER):
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _SECRET)


def _open(place: Path, path: str) -> int:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(place, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise NotReadable(f"There is no file {_shown(path)}.", hint="Check the path.") from error
    except OSError as error:
        raise NotReadable(f"{_shown(path)} cannot be opened.", hint="Check that it is a file you may read.") from error


def _really(descriptor: int, place: Path, about: os.stat_result) -> Path:
    """Where the open file is by now: its folder may have become a link between the check and the opening."""
    link = f"/proc/self/fd/{descriptor}"
    if os.path.exists(link):
        return Path(os.readlink(link))
    now = os.stat(place, follow_symlinks=False)
    if (now.st_dev, now.st_ino) != (about.st_dev, about.st_ino):
        raise refusal(str(place))
    return _resolved(place)


def _shown(path: str) -> str:
    return repr(one_line(path, 200))
