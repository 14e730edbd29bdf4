"""The MCP server: lists the tools, looks one up, checks, runs and answers. Both protocol eras.

The one `except Exception` stands here: on 2025-era connections a handler's exception reaches the client with its
text, keys and all (facts/mcp, fact 3).
"""

import base64
import binascii
import hashlib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

from fal_mcp import __version__, results
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings
from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.jobs.progress import Report
from fal_mcp.text import one_line
from fal_mcp.tools.tool import Call, Tool
from fal_mcp.toolsets.models import Models

PAGE = 100
"""Tools on one page: some ten milliseconds of work, so that running jobs go on being reported."""
_LIST_FRESH_FOR = 3_600_000
_INVALID_PARAMS = -32602

INSTRUCTIONS = """\
Use these tools to make or change images, video, speech, music, sound and 3D, or to transcribe and describe media: \
each runs one model on fal. A tool's description names its endpoint id and its price; calls cost the user money, so \
do not repeat one that answered. Arguments are checked before anything is sent, and a refusal names each fault. \
Leave optional arguments out unless you need them. File arguments take public https URLs. Results carry URLs: show \
them to the user; they may expire. A call that breaks off may still be running and paid for: do not send it again \
without asking the user."""

logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class Shared:
    """What every call of one running server shares."""

    fal: Fal
    models: Models


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Server[Shared]:
    """The server for these settings; `transport` stands in for the network in tests."""
    models = Models(Catalog(settings.models), settings.listed)

    @asynccontextmanager
    async def lifespan(_: Server[Shared]) -> AsyncGenerator[Shared]:
        async with Fal(settings, transport) as fal:
            yield Shared(fal, models)

    # A plain dict: 25 to 140 ms less per list than the SDK's objects, and its types do not know that it is allowed.
    async def list_tools(_: Any, params: types.PaginatedRequestParams | None) -> Any:
        return _page(models, params.cursor if params else None)

    def input_schema(name: str) -> Mapping[str, Any] | None:
        tool = models.get(name)
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
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    """One call, from its name to its answer.

    Raises:
        MCPError: there is no tool of that name.
    """
    shared: Shared = ctx.lifespan_context
    tool = shared.models.get(params.name)
    if tool is None:
        raise MCPError(_INVALID_PARAMS, _unknown(params.name, shared.models.catalog))
    arguments = params.arguments or {}
    try:
        if faults := tool.check(arguments):
            return results.refuse(tool.name, faults)
        return results.render(await tool.run(arguments, Call(shared.fal, shared.models.catalog, _teller(ctx))))
    except FalError as error:
        return results.fail(error)
    except Exception:
        logger.exception("The call of %r failed.", tool.name)
        return results.fail(
            ServiceFailed(
                f"The call of {tool.name!r} failed inside this server; its log has the details.",
                retryable=False,
                hint="A job may be running: look at https://fal.ai/dashboard/requests before you repeat it.",
            )
        )


def _teller(ctx: Any) -> Any:
    async def tell(report: Report) -> None:
        await ctx.session.report_progress(report.progress, report.total, report.message)

    return tell


def _unknown(name: str, catalog: Catalog) -> str:
    near = catalog.near(name)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"Unknown tool: {one_line(name, 100)!r}.{meant}"


def _page(models: Models, cursor: str | None) -> dict[str, Any]:
    ids = models.listed_ids()
    revision = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]
    start = _start(cursor, revision)
    page = [_listed(tool) for tool in models.tools(ids[start : start + PAGE])]
    answer: dict[str, Any] = {"resultType": "complete", "tools": page}
    if start + PAGE < len(ids):
        answer["nextCursor"] = base64.urlsafe_b64encode(f"{revision}:{start + PAGE}".encode()).decode()
    return answer


def _start(cursor: str | None, revision: str) -> int:
    if not cursor:
        return 0
    try:
        known, _, start = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if known == revision:
            return max(int(start), 0)
    except (ValueError, binascii.Error):
        pass
    raise MCPError(_INVALID_PARAMS, "The cursor is not one of this list's; the list may have changed. Start again.")


def _listed(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "annotations": {
            "readOnlyHint": tool.effect == "reads",
            "destructiveHint": tool.effect == "destroys",
            "idempotentHint": tool.effect == "reads",
            "openWorldHint": True,
        },
        "_meta": dict(tool.metadata),
    }
