"""fal's catalog as it was last fetched, on disk: one SQLite file a revision, and a pointer to the newest.

A file is complete before the pointer names it, so that whoever reads never sees half of one; two processes that
refresh at once each write their own, and the later pointer wins. A document is a compressed blob that is opened when
its endpoint is first asked for: a start parses nothing.
"""

import hashlib
import json
import logging
import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fal_mcp.catalog.source import LARGEST_DOCUMENT, Item, Items
from fal_mcp.json_values import JsonMapping, number_of, object_of, parsed

_POINTER = "catalog.json"
_FORMAT = 1
_READS = 3
_FORGOTTEN = 24 * 3600.0
_CLOCKS_APART = 300.0
"""Seconds by which two clocks may differ: a catalog fetched later than that after now is from a clock put back."""

logger = logging.getLogger("fal_mcp")


class Damaged(OSError):
    """The catalog on this disk cannot be read, or not this part of it. It is fetched anew at the next refresh."""


@contextmanager
def _translated() -> Generator[None]:
    """The one door of this module's libraries: what SQLite and zlib raise becomes `Damaged`."""
    try:
        yield
    except (sqlite3.Error, zlib.error) as error:
        raise Damaged(f"the catalog kept on this disk is damaged here ({error})") from error


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of fal's catalog as it is kept: its item and document in canonical JSON, and a digest of both.

    `document` is empty where fal could not produce one.
    """

    endpoint_id: str
    item: bytes
    document: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of the catalog held, so that fal may answer "not modified" for it."""

    etag: str
    ids: tuple[str, ...]
    next_cursor: str | None


def entry(endpoint_id: str, item: bytes, document: bytes) -> Entry:
    """An entry with its digest, of the canonical form, keys sorted: fal changes their order from day to day."""
    return Entry(endpoint_id, item, document, hashlib.sha256(item + b"\0" + document).hexdigest()[:16])


def revision_of(entries: Iterable[Entry]) -> str:
    """What changes when any entry does. Not with their order: a revision that changed for it would have every host
    read its list again."""
    digests = sorted(f"{each.endpoint_id} {each.digest}" for each in entries)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:12]


class Cache:
    """A catalog on disk, opened for reading; a `Source`."""

    def __init__(self, file: Path, revision: str, fetched_at: float) -> None:
        self.revision = revision
        self.fetched_at = fetched_at
        with _translated():
            # Immutable: no lock is taken and no journal looked for, which a read-only disk or another process would
            # stumble over. It is true, as a file is never changed once the pointer names it.
            address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
            self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
        # Asked for at once, so that a damaged file is found here and not in the middle of a call: a millisecond.
        try:
            ((sound,), *_) = self._rows("PRAGMA quick_check(1)")
            if sound != "ok":
                raise Damaged(f"the catalog kept on this disk is damaged ({sound})")
            # A model whose document fal could not produce is kept for its item and its digest, and gives no tool.
            names = self._rows("SELECT id FROM model WHERE document != '' ORDER BY id")
            self.ids: list[str] = [row[0] for row in names if isinstance(row[0], str)]
        except OSError:
            self.close()
            raise

    def __del__(self) -> None:
        # A catalog that a newer one has taken the place of is closed when the last call that used it ends.
        if "_database" in self.__dict__:
            self.close()

    @property
    def items(self) -> Mapping[str, Item]:
        return self._items

    @cached_property
    def _items(self) -> Items:
        try:
            rows = self._rows("SELECT id, item FROM model")
        except Damaged as error:
            # What a model takes is in its document; without its item it has no title and no price.
            logger.warning("fal's catalog is used without titles and prices: %s.", error)
            return Items({})
        return Items({name: _bytes(item) for name, item in rows})

    def document(self, endpoint_id: str) -> bytes:
        """The document's JSON."""
        rows = self._rows("SELECT document FROM model WHERE id = ?", endpoint_id)
        if not rows:
            raise Damaged("the catalog kept on this disk has lost it")
        return _unpacked(rows[0][0])

    def entries(self) -> dict[str, Entry]:
        """Everything, for the next refresh to compare with."""
        rows = self._rows("SELECT id, item, document, digest FROM model")
        return {row[0]: Entry(row[0], row[1], _unpacked(row[2]) if row[2] else b"", row[3]) for row in rows}

    def pages(self) -> dict[str, Page]:
        """The pages it was fetched in, by cursor; the first one's is empty."""
        rows = self._rows("SELECT cursor, etag, ids, next FROM page")
        return {row[0]: Page(row[1], tuple(parsed(row[2])), row[3]) for row in rows}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _rows(self, query: str, *values: str) -> list[Any]:
        with _translated(), closing(self._database.execute(query, values)) as cursor:
            return cursor.fetchall()


