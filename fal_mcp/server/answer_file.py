"""What this server answered to a host's first questions, kept for the next start with the same settings.

Standard library only. One file for each set of settings: its first line says what it was made by, the second which
catalog, and each further one is a question and the answer's JSON. A file that was made by other code is not used; of
one that was made from another catalog, the list of tools is not.
"""

import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

LISTS = "tools/list"
"""The question whose answer depends on the catalog."""
_FORMAT = "1"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SECRET = ("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "FAL_ADMIN_KEY")
_MOST_FILES = 30
_SDK = ("mcp-", "mcp_types-")


@dataclass(frozen=True, slots=True)
class Kept:
    """The answers, by question; and what they were made by and from."""

    file: str
    made_by: str
    cache: str
    models: str
    catalog: str
    answers: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def now(self) -> "Kept":
        """The same settings with the catalog that is on the disk now, and no answers yet."""
        return replace(self, catalog=repr(_catalog(self.cache, self.models)), answers={})

    def read(self) -> "Kept":
        """With the answers that the file has for this code and this catalog."""
        try:
            with open(self.file, "rb") as file:
                made_by, catalog, *lines = file.read().split(b"\n")
        except (OSError, ValueError):
            return self
        # An update must not be answered for by the version before it.
        if made_by != self.made_by.encode():
            return self
        pairs = (line.partition(b"\t") for line in lines)
        answers = {question.decode(): answer for question, _, answer in pairs if answer}
        # Only lists depend on it: a handshake says the same with any catalog, and it is the handshake that hosts have
        # no patience with.
        if catalog != self.catalog.encode():
            answers = {question: answer for question, answer in answers.items() if not question.startswith(LISTS)}
        return replace(self, answers=answers)

    def write(self) -> None:
        """Make the file, or put it in the place of another.

        Raises:
            OSError: it could not be written; what was there is untouched.
        """
        folder = os.path.dirname(self.file)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        lines = [self.made_by.encode(), self.catalog.encode()]
        lines += [f"{question}\t".encode() + answer for question, answer in self.answers.items()]
        # Two servers of the same settings may write at once; each its own, and the last one stays.
        unfinished = f"{self.file}.{os.getpid()}.part"
        try:
            with open(unfinished, "wb") as file:
                file.write(b"\n".join(lines))
            os.replace(unfinished, self.file)
        except OSError:
            _remove(unfinished)
            raise
        _forget_the_oldest(folder)


def kept_for(arguments: Sequence[str], environment: Mapping[str, str]) -> Kept:
    """Where the answers for these settings are kept, by which code they would be made, and from which catalog.

    Settings are compared as they were given, so that none needs to be understood here.
    """
    cache = cache_folder(environment)
    models = _models(arguments, environment)
    named = sorted(name for name in environment if name.startswith("FAL_"))
    # Of keys only that there is one: the file's name must not be a digest that a key could be guessed by.
    given = [f"{name}={name in _SECRET or environment[name]}" for name in named if environment[name]]
    settings = repr([*arguments, *given, models])
    # A checksum and no hash: `hashlib` takes its time to be imported, and the settings are compared in full inside.
    file = f"{zlib.crc32(settings.encode('utf-8', 'replace')):08x}.answers"
    made_by = repr([_FORMAT, settings, sys.version, _sdk(), _code()])
    return Kept(os.path.join(cache, "first-answers", file), made_by, cache, models, repr(_catalog(cache, models)))


def cache_folder(environment: Mapping[str, str]) -> str:
    """What `platformdirs` says without the time it takes to be imported."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return os.path.join(
            environment.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"), "fal-mcp", "Cache"
        )
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Caches", "fal-mcp")
    return os.path.join(environment.get("XDG_CACHE_HOME", "").strip() or os.path.join(home, ".cache"), "fal-mcp")


def _models(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The folder of model documents that the settings name, if they do."""
    models = environment.get("FAL_MCP_MODELS", "")
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--models":
            models = following
        elif argument.startswith("--models="):
            models = argument.partition("=")[2]
    return os.path.abspath(models) if models else ""


def _catalog(cache: str, models: str) -> list[str]:
    """What changes when the catalog does: the pointers to the newest ones, or the names and times of documents."""
    if models:
        return sorted(f"{entry.name} {entry.stat().st_mtime_ns}" for entry in _entries(models))
    folders = sorted(entry.path for entry in _entries(cache) if entry.name.startswith("catalog"))
    # Only the pointers: looking through thousands of documents would take the time that is to be saved.
    return [_text_of(os.path.join(folder, "catalog.json")) for folder in folders]


def _code() -> list[str]:
    """Every module of the package with its time and size: a checkout changes without a new version."""
    modules: list[str] = []
    folders = [_PACKAGE]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.name.endswith(".py"):
                status = entry.stat()
                modules.append(f"{entry.path} {status.st_mtime_ns} {status.st_size}")
            elif entry.is_dir() and not entry.name.startswith(("_", "emulator")):
                folders.append(entry.path)
    return [f"{zlib.crc32('|'.join(sorted(modules)).encode()):08x}"]


def _sdk() -> list[str]:
    """The SDK's folders of metadata, whose names say its version."""
    for folder in sys.path:
        if os.path.isdir(os.path.join(folder, "mcp")):
            return sorted(entry.path for entry in _entries(folder) if entry.name.startswith(_SDK))
    return []


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _text_of(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read()
    except OSError:
        return ""


def _forget_the_oldest(folder: str) -> None:
    try:
        files = sorted(_entries(folder), key=lambda entry: entry.stat().st_mtime, reverse=True)
    except OSError:
        return
    for old in files[_MOST_FILES:]:
        _remove(old.path)


def _remove(file: str) -> None:
    try:
        os.unlink(file)
    except OSError:
        return
