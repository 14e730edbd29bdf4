"""Every endpoint this server knows, by id and by tool name.

A document is parsed when its endpoint is first asked for, so that a start costs a listing of names. One bad document
is left out and named in `problems`; it never costs another.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fal_mcp.catalog import reader
from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.openapi.document import UnusableDocument

_LARGEST_DOCUMENT = 4 * 1024 * 1024
_NO_ITEM: Mapping[str, Any] = {}
_PINNED_FIRST = ("pinned", "highlighted")


class Catalog:
    """Endpoints read from a folder of model documents, one a file, `/` of the id written `__` in its name.

    `catalog.jsonl` beside the folder holds the matching items of `GET /v1/models`, and may be absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {file.name[:-5].replace("__", "/"): file for file in sorted(folder.glob("*.json"))}
        self._names: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._read: dict[str, Endpoint | None] = {}
        self._loaded_items: dict[str, Mapping[str, Any]] | None = None
        for endpoint_id in self._files:
            self._claim(endpoint_id)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def ids(self) -> list[str]:
        """The ids of every document that was found, usable or not, pinned and highlighted ones first."""
        return sorted(self._names.values(), key=self._rank)

    def get(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this id, or None where there is none or its document cannot be used."""
        if endpoint_id not in self._read and endpoint_id in self._files:
            self._read[endpoint_id] = self._try(endpoint_id)
        return self._read.get(endpoint_id)

    def by_tool_name(self, name: str) -> Endpoint | None:
        """The endpoint whose tool is called `name`."""
        endpoint_id = self._names.get(name)
        return self.get(endpoint_id) if endpoint_id else None

    def category(self, endpoint_id: str) -> str:
        """The category fal's catalog names, without parsing the document; empty where it names none."""
        return str(self._metadata(endpoint_id).get("category") or "")

    def endpoints(self) -> Iterator[Endpoint]:
        """Every usable endpoint, in the order of `ids`."""
        return (found for endpoint_id in self.ids if (found := self.get(endpoint_id)))

    def problems(self) -> dict[str, str]:
        """The documents that give no tool, each with its reason. Parses whatever was not parsed yet."""
        for endpoint_id in self._files:
            self.get(endpoint_id)
        return dict(sorted(self._problems.items()))

    def near(self, name: str) -> list[str]:
        """At most three tool names that `name` may have meant, the nearest first."""
        return difflib.get_close_matches(tool_name(name[:200]), self._names, n=3, cutoff=0.6)

    def _claim(self, endpoint_id: str) -> None:
        name = tool_name(endpoint_id)
        if name in self._names:
            self._problems[endpoint_id] = f"Its tool name {name!r} is that of {self._names[name]!r} already."
            self._read[endpoint_id] = None
        else:
            self._names[name] = endpoint_id

    def _try(self, endpoint_id: str) -> Endpoint | None:
        try:
            return self._parse(endpoint_id)
        except UnusableDocument as error:
            self._problems[endpoint_id] = str(error)
        except (OSError, UnicodeDecodeError) as error:
            self._problems[endpoint_id] = f"The file cannot be read: {error}."
        except (ValueError, RecursionError):
            self._problems[endpoint_id] = "The file is not JSON."
        return None

    def _parse(self, endpoint_id: str) -> Endpoint:
        file = self._files[endpoint_id]
        if file.stat().st_size > _LARGEST_DOCUMENT:
            raise UnusableDocument(f"The document is larger than {_LARGEST_DOCUMENT // 1024**2} MiB.")
        found = reader.endpoint(json.loads(file.read_bytes()), self._items.get(endpoint_id))
        if found.endpoint_id != endpoint_id:
            raise UnusableDocument(f"The file is named for {endpoint_id!r} and describes {found.endpoint_id!r}.")
        return found

    def _rank(self, endpoint_id: str) -> tuple[bool, bool, str]:
        metadata = self._metadata(endpoint_id)
        pinned, highlighted = (bool(metadata.get(key)) for key in _PINNED_FIRST)
        return (not pinned, not highlighted, endpoint_id)

    def _metadata(self, endpoint_id: str) -> Mapping[str, Any]:
        return self._items.get(endpoint_id, _NO_ITEM).get("metadata") or {}

    @property
    def _items(self) -> dict[str, Mapping[str, Any]]:
        if self._loaded_items is None:
            self._loaded_items = dict(_items(self._folder.parent / "catalog.jsonl"))
        return self._loaded_items


def _items(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not file.is_file():
        return
    for line in file.read_text("utf-8", errors="replace").splitlines():
        try:
            item: Any = json.loads(line)
        except ValueError:
            continue
        match item:
            case {"endpoint_id": str() as endpoint_id}:
                yield endpoint_id, item
            case _:
                continue
