"""Where `fal-mcp login` keeps the key: the system's keychain where there is one, else a file only its owner can read.

Which of the two is written down, so that a start without a keychain never looks for one.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from fal_mcp.errors import NotReadable, NotWritable
from fal_mcp.json_values import JsonObject, object_of, parsed, text_of

_SERVICE, _USER = "fal-mcp", "FAL_KEY"
_FILE = "key.json"
_MOST = 16_384


class Keychain(Protocol):
    """What is asked of a keychain; `keyring` is one."""

    def get_password(self, service: str, user: str) -> str | None: ...
    def set_password(self, service: str, user: str, password: str) -> None: ...
    def delete_password(self, service: str, user: str) -> None: ...


class KeyStore:
    """The stored key. `keychain` is None where the system has none."""

    def __init__(self, folder: Path, keychain: Keychain | None = None) -> None:
        self.file = folder / _FILE
        self._keychain = keychain

    def key(self) -> str | None:
        """The key; None where none is stored.

        Raises:
            NotReadable: one is, and cannot be read.
        """
        entry = self._entry()
        if entry is None:
            return None
        if key := text_of(entry.get("key")):
            return key
        # Only now: looking for a keychain loads its library and may wake a daemon, or show a person a window.
        keychain = self._keychain or system_keychain()
        if keychain is None:
            raise NotReadable(
                "The key is in the system's keychain, which cannot be reached from here.",
                hint="pip install 'fal-mcp[keychain]', or set FAL_KEY.",
            )
        try:
            return keychain.get_password(_SERVICE, _USER)
        except Exception as error:
            # Keychains raise whatever their system has.
            raise NotReadable(
                f"The system's keychain gave no key: {error}.", hint="Unlock it, or set FAL_KEY."
            ) from error

    def keep(self, key: str) -> str:
        """Store the key; where it is now, in words.

        Raises:
            NotWritable: neither the keychain nor the file takes it.
        """
        if self._keychain is not None:
            try:
                self._keychain.set_password(_SERVICE, _USER, key)
            except Exception:
                # A headless machine has a keychain that nobody can unlock; the file is next.
                self._write({"key": key})
                return f"the file {self.file}, which only you can read"
            # Said in the file, so that a start knows where to look without asking a keychain that may not be there.
            self._write({"in": "keychain"})
            return "the system's keychain"
        self._write({"key": key})
        return f"the file {self.file}, which only you can read"

    def forget(self) -> bool:
        """Forget the key; whether there was one.

        Raises:
            NotWritable: it cannot be removed.
        """
        entry = self._entry()
        if entry is None:
            return False
        if "key" not in entry and (keychain := self._keychain or system_keychain()) is not None:
            # It may be locked, or emptied by other means. What counts is that this program no longer looks for it.
            with suppress(Exception):
                keychain.delete_password(_SERVICE, _USER)
        try:
            self.file.unlink()
        except OSError as error:
            raise NotWritable(f"{str(self.file)!r} cannot be removed: {error.strerror}.", hint="Remove it.") from error
        return True

    def is_open_to_others(self) -> bool:
        """Whether others on this machine can read the file."""
        try:
            # The mode bits mean nothing on Windows, where a user's folder is closed to others by itself.
            return os.name != "nt" and bool(self.file.stat().st_mode & 0o077)
        except OSError:
            return False

    def _entry(self) -> JsonObject | None:
        try:
            with self.file.open("rb") as stream:
                entry: object = parsed(stream.read(_MOST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged"
            raise NotReadable(
                f"{str(self.file)!r} cannot be read: {reason}.", hint="fal-mcp login writes it anew."
            ) from None
        return object_of(entry) or None

    def _write(self, entry: dict[str, str]) -> None:
        # A whole new file takes the place of the old one: one that is cut short would be taken for damage, and the
        # old mode of the file would stay.
        unfinished = self.file.with_name(f".{_FILE}.{os.getpid()}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileNotFoundError):
                unfinished.unlink()
            # The mode is given when it is made. Set afterwards, there is a moment in which everybody may open it.
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(entry, stream)
            os.replace(unfinished, self.file)
        except OSError as error:
            raise NotWritable(
                f"{str(self.file)!r} cannot be written: {error.strerror}.", hint="Set FAL_KEY."
            ) from error


def system_keychain() -> Keychain | None:
    """The system's keychain; None where `keyring` is not installed or has nothing to keep keys in."""
    try:
        import keyring  # pyright: ignore[reportMissingImports]
        from keyring.backends import fail  # pyright: ignore
    except ImportError:
        return None
    found: object = keyring.get_keyring()  # pyright: ignore
    # What `keyring` answers with where the system has none: it refuses every call.
    return None if isinstance(found, fail.Keyring) else found  # pyright: ignore
