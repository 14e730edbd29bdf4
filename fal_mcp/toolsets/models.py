"""A tool for every model of the catalog; which of them are listed is a setting.

Every tool that may be run can be called by name, listed or not, and the list never changes as a side effect of a call.
"""

from collections.abc import Iterator, Sequence

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.search import Search
from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.json_values import JsonMapping, dumped
from fal_mcp.openapi.example import example
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import Prepared, Tool
from fal_mcp.toolsets.selection import Selection


class Models:
    """The model tools. One is made when it is first listed or called."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self.catalog = catalog
        self.selection = selection
        self._made: dict[str, Tool] = {}
        self._search: Search | None = None

    @property
    def search(self) -> Search:
        """The index over what may be run, built when first asked for."""
        if self._search is None:
            self._search = Search(self.catalog, self.selection.allowed(self.catalog))
        return self._search

    def tools(self, endpoint_ids: Sequence[str]) -> Iterator[Tool]:
        """The tools of these endpoints; one whose document cannot be used is left out."""
        return (tool for endpoint_id in endpoint_ids if (tool := self.of(endpoint_id)))

    def get(self, name: str) -> Tool | None:
        """The tool of this name, listed or not; None where there is none or it may not be run."""
        if name in self._made:
            return self._made[name]
        endpoint = self.catalog.by_tool_name(name)
        return self.of(endpoint.endpoint_id) if endpoint else None

    def prepared(self, endpoint: Endpoint, arguments: JsonMapping, what: str) -> Prepared:
        """Arguments that the endpoint takes; `what` they are the arguments of begins the refusal.

        Raises:
            NotFound: it may not be run here.
            InvalidInput: every fault, and arguments that work; nothing was sent.
        """
        tool = self.of(endpoint.endpoint_id)
        if tool is None:
            raise NotFound(f"This server may not run {endpoint.endpoint_id!r}.", hint="Its --only setting says so.")
        checked = tool.prepare(arguments)
        if checked.faults:
            faults = "; ".join(map(str, checked.faults))
            raise InvalidInput(
                f"The arguments of {what} were refused here, before anything was sent or paid: {faults}",
                hint=f"Arguments that work: {_working(endpoint)}",
                faults=checked.faults,
            )
        return checked

    def of(self, endpoint_id: str) -> Tool | None:
        """The tool of this endpoint; None where there is none or it may not be run."""
        endpoint = self.catalog.get(endpoint_id) if self.selection.allows(endpoint_id) else None
        if endpoint is None:
            return None
        tool = from_endpoint.tool(endpoint)
        return self._made.setdefault(tool.name, tool)


def _working(endpoint: Endpoint) -> str:
    """An example as JSON, which can be sent as it stands."""
    made = example(endpoint.input_schema, endpoint.category, endpoint.endpoint_id)
    return dumped(made)
