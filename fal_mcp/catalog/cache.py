"""fal's catalog as it was last fetched, on disk: one SQLite file a revision, and a pointer to the newest.

A file is complete before the pointer names it, so that whoever reads never sees half of one; two processes that
refresh at once each write their own, and the later pointer wins. A document is a compressed blob that is opened when
its endpoint is first asked for: a start parses nothing.
"""

import json
import os
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fal_mcp.catalog.source import LARGEST_DOCUMENT, Item

_POINTER = "catalog.json"
_FORMAT = 1
_READS = 3
_FORGOTTEN = 24 * 3600.0


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


class Cache:
    """A catalog on disk, opened for reading; a `Source`."""

    def __init__(self, file: Path, revision: str, fetched_at: float) -> None:
        self.revision = revision
        self.fetched_at = fetched_at
        self._database = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        # Asked for at once, so that a damaged file is found here and not in the middle of a call.
        self.ids: list[str] = [row[0] for row in self._rows("SELECT id FROM model WHERE document != '' ORDER BY id")]

    @property
    def items(self) -> Mapping[str, Item]:
        return self._items

    @cached_property
    def _items(self) -> dict[str, Item]:
        return {name: json.loads(item) for name, item in self._rows("SELECT id, item FROM model")}

    def document(self, endpoint_id: str) -> bytes:
        """The document's JSON."""
        ((packed,),) = self._rows("SELECT document FROM model WHERE id = ?", endpoint_id)
        return _unpacked(packed)

    def entries(self) -> dict[str, Entry]:
        """Everything, for the next refresh to compare with."""
        rows = self._rows("SELECT id, item, document, digest FROM model")
        return {row[0]: Entry(row[0], row[1], _unpacked(row[2]) if row[2] else b"", row[3]) for row in rows}

    def pages(self) -> dict[str, Page]:
        """The pages it was fetched in, by cursor; the first one's is empty."""
        rows = self._rows("SELECT cursor, etag, ids, next FROM page")
        return {row[0]: Page(row[1], tuple(json.loads(row[2])), row[3]) for row in rows}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _rows(self, query: str, *values: str) -> list[Any]:
        with closing(self._database.execute(query, values)) as cursor:
            return cursor.fetchall()


def newest(folder: Path) -> Cache | None:
    """The newest catalog in `folder`; None where there is none, or what is there cannot be read."""
    for _ in range(_READS):
        try:
            pointer = json.loads((folder / _POINTER).read_bytes())
            if pointer["format"] != _FORMAT:
                return None
            return Cache(folder / Path(pointer["file"]).name, str(pointer["revision"]), float(pointer["fetched_at"]))
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error):
            # Another process may have put a newer one in its place between our two reads.
            continue
    return None


def write(folder: Path, entries: Iterable[Entry], pages: Mapping[str, Page], revision: str, fetched_at: float) -> None:
    """Make this the newest catalog in `folder`.

    Raises:
        OSError, sqlite3.Error: it could not be written; what was there is untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    unfinished, finished = folder / f"{mark}.part", folder / f"catalog-{revision}-{mark}.sqlite3"
    replaced = _pointed_at(folder)
    try:
        _fill(unfinished, entries, pages)
        os.replace(unfinished, finished)
        _point(folder, {"format": _FORMAT, "file": finished.name, "revision": revision, "fetched_at": fetched_at})
    finally:
        unfinished.unlink(missing_ok=True)
    forgotten = [file for file in folder.glob("catalog-*.sqlite3") if file.stat().st_mtime < fetched_at - _FORGOTTEN]
    for old in {*forgotten, *replaced} - {finished}:
        # A file in use cannot be removed everywhere; a later refresh will.
        with suppress(OSError):
            old.unlink()


def _pointed_at(folder: Path) -> list[Path]:
    try:
        return [folder / Path(json.loads((folder / _POINTER).read_bytes())["file"]).name]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _fill(file: Path, entries: Iterable[Entry], pages: Mapping[str, Page]) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE model (id TEXT PRIMARY KEY, item BLOB, document BLOB, digest TEXT)")
        database.execute("CREATE TABLE page (cursor TEXT PRIMARY KEY, etag TEXT, ids TEXT, next TEXT)")
        rows = ((e.endpoint_id, e.item, zlib.compress(e.document) if e.document else b"", e.digest) for e in entries)
        database.executemany("INSERT INTO model VALUES (?, ?, ?, ?)", rows)
        kept = [(cursor, page.etag, json.dumps(page.ids), page.next_cursor) for cursor, page in pages.items()]
        database.executemany("INSERT INTO page VALUES (?, ?, ?, ?)", kept)


def _point(folder: Path, content: Mapping[str, Any]) -> None:
    unfinished = folder / f"{secrets.token_hex(4)}.part"
    unfinished.write_text(json.dumps(content), "utf-8")
    os.replace(unfinished, folder / _POINTER)


def _unpacked(packed: bytes) -> bytes:
    opened = zlib.decompressobj()
    document = opened.decompress(packed, LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise ValueError(f"The document is larger than {LARGEST_DOCUMENT // 1024**2} MiB.")
    return document
