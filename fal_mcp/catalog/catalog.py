"""Every endpoint this server knows, by id and by tool name.

A document is parsed when its endpoint is first asked for, so that a start costs a listing of names. One bad document
is left out and named in `problems`; it never costs another.
"""

import difflib
import sys
from collections.abc import Iterator
from functools import cached_property

from fal_mcp.catalog import reader
from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.catalog.source import Source
from fal_mcp.json_values import JsonMapping, NotJson, object_of, parsed, text_of
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.text import one_line

_NO_ITEM: JsonMapping = {}
CATEGORIES = (
    "text-to-image image-to-image image-to-video text-to-video video-to-video text-to-speech text-to-audio "
    "speech-to-text image-to-3d text-to-3d llm vision audio-to-audio audio-to-video"
).split()
"""In the order in which people ask for them."""


class Catalog:
    """The endpoints of one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._names: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._read: dict[str, Endpoint | None] = {}
        self._categories: dict[str, str] = {}
        for endpoint_id in source.ids:
            self._claim(endpoint_id)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def ids(self) -> list[str]:
        """The ids of every document that was found, usable or not: what fal puts forward first, then by category."""
        return list(self._ranked)

    @property
    def revision(self) -> str:
        """Changes when the source does."""
        return self._source.revision

    def get(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this id, or None where there is none or its document cannot be used."""
        # The second half keeps out what is in no source: an id from a caller must not lead to a file.
        if endpoint_id not in self._read and self._names.get(tool_name(endpoint_id)) == endpoint_id:
            self._read[endpoint_id] = self._try(endpoint_id)
        return self._read.get(endpoint_id)

    def by_tool_name(self, name: str) -> Endpoint | None:
        """The endpoint whose tool is called `name`."""
        endpoint_id = self._names.get(name)
        return self.get(endpoint_id) if endpoint_id else None

    def category(self, endpoint_id: str) -> str:
        """The category fal's catalog names, without parsing the document where it can be had otherwise."""
        category = self._categories.get(endpoint_id)
        if category is None:
            category = self._category(endpoint_id)
            # Kept, as a list of one category asks it of every model; not for ids from elsewhere, which have no end.
            # A thousand share a few dozen texts.
            if self._names.get(tool_name(endpoint_id)) == endpoint_id:
                self._categories[endpoint_id] = sys.intern(category)
        return category

    def metadata(self, endpoint_id: str) -> JsonMapping:
        """fal's catalog item of this endpoint, as it came; empty where there is none."""
        return object_of(self._source.items.get(endpoint_id, _NO_ITEM).get("metadata"))

    def near_ids(self, endpoint_id: str) -> list[str]:
        """At most five endpoint ids that `endpoint_id` may have meant, the nearest first."""
        return difflib.get_close_matches(endpoint_id[:200], self._names.values(), n=5, cutoff=0.5)

    def endpoints(self) -> Iterator[Endpoint]:
        """Every usable endpoint, in the order of `ids`."""
        return (found for endpoint_id in self.ids if (found := self.get(endpoint_id)))

    def problems(self) -> dict[str, str]:
        """The documents that give no tool, each with its reason. Parses whatever was not parsed yet."""
        for endpoint_id in self._source.ids:
            self.get(endpoint_id)
        return dict(sorted(self._problems.items()))

    def oddities(self) -> dict[str, tuple[str, ...]]:
        """What was mended or left open in the documents that can be used, by id. Parses whatever was not yet."""
        return {one.endpoint_id: one.oddities for one in self.endpoints() if one.oddities}

    def problems_of(self, endpoint_id: str) -> str | None:
        """Why this endpoint's document gives no tool; None where it does, or there is none."""
        self.get(endpoint_id)
        return self._problems.get(endpoint_id)

    def problem_of_tool(self, name: str) -> str | None:
        """Why there is no tool of this name although there is a document; None where there is a tool, or neither."""
        endpoint_id = self._names.get(name)
        return self.problems_of(endpoint_id) if endpoint_id else None

    def near(self, name: str) -> list[str]:
        """At most three tool names that `name` may have meant, the nearest first."""
        return difflib.get_close_matches(tool_name(name[:200]), self._names, n=3, cutoff=0.6)

    def _claim(self, endpoint_id: str) -> None:
        name = tool_name(endpoint_id)
        if name in self._names:
            # The first in the order of ids has the name: a call by it must not lead now to one model and now to
            # another.
            self._problems[endpoint_id] = f"Its tool name {name!r} is that of {self._names[name]!r} already."
            self._read[endpoint_id] = None
        else:
            self._names[name] = endpoint_id

    def _try(self, endpoint_id: str) -> Endpoint | None:
        try:
            return self._parse(endpoint_id)
        except UnusableDocument as error:
            self._problems[endpoint_id] = str(error)
        except NotJson as error:
            self._problems[endpoint_id] = f"The file is not JSON: {one_line(str(error)[:200], 120).rstrip('.')}."
        except OSError as error:
            self._problems[endpoint_id] = f"The file cannot be read: {one_line(str(error)[:400], 200).rstrip('.')}."
        return None

    def _parse(self, endpoint_id: str) -> Endpoint:
        try:
            content = self._source.document(endpoint_id)
        except ValueError as error:
            raise UnusableDocument(str(error)) from error
        endpoint = reader.endpoint(parsed(content), self._source.items.get(endpoint_id))
        if endpoint.endpoint_id != endpoint_id:
            # Run under the wrong id, another model would be paid for.
            raise UnusableDocument(f"The document kept as {endpoint_id!r} describes {endpoint.endpoint_id!r}.")
        return endpoint

    def _category(self, endpoint_id: str) -> str:
        named = self.metadata(endpoint_id).get("category")
        if named is None and (endpoint := self.get(endpoint_id)):
            return endpoint.category
        return one_line(str(named or ""), 40)

    @cached_property
    def _ranked(self) -> list[str]:
        return sorted(self._names.values(), key=self._rank)

    def _rank(self, endpoint_id: str) -> tuple[bool, bool, int, str]:
        metadata = self.metadata(endpoint_id)
        category = text_of(metadata.get("category"))
        order = CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)
        # False sorts before True, hence the `not`. The id ends ties, so that the list is the same whatever order the
        # documents come in.
        return (not metadata.get("highlighted"), not metadata.get("pinned"), order, endpoint_id)
