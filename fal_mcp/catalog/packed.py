"""A whole catalog as one text, for servers that share a store and no disk: a quarter of what its files take.

Whoever takes it checks it: every digest is made anew, and together they must give the revision that it says it is.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from fal_mcp.catalog import cache
from fal_mcp.catalog.cache import Cache, Entry, Page
from fal_mcp.json_values import NotJson, dumped, list_of, object_of, parsed, text_of

_LARGEST = 256 * 1024 * 1024
_MOST_ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A catalog as it came."""

    entries: list[Entry]
    pages: dict[str, Page]
    revision: str


def pack(catalog: Cache) -> str:
    """The catalog as a text, in Base64."""
    packer = zlib.compressobj()
    parts = [packer.compress(line.encode() + b"\n") for line in _lines(catalog)]
    return base64.b64encode(b"".join([*parts, packer.flush()])).decode()


def unpack(text: str, revision: str) -> Unpacked:
    """The catalog in such a text.

    Raises:
        ValueError: it is none, or another than the one of this revision.
    """
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
        first, *rest = content.split(b"\n")
        pages = {cursor: _page(one) for cursor, one in object_of(parsed(first)).items()}
        if len(rest) > _MOST_ENTRIES:
            raise ValueError(f"It has more than {_MOST_ENTRIES} models.")
        entries = [_entry(line) for line in rest if line]
    except (zlib.error, binascii.Error, NotJson) as error:
        raise ValueError(f"It is damaged: {error}") from error
    found = cache.revision_of(entries)
    if found != revision:
        raise ValueError(f"It is revision {found}, and said to be {revision[:40]!r}.")
    return Unpacked(entries, pages, revision)


def _lines(catalog: Cache) -> Iterator[str]:
    yield dumped({cursor: [page.etag, list(page.ids), page.next_cursor] for cursor, page in catalog.pages().items()})
    for entry in catalog.entries().values():
        yield dumped([entry.endpoint_id, entry.item.decode(), entry.document.decode()])


def _page(value: object) -> Page:
    etag, ids, following = (*list_of(value), None, None, None)[:3]
    return Page(text_of(etag) or "", tuple(one for each in list_of(ids) if (one := text_of(each))), text_of(following))


def _entry(line: bytes) -> Entry:
    parts = [text_of(part) for part in list_of(parsed(line))]
    if len(parts) != 3 or not parts[0] or parts[1] is None:
        raise ValueError("It has a line that is no model's.")
    return cache.entry(parts[0], parts[1].encode(), (parts[2] or "").encode())