def newest(folder: Path) -> Cache | None:
    """The newest catalog in `folder`; None where there is none, or what is there cannot be read, which is logged."""
    trouble = ""
    for _ in range(_READS):
        try:
            pointer = object_of(parsed((folder / _POINTER).read_bytes()))
            if pointer.get("format") != _FORMAT:
                return None
            # Only the name: a pointer that was tampered with leads to no other folder.
            name = Path(str(pointer["file"])).name
            return Cache(folder / name, str(pointer["revision"]), _fetched_at(pointer.get("fetched_at")))
        except FileNotFoundError as error:
            # No pointer is no catalog yet, which is no trouble. Any other file that is missing was just replaced.
            if error.filename == str(folder / _POINTER):
                return None
            trouble = str(error)
        except (OSError, ValueError, KeyError) as error:
            # Another process may have put a newer one in its place between our two reads.
            trouble = str(error)
    logger.warning("fal's catalog in %s cannot be read and is done without: %s.", folder, trouble.rstrip("."))
    return None


def _fetched_at(value: object) -> float:
    """Seconds since 1970; 0, and so long ago, where it is no time or one to come."""
    known = number_of(value)
    return known if known is not None and 0 <= known <= time.time() + _CLOCKS_APART else 0.0


def _bytes(content: object) -> bytes:
    """What SQLite has in a column for bytes: in a damaged file that may be anything."""
    match content:
        case bytes():
            return content
        case str():
            return content.encode()
        case _:
            return b""


def write(folder: Path, entries: Iterable[Entry], pages: Mapping[str, Page], revision: str, fetched_at: float) -> None:
    """Make this the newest catalog in `folder`.

    Raises:
        OSError: it could not be written; what was there is untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    # The mark keeps apart two processes that refresh to the same revision at once.
    unfinished, finished = folder / f"{mark}.part", folder / f"catalog-{revision}-{mark}.sqlite3"
    replaced = _pointed_at(folder)
    try:
        _fill(unfinished, entries, pages)
        os.replace(unfinished, finished)
        _point(folder, {"format": _FORMAT, "file": finished.name, "revision": revision, "fetched_at": fetched_at})
    finally:
        unfinished.unlink(missing_ok=True)
    for old in {*folder.glob("catalog-*.sqlite3"), *folder.glob("*.part")} - {finished}:
        # A file in use cannot be removed everywhere, and another's refresh may be at work: a later refresh will.
        with suppress(OSError):
            if old in replaced or old.stat().st_mtime < fetched_at - _FORGOTTEN:
                old.unlink()


def _pointed_at(folder: Path) -> list[Path]:
    try:
        return [folder / Path(str(object_of(parsed((folder / _POINTER).read_bytes()))["file"])).name]
    except (OSError, ValueError, KeyError):
        return []


def _fill(file: Path, entries: Iterable[Entry], pages: Mapping[str, Page]) -> None:
    with _writing(file), closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE model (id TEXT PRIMARY KEY, item BLOB, document BLOB, digest TEXT)")
        database.execute("CREATE TABLE page (cursor TEXT PRIMARY KEY, etag TEXT, ids TEXT, next TEXT)")
        # Each document is compressed by itself, so that one can be opened without the others.
        rows = ((e.endpoint_id, e.item, zlib.compress(e.document) if e.document else b"", e.digest) for e in entries)
        database.executemany("INSERT INTO model VALUES (?, ?, ?, ?)", rows)
        rows_of_pages = [(cursor, page.etag, json.dumps(page.ids), page.next_cursor) for cursor, page in pages.items()]
        database.executemany("INSERT INTO page VALUES (?, ?, ?, ?)", rows_of_pages)


@contextmanager
def _writing(file: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"fal's catalog cannot be written to {file.parent}: {error}") from error


def _point(folder: Path, content: JsonMapping) -> None:
    unfinished = folder / f"{secrets.token_hex(4)}.part"
    try:
        unfinished.write_text(json.dumps(content), "utf-8")
        os.replace(unfinished, folder / _POINTER)
    finally:
        unfinished.unlink(missing_ok=True)


def _unpacked(packed: bytes) -> bytes:
    with _translated():
        # One byte more than is allowed, so that a small file cannot swell to fill the memory, and its being too large
        # still shows.
        document = zlib.decompressobj().decompress(packed, LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise ValueError(f"The document is larger than {LARGEST_DOCUMENT // 1024**2} MiB.")
    return document
