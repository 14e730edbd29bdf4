"""The MCP server: its identity, its capabilities, and the handlers behind them. Both protocol eras.

What a handler does is in `calls`.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server

from fal_mcp import __version__
from fal_mcp.config import Settings

# What a call needs takes a quarter as long to import as the SDK itself: it comes in with the first list or call, so
# that the handshake is answered as fast as the SDK allows.
if TYPE_CHECKING:
    import httpx

    from fal_mcp.client.fal import Fal
    from fal_mcp.toolsets.models import Models

_LIST_FRESH_FOR = 3_600_000

INSTRUCTIONS = """\
Use these tools to make or change images, video, speech, music, sound and 3D, or to transcribe and describe media: \
each runs one model on fal. A tool's description names its endpoint id and its price; calls cost the user money, so \
do not repeat one that answered. Arguments are checked before anything is sent, and a refusal names each fault. \
Leave optional arguments out unless you need them. File arguments take public https URLs. Results carry URLs: show \
them to the user; they may expire. A call that breaks off may still be running and paid for: do not send it again \
without asking the user."""


class Shared:
    """What every call of one running server shares; each part is made when it is first asked for."""

    def __init__(self, settings: Settings, transport: "httpx.AsyncBaseTransport | None") -> None:
        self._settings = settings
        self._transport = transport
        self._open = AsyncExitStack()

    @cached_property
    def models(self) -> "Models":
        """A tool for every model of the catalog."""
        from fal_mcp.catalog.catalog import Catalog
        from fal_mcp.toolsets.models import Models

        return Models(Catalog(self._settings.models), self._settings.listed)

    @cached_property
    def fal(self) -> "Fal":
        """The way to fal, closed when the server stops."""
        from fal_mcp.client.fal import Fal

        fal = Fal(self._settings, self._transport)
        self._open.push_async_exit(fal)
        return fal

    async def close(self) -> None:
        """Close what was opened."""
        await self._open.aclose()


def build(settings: Settings, transport: "httpx.AsyncBaseTransport | None" = None) -> Server[Shared]:
    """The server for these settings; `transport` stands in for the network in tests."""
    shared = Shared(settings, transport)

    @asynccontextmanager
    async def lifespan(_: Server[Shared]) -> AsyncGenerator[Shared]:
        try:
            yield shared
        finally:
            await shared.close()

    def input_schema(name: str) -> Mapping[str, Any] | None:
        tool = shared.models.get(name)
        return tool.input_schema if tool else None

    return Server(
        "fal",
        version=__version__,
        title="fal",
        description="Every model on fal as a typed tool",
        instructions=INSTRUCTIONS,
        website_url="https://fal.ai",
        lifespan=lifespan,
        cache_hints={"tools/list": CacheHint(ttl_ms=_LIST_FRESH_FOR, scope="public")},
        # Without it each modern call over HTTP walks the whole list for a header (facts/mcp, fact 2).
        get_tool_input_schema=input_schema,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
    )


# A plain dict: 25 to 140 ms less per list than the SDK's objects, whose types do not know that it is allowed.
async def _list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> Any:
    from fal_mcp.server import calls

    return calls.list_tools(ctx.lifespan_context.models, params.cursor if params else None)


async def _call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    from fal_mcp.server import calls

    return await calls.call_tool(ctx, params)
