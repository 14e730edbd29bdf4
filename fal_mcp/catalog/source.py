"""Where model documents come from: a folder of files here; `cache` has the one that fal's catalog was saved to."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from fal_mcp.json_values import JsonMapping, NotJson, parsed

Item = JsonMapping

LARGEST_DOCUMENT = 4 * 1024 * 1024


class Source(Protocol):
    """Model documents and the items of `GET /v1/models` that go with them."""

    @property
    def ids(self) -> list[str]:
        """The endpoint ids of every document, sorted."""
        ...

    @property
    def revision(self) -> str:
        """Changes when anything in the source does."""
        ...

    @property
    def items(self) -> Mapping[str, Item]:
        """The catalog items there are, by endpoint id."""
        ...

    def document(self, endpoint_id: str) -> bytes:
        """The document's JSON.

        Raises:
            OSError: it cannot be read.
            ValueError: it is larger than 4 MiB.
        """
        ...


class Folder:
    """A folder of documents, one a file, named after the id with `/` written `__`; `catalog.jsonl` lies beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Names and no paths: of those a thousand take a megabyte.
        names = sorted(file.name for file in folder.glob("*.json"))
        self._files = {name[:-5].replace("__", "/"): name for name in names}

    @property
    def ids(self) -> list[str]:
        return sorted(self._files)

    @property
    def revision(self) -> str:
        return self._revision

    @cached_property
    def _revision(self) -> str:
        # Names and times, not contents: this is asked for often, and reading a thousand files is not.
        names = "\n".join(f"{name} {_changed(self._folder / file)}" for name, file in self._files.items())
        return hashlib.sha256(names.encode()).hexdigest()[:12]

    @property
    def items(self) -> Mapping[str, Item]:
        return self._items

    @cached_property
    def _items(self) -> dict[str, Item]:
        return dict(_items(self._folder.parent / "catalog.jsonl"))

    def document(self, endpoint_id: str) -> bytes:
        file = self._folder / self._files[endpoint_id]
        if file.stat().st_size > LARGEST_DOCUMENT:
            raise ValueError(f"The document is larger than {LARGEST_DOCUMENT // 1024**2} MiB.")
        return file.read_bytes()


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _items(file: Path) -> Iterator[tuple[str, Item]]:
    try:
        # One bad byte costs its line, not every title and price.
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from filter(None, map(_item, lines))
    except OSError:
        # Without it the models have no titles and no prices, and are there all the same.
        return


def _item(line: str) -> tuple[str, Item] | None:
    try:
        item: Any = parsed(line)
    except NotJson:
        return None
    match item:
        case {"endpoint_id": str() as endpoint_id}:
            return endpoint_id, item
        case _:
            return None
