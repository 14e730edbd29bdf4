"""A tool for every model of the catalog; which of them are listed is a setting.

Every tool can be called by name, listed or not, and the list never changes as a side effect of a call.
"""

import fnmatch
from collections.abc import Iterator, Sequence

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import Tool


class Models:
    """The model tools. One is made when it is first listed or called."""

    def __init__(self, catalog: Catalog, listed: Sequence[str]) -> None:
        self.catalog = catalog
        self._wanted = tuple(listed)
        self._made: dict[str, Tool] = {}

    def listed_ids(self) -> list[str]:
        """The endpoint ids whose tools are listed, in the catalog's order."""
        return [endpoint_id for endpoint_id in self.catalog.ids if self._is_listed(endpoint_id)]

    def tools(self, endpoint_ids: Sequence[str]) -> Iterator[Tool]:
        """The tools of these endpoints; one whose document cannot be used is left out."""
        return (tool for endpoint_id in endpoint_ids if (tool := self._tool(endpoint_id)))

    def get(self, name: str) -> Tool | None:
        """The tool of this name, listed or not."""
        if name in self._made:
            return self._made[name]
        endpoint = self.catalog.by_tool_name(name)
        return self._tool(endpoint.endpoint_id) if endpoint else None

    def _tool(self, endpoint_id: str) -> Tool | None:
        endpoint = self.catalog.get(endpoint_id)
        if endpoint is None:
            return None
        tool = from_endpoint.tool(endpoint)
        return self._made.setdefault(tool.name, tool)

    def _is_listed(self, endpoint_id: str) -> bool:
        return any(
            wanted == "all" or wanted == self.catalog.category(endpoint_id) or fnmatch.fnmatchcase(endpoint_id, wanted)
            for wanted in self._wanted
        )
