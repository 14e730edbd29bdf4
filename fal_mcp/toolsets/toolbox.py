"""All tools of one server: the hand-made ones first, then the models; by name, and as the list a host reads."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import tool_name
from fal_mcp.client.fal import Fal
from fal_mcp.json_values import JsonObject
from fal_mcp.runs.resolution import Resolution
from fal_mcp.tools.tool import Tool
from fal_mcp.toolset_table import TABLE, TOOLSETS
from fal_mcp.toolsets.models import Models
from fal_mcp.toolsets.selection import Selection

_FIRST = ("models", "jobs", "storage")
"""The toolsets without which the rest is of no use."""
_MOST_SELECTIONS = 100
"""Over HTTP a caller may ask for a list of its own."""


class Toolbox:
    """One catalog's tools. A refresh of the catalog makes another."""

    def __init__(
        self,
        catalog: Catalog,
        selection: Selection,
        toolsets: Sequence[str] = TOOLSETS,
        more: Sequence[Tool] = (),
        *,
        is_read_only: bool = False,
        has_admin_key: bool = False,
        resolution: Callable[[], Resolution] = Resolution,
    ) -> None:
        self.models = Models(catalog, selection, resolution)
        self._is_read_only = is_read_only
        # Whatever order the settings have them in: what a host cuts off a long list must not be what runs a model.
        first = [tool for name in toolsets if name in _FIRST for tool in _made(name, self.models)]
        rest = [tool for name in toolsets if name not in _FIRST for tool in _made(name, self.models)]
        self._first = len(first)
        self._fixed = {tool.name: tool if has_admin_key else _without_key(tool) for tool in (*first, *rest, *more)}
        # Their names and no more: with a way back to the tools nothing here would ever be let go of by itself.
        self.models.reserved = frozenset(self._fixed)
        self._names: dict[tuple[Selection, tuple[str, ...]], list[str]] = {}
        self._shown: dict[str, JsonObject | None] = {}

    @property
    def catalog(self) -> Catalog:
        return self.models.catalog

    def get(self, name: str) -> Tool | None:
        """The tool of this name, listed or not."""
        return self._fixed.get(name) or self.models.get(name)

    def toolset_of(self, name: str) -> str | None:
        """The toolset that has a tool of this name, whether it is on here or off."""
        return self._toolsets.get(name)

    @cached_property
    def _toolsets(self) -> dict[str, str]:
        # Asked for where a name is unknown: only then is it worth importing what is off.
        return {tool.name: tool.toolset for toolset in TABLE for tool in _made(toolset, self.models)}

    async def named(self, name: str, fal: Callable[[], Fal]) -> Tool | None:
        """The same; of a name that nothing here knows, fal is asked.

        Raises:
            FalError: fal knows it, and it cannot be run.
        """
        return self.get(name) or await self.models.named(name, fal)

    def names(self, selection: Selection | None = None) -> list[str]:
        """What is listed, in order: names of fixed tools, then endpoint ids.

        What finds models, runs them and follows their jobs comes first, then the pins: some hosts read one page, and
        others drop what is over a number of theirs.
        """
        chosen = selection or self.models.selection
        wanted = (chosen, tuple(self.models.own_ids()))
        if wanted not in self._names:
            # All of them: a list is quickly made anew, and callers over HTTP come and go.
            if len(self._names) >= _MOST_SELECTIONS:
                self._names.clear()
            self._names[wanted] = self._listed(*wanted)
        return self._names[wanted]

    def page(self, names: Sequence[str], show: Callable[[Tool], JsonObject]) -> list[JsonObject]:
        """A part of `names` as `show` says each, remembered; a model whose document cannot be used is left out."""
        own = set(self.models.own_ids())
        for name in names:
            # What an app takes may be another from one minute to the next.
            if name not in self._shown or name in own:
                tool = self._fixed.get(name) or self.models.of(name)
                self._shown[name] = show(tool) if tool else None
        return [shown for name in names if (shown := self._shown[name])]

    def _listed(self, wanted: Selection, own: Sequence[str]) -> list[str]:
        if self._is_read_only:
            # Running a model spends, so no model is among them.
            return [name for name, tool in self._fixed.items() if tool.effect == "reads"]
        # Two tools of one name, and hosts refuse the whole list.
        models = [one for one in wanted.listed_ids(self.catalog, own) if tool_name(one) not in self._fixed]
        pins = len([one for one in wanted.pinned_ids(self.catalog, own) if tool_name(one) not in self._fixed])
        fixed = list(self._fixed)
        return [*fixed[: self._first], *models[:pins], *fixed[self._first :], *models[pins:]]


def _without_key(tool: Tool) -> Tool:
    """Without an admin key, what needs one says so where a model chooses."""
    if tool.key != "admin":
        return tool
    return replace(tool, description=f"{tool.description} None is set here.")


def _made(toolset: str, models: Models) -> list[Tool]:
    tools = (tool for maker in TABLE[toolset].makers for tool in _made_by(maker, toolset, models))
    return [replace(tool, toolset=toolset) for tool in tools]


def _made_by(maker: str, toolset: str, models: Models) -> list[Tool]:
    module, _, wanted = maker.partition(":")
    # Imported when it is asked for: the argument models of the optional toolsets alone are as large as the rest of the
    # toolbox, and a server that has none of them starts without.
    tools: Callable[..., list[Tool]] = import_module(f"fal_mcp.toolsets.{module}").tools
    match wanted:
        case "models":
            return tools(models)
        case "name":
            return tools(toolset)
        case _:
            return tools()
