"""Which folders hold too much to be readable without having been named: home, what is above it, the system's own.

A folder is told by what it is on the disk, not by how it is written: links, `..`, bind mounts and, where the disk makes
no difference, capitals lead to the same folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

SYSTEM = (
    *("/", "/home", "/root", "/usr", "/usr/local", "/usr/share", "/opt", "/srv", "/mnt", "/media", "/var", "/tmp"),
    *("/var/tmp", "/var/lib", "/private", "/private/tmp", "/private/var", "/Users", "/Volumes", "/Library", "/System"),
    *("/Applications", "/run/media", "/data", "/Network", "/snap", "/lost+found", "/workspaces"),
    *("C:\\", "C:\\Users", "C:\\ProgramData", "C:\\Program Files", "C:\\Program Files (x86)"),
)
"""Folders that are never a default nor asked about; what lies in them may be."""
FORBIDDEN = (
    *("/proc", "/sys", "/dev", "/run", "/etc", "/boot", "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin"),
    *("/usr/lib", "/var/run", "/var/lib", "/var/log", "/var/spool", "/private/etc", "/private/var/db", "/System"),
    *("C:\\Windows", "/mnt/c/Windows"),
)
"""Trees of which nothing is ever read, whatever was named."""
_REMOVABLE = "/run/media"
"""Where Linux puts what is plugged in: below a forbidden tree, and people's own."""


def is_broad(folder: Path) -> bool:
    """Whether a folder holds so much that nobody can mean all of it, or is a place for what is hidden."""
    try:
        place = Path(os.path.realpath(folder))
    except (OSError, ValueError):
        return True
    if place == Path(place.anchor) or is_forbidden(place):
        return True
    return any(part.startswith(".") for part in place.parts) or _identity(place) in set(_identities())


def is_forbidden(place: Path) -> bool:
    """Whether a resolved path lies where nothing is ever read."""
    text = str(place).casefold()
    if _is_at_or_below(text, _REMOVABLE) and text != _REMOVABLE:
        return False
    return any(_is_at_or_below(text, tree.casefold()) for tree in FORBIDDEN)


def default_folders() -> tuple[Path, ...]:
    """The current folder, unless it is broad or was deleted under us."""
    try:
        here = Path.cwd()
    except OSError:
        return ()
    return () if is_broad(here) else (here,)


def _identities() -> Iterator[tuple[int, int] | str]:
    for home in _homes():
        for folder in (home, *home.parents):
            yield _identity(folder)
    yield from map(_identity, map(Path, SYSTEM))


def _homes() -> Iterator[Path]:
    """Home as the environment has it and as the system has it, each as it is written and as it is resolved."""
    for name in ("~", f"~{_user()}"):
        written = os.path.expanduser(name)
        if os.path.isabs(written):
            yield Path(written)
            yield Path(os.path.realpath(written))


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return ""


def _identity(folder: Path) -> tuple[int, int] | str:
    try:
        about = os.stat(folder)
    except (OSError, ValueError):
        return str(folder)
    return (about.st_dev, about.st_ino) if about.st_ino else str(folder).casefold()


def _is_at_or_below(text: str, tree: str) -> bool:
    return text == tree or text.startswith((f"{tree}/", f"{tree}\\"))
