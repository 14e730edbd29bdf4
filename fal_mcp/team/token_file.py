"""The file of tokens: each one's name, scopes and budget, and its digest. The tokens themselves are nowhere.

Random tokens of 256 bits need no slow hash: there is nothing to guess. The file is written as a whole and read again
where it changed, so that a token that was revoked opens nothing a moment later.
"""

import hashlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fal_mcp.errors import NotFound, NotReadable, RequestRejected
from fal_mcp.json_values import JsonObject, NotJson, list_of, number_of, object_of, parsed, text_of
from fal_mcp.team.principal import Principal
from fal_mcp.team.refusal import invalid
from fal_mcp.team.scopes import SCOPES, held

PREFIX = "falmcp_"
ISSUER = "token file"
_LARGEST = 4 * 1024 * 1024
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One token. `created` is in seconds since 1970, `expires` too; `daily_budget` in USD."""

    name: str
    digest: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None
    daily_budget: float | None = None

    @property
    def principal(self) -> Principal:
        # By the name and not by the digest: a token that is made anew for the same name finds the same jobs.
        return Principal(ISSUER, self.name, "token", self.name, held(self.scopes), self.daily_budget)


class TokenFile:
    """The tokens in `path`; none where there is no such file yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], dict[str, Entry]] | None = None

    def entries(self) -> list[Entry]:
        """All tokens, in the order in which they were made.

        Raises:
            NotReadable: the file is none of this kind. A token that cannot be read is no reason to let anybody in.
        """
        return list(self._entries().values())

    def principal_of(self, token: str) -> Principal:
        """Whose token it is.

        Raises:
            NotLetIn: nobody's, or no longer.
            NotReadable: the file cannot be read.
        """
        # Looked up by the digest: how long that takes says nothing about any token.
        entry = self._entries().get(digest_of(token))
        if entry is None or (entry.expires is not None and entry.expires <= time.time()):
            raise invalid()
        return entry.principal

    def create(
        self, name: str, scopes: tuple[str, ...], daily_budget: float | None = None, expires: float | None = None
    ) -> str:
        """Make a token and keep its digest; the token, which is told this once.

        Raises:
            RequestRejected: the name is taken or none, or a scope is unknown.
            NotReadable: the file cannot be read or written.
        """
        entries = self.entries()
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise RequestRejected(f"{name[:60]!r} is no name of 1 to {_LONGEST_NAME} printable characters.")
        if any(entry.name == name for entry in entries):
            raise RequestRejected(
                f"There is a token {name!r} already.", hint="Revoke it first, or choose another name."
            )
        if strangers := [scope for scope in scopes if scope not in SCOPES]:
            raise RequestRejected(f"{strangers[0]!r} is no scope; there are {', '.join(SCOPES)}.", hint="")
        token = f"{PREFIX}{secrets.token_urlsafe(32)}"
        self._write([*entries, Entry(name, digest_of(token), scopes, time.time(), expires, daily_budget)])
        return token

    def revoke(self, name: str) -> None:
        """Forget a token; from the next request on it opens nothing.

        Raises:
            NotFound: there is none of that name.
            NotReadable: the file cannot be read or written.
        """
        entries = self.entries()
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            raise NotFound(f"There is no token {name[:60]!r}.", hint="fal-mcp token list shows the tokens there are.")
        self._write(left)

    def _entries(self) -> dict[str, Entry]:
        try:
            status = self._path.stat()
            # With the file's own number: it is replaced as a whole, perhaps twice within one tick of the clock.
            mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._read is None or self._read[0] != mark:
                self._read = mark, _parsed(self._path)
        except FileNotFoundError:
            self._read = None
            return {}
        except (OSError, UnicodeError, NotJson) as error:
            self._read = None
            raise NotReadable(f"The file of tokens {str(self._path)!r} cannot be read.", hint="") from error
        return self._read[1]

    def _write(self, entries: list[Entry]) -> None:
        text = json.dumps({"tokens": [asdict(entry) for entry in entries]}, indent=1)
        unfinished = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
            unfinished.replace(self._path)
        except OSError as error:
            raise NotReadable(f"The file of tokens {str(self._path)!r} cannot be written.", hint="") from error


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path) -> dict[str, Entry]:
    with path.open("rb") as stream:
        whole = object_of(parsed(stream.read(_LARGEST)))
    if not isinstance(whole.get("tokens"), list):
        raise NotJson
    entries = [_entry(object_of(item)) for item in list_of(whole["tokens"])]
    return {entry.digest: entry for entry in entries}


def _entry(item: JsonObject) -> Entry:
    name, digest = text_of(item.get("name")), text_of(item.get("digest"))
    if not name or not digest:
        raise NotJson
    scopes = tuple(scope for scope in list_of(item.get("scopes")) if isinstance(scope, str))
    budget, expires = item.get("daily_budget"), item.get("expires")
    # A limit that cannot be read must not become none.
    if any(value is not None and number_of(value) is None for value in (budget, expires)):
        raise NotJson
    return Entry(name, digest, scopes, number_of(item.get("created")) or 0.0, number_of(expires), number_of(budget))
