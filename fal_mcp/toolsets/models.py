"""A tool for every model of the catalog; which of them are listed is a setting.

Every tool that may be run can be called by name, listed or not, and the list never changes as a side effect of a call.
"""

import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager

from fal_mcp.catalog import resolution
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.catalog.search import Search
from fal_mcp.client.fal import Fal
from fal_mcp.errors import InvalidInput, NotAuthorised, NotFound
from fal_mcp.json_values import JsonMapping, dumped
from fal_mcp.openapi.example import example
from fal_mcp.runs.resolution import Resolution
from fal_mcp.text import one_line
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import Prepared, Tool, prepare
from fal_mcp.toolsets.selection import Selection

_ANY_MODEL = "run_model"
_COULD_BE_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*_[A-Za-z0-9_-]+")


class Models:
    """The model tools. One is made when it is first listed or called."""

    def __init__(
        self, catalog: Catalog, selection: Selection, resolution: Callable[[], Resolution] = Resolution
    ) -> None:
        self.catalog = catalog
        self.selection = selection
        self.reserved: Collection[str] = ()
        """The names of other tools, which are no model's."""
        self._resolution = resolution
        self._made: dict[str, Tool] = {}
        self._search: Search | None = None

    @property
    def resolution(self) -> Resolution:
        """What can be run beside the catalog by whoever calls now."""
        return self._resolution()

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

    async def named(self, name: str, fal: Callable[[], Fal]) -> Tool | None:
        """The same, where it is one that only fal knows; None where there is none. Asks fal.

        Raises:
            FalError: it is known, and cannot be run.
        """
        if tool := self.get(name):
            return tool
        # Names of the account's own tools are all that could be meant: an id cannot be told from a name.
        wanted = await self._id_named(name, fal)
        if wanted is None or not self.selection.allows(wanted):
            return None
        endpoint = await self.resolution.endpoint(wanted, fal())
        return from_endpoint.tool(endpoint) if endpoint else None

    async def endpoint(self, typed: str, fal: Callable[[], Fal], way: str = "run") -> Endpoint:
        """The endpoint that an id, a tool's name or an address of fal's stands for: the catalog's, without asking
        anybody; else the account's own, or any that fal has a document of; else one that is not checked.

        `way` is how it is to be run: an app has a route of its own for streams, and for realtime.

        Raises:
            NotFound: it may not be run here, or could be no id of fal's, or is no model; with the nearest ids.
        """
        wanted = resolution.plain_id(typed)
        if (endpoint := self.catalog.get(wanted) or self.catalog.by_tool_name(wanted)) is not None:
            if not self.selection.allows(endpoint.endpoint_id):
                raise self._forbidden(endpoint.endpoint_id)
            return endpoint
        wanted = await self._id_named(wanted, fal) or wanted
        if not resolution.is_id(wanted):
            raise NotFound(f"fal has no model {one_line(wanted, 120)!r}.", hint=self.hint(wanted))
        if not self.selection.allows(wanted):
            raise self._forbidden(wanted)
        return await self._beyond(wanted, fal(), way)

    async def _id_named(self, name: str, fal: Callable[[], Fal]) -> str | None:
        return await self.resolution.id_named(name, fal()) if _COULD_BE_A_NAME.fullmatch(name) else None

    async def _beyond(self, wanted: str, fal: Fal, way: str) -> Endpoint:
        if way != "run" and not wanted.endswith(f"/{way}"):
            try:
                endpoint = await self.resolution.endpoint(f"{wanted}/{way}", fal)
            except NotFound:
                endpoint = None
            if endpoint is not None and not endpoint.unchecked:
                return endpoint
        endpoint = await self.resolution.endpoint(wanted, fal)
        if endpoint is not None:
            return endpoint
        reason = self.catalog.problems_of(wanted) or "nothing here has a document of it"
        return resolution.unchecked(wanted, reason)

    @contextmanager
    def near(self, endpoint: Endpoint) -> Generator[None]:
        """Name the nearest ids where fal refuses an endpoint of which it has no document."""
        try:
            yield
        except (NotFound, NotAuthorised) as error:
            if endpoint.unchecked:
                error.hint = f"{self.hint(endpoint.endpoint_id)} {error.hint}"
            raise

    def hint(self, wanted: str) -> str:
        """The nearest ids that may be run here, and how to find others."""
        newer = [one] if (one := self.search.successor(wanted)) else []
        own = resolution.nearest(wanted, self.resolution.ids())
        near = dict.fromkeys([*newer, *own, *self.catalog.near_ids(wanted)])
        ids = [one for one in near if one != wanted and self.selection.allows(one)]
        asked = "search_models finds a model by what it does."
        return f"The nearest ids: {', '.join(ids)}. {asked}" if ids else asked

    def _forbidden(self, endpoint_id: str) -> NotFound:
        return NotFound(
            f"This server may not run {endpoint_id!r}.", hint=f"Its --only setting says so. {self.hint(endpoint_id)}"
        )

    def own_ids(self) -> list[str]:
        """The account's own endpoints that could be listed: known, read, and run by a call. Asks nobody."""
        known = ((one, self.resolution.known(one)) for one in self.resolution.own_ids())
        names = self.resolution.names()
        return [
            one
            for one, endpoint in known
            if endpoint
            and endpoint.way != "realtime"
            and not self.catalog.get(one)
            and self._leads_to(tool_name(one), names) == one
        ]

    def name_of(self, endpoint_id: str) -> str:
        """The tool that runs this endpoint: its own, or run_model where its name is another tool's."""
        name = tool_name(endpoint_id)
        # Nearly every endpoint that is told is of the catalog: what is beside it is only gone through for the others.
        names = {} if self.catalog.by_tool_name(name) else self.resolution.names()
        return name if self._leads_to(name, names) in (endpoint_id, None) else _ANY_MODEL

    def _leads_to(self, name: str, names: Mapping[str, str]) -> str | None:
        """The endpoint that a call by this name runs, empty where another tool has it, None where it is free; `names`
        are those beside the catalog. Apps choose their routes: `a/b` and `a_b` make the same name."""
        if name in self.reserved:
            return ""
        listed = self.catalog.by_tool_name(name)
        return listed.endpoint_id if listed else names.get(name)

    def prepared(self, endpoint: Endpoint, arguments: JsonMapping, what: str, way: str = "run") -> Prepared:
        """Arguments that the endpoint takes; `what` they are the arguments of begins the refusal.

        Raises:
            NotFound: it may not be run here.
            InvalidInput: every fault, and arguments that work; nothing was sent.
        """
        if not self.selection.allows(endpoint.endpoint_id):
            raise NotFound(f"This server may not run {endpoint.endpoint_id!r}.", hint="Its --only setting says so.")
        if endpoint.way == "realtime" and way != "realtime":
            raise InvalidInput(f"{endpoint.endpoint_id!r} answers over a connection.", hint="Use run_realtime.")
        checked = prepare(endpoint.input_schema, arguments)
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
        if not self.selection.allows(endpoint_id):
            return None
        if (endpoint := self.catalog.get(endpoint_id)) is None:
            # Made anew: what an app takes may be another from one minute to the next.
            beyond = self.resolution.known(endpoint_id)
            return from_endpoint.tool(beyond) if beyond else None
        tool = from_endpoint.tool(endpoint)
        return self._made.setdefault(tool.name, tool)


def _working(endpoint: Endpoint) -> str:
    """An example as JSON, which can be sent as it stands."""
    made = example(endpoint.input_schema, endpoint.category, endpoint.endpoint_id)
    return dumped(made)
