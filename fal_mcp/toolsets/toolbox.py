"""All tools of one server: the hand-made ones first, then the models; by name, and as the list a host reads."""

from collections.abc import Sequence

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import discovery
from fal_mcp.toolsets.models import Models
from fal_mcp.toolsets.selection import Selection


class Toolbox:
    """One catalog's tools. A refresh of the catalog makes another."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self.models = Models(catalog, selection)
        self._fixed = {tool.name: tool for tool in discovery.tools(self.models)}

    @property
    def catalog(self) -> Catalog:
        return self.models.catalog

    def get(self, name: str) -> Tool | None:
        """The tool of this name, listed or not."""
        return self._fixed.get(name) or self.models.get(name)

    def names(self, selection: Selection | None = None) -> list[str]:
        """What is listed, in order: names of fixed tools, then endpoint ids."""
        return [*self._fixed, *(selection or self.models.selection).listed_ids(self.catalog)]

    def page(self, names: Sequence[str]) -> list[Tool]:
        """The tools of a part of `names`; a model whose document cannot be used is left out."""
        return [tool for name in names if (tool := self._fixed.get(name) or self.models.of(name))]
