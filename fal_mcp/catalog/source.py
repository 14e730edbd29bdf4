"""Where model documents come from: a folder of files here; `cache` has the one that fal's catalog was saved to."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

from fal_mcp.json_values import JsonMapping, NotJson, object_of, parsed, text_of

Item = JsonMapping

LARGEST_DOCUMENT = 4 * 1024 * 1024


class Items(Mapping[str, Item]):
    """Catalog items by endpoint id, kept as their text and read when one is asked for; one that is no JSON object is
    empty. Read all at once, 1,600 take 5 MB."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        # Whoever goes through a catalog asks several things of one model before the next.
        self._latest: tuple[str, Item] = ("", {})

    def __getitem__(self, endpoint_id: str) -> Item:
        name, item = self._latest
        if name != endpoint_id:
            item = _read(self._texts[endpoint_id])
            self._latest = (endpoint_id, item)
        return item

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


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
        folder = str(self._folder)
        # Joined as texts: making a path of each takes longer than to look at the file.
        names = "\n".join(f"{name} {_changed(os.path.join(folder, file))}" for name, file in self._files.items())
        return hashlib.sha256(names.encode()).hexdigest()[:12]

    @property
    def items(self) -> Mapping[str, Item]:
        return self._items

    @cached_property
    def _items(self) -> Items:
        return Items(dict(_texts(self._folder.parent / "catalog.jsonl")))

    def document(self, endpoint_id: str) -> bytes:
        file = self._folder / self._files[endpoint_id]
        if file.stat().st_size > LARGEST_DOCUMENT:
            raise ValueError(f"The document is larger than {LARGEST_DOCUMENT // 1024**2} MiB.")
        return file.read_bytes()


def _changed(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


def _texts(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        # One bad byte costs its line, not every title and price.
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if endpoint_id := text_of(_read(line).get("endpoint_id")):
                    yield endpoint_id, line.encode()
    except OSError:
        # Without it the models have no titles and no prices, and are there all the same.
        return


def _read(text: str | bytes) -> Item:
    try:
        return object_of(parsed(text))
    except NotJson:
        return {}
