"""A host's configuration file: read as it is, shown before it is changed, kept beside itself, and written whole."""

import difflib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fal_mcp.install.refusal import NotInstalled

_LARGEST = 1024 * 1024
"""Bytes; one that has comments takes half a minute to read."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be written, and what stands there now."""

    file: Path
    before: str
    after: str

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to do."""
        return self.before == self.after

    def difference(self) -> str:
        """The lines that go and come, with two lines around them."""
        before, after = self.before.splitlines(), self.after.splitlines()
        lines = difflib.unified_diff(before, after, str(self.file), str(self.file), n=2, lineterm="")
        return "\n".join(lines)


def read(file: Path) -> str:
    """The file's text, line ends and byte order mark included; empty where there is none.

    Raises:
        NotInstalled: it cannot be read.
    """
    try:
        target = _target(file)
        if not target.exists():
            return ""
        if target.stat().st_size > _LARGEST:
            raise NotInstalled(f"{str(file)!r} is larger than {_LARGEST:,} bytes, so it is left alone.")
        return target.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotInstalled(f"{str(file)!r} is not UTF-8, so it is left alone.") from error
    except OSError as error:
        raise NotInstalled(f"{str(file)!r} cannot be read: {error.strerror or error}.") from error


def write(change: Change) -> Path | None:
    """Write it in one step, and keep what stood there; answers where, or None where nothing stood there.

    Raises:
        NotInstalled: it cannot be written; what stood there still does.
    """
    target = _target(change.file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not os.access(target, os.W_OK):
            raise NotInstalled(f"{str(change.file)!r} may not be written; nothing was changed.")
        # Hosts write their own settings while they run: what they wrote since it was read must not be lost.
        if read(change.file) != change.before:
            raise NotInstalled(f"{str(change.file)!r} was changed by another program just now; try again.")
        backup = _kept(target) if target.exists() else None
        _replaced(target, change.after.encode("utf-8"))
        return backup
    except OSError as error:
        raise NotInstalled(f"{str(change.file)!r} cannot be written: {error.strerror or error}.") from error


def copies(file: Path) -> Iterator[str]:
    """What stood there before each change, the newest first."""
    target = _target(file)
    names = [each.name for each in target.parent.iterdir() if each.name.startswith(f"{target.name}.")]
    for name in sorted(names, reverse=True):
        if name.endswith(".bak"):
            with suppress(NotInstalled):
                yield read(target.with_name(name))


def _target(file: Path) -> Path:
    # A link stays one, as people who keep their settings in a repository expect.
    target = Path(os.path.realpath(file))
    if target.is_symlink():
        raise NotInstalled(f"{str(file)!r} is a link that leads in a circle.")
    return target


def _kept(target: Path) -> Path:
    moment = time.strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        backup = target.with_name(f"{target.name}.{moment}{f'-{number}' if number else ''}.bak")
        with suppress(FileExistsError):
            # With the rights of the original from the start: it may hold keys of other servers.
            mode = stat.S_IMODE(target.stat().st_mode)
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(target.read_bytes())
            return backup
    raise NotInstalled(f"There is no free name for a copy of {str(target)!r}.")


def _replaced(target: Path, content: bytes) -> None:
    # As the old one; a new one is its owner's, as a key may be in it.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    # In the same folder, as only within one disk the renaming is one step.
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            # Before the renaming: after a power cut there is the old file or the new one, and none of zeros.
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
