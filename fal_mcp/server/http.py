"""The server over streamable HTTP, on this machine only."""

from collections.abc import Callable

import uvicorn

from fal_mcp.config import Settings
from fal_mcp.machine.loopback import listener, port_of
from fal_mcp.server import app, webhooks
from fal_mcp.server.sdk_mends import mended

_IDLE_SECONDS = 1800.0
"""A session of 2025 that nobody used for so long is over; one that is being answered or listened on is used."""
_MOST_SESSIONS = 2000
"""Each takes some 40 KB."""
_GOODBYE_SECONDS = 3
"""An open listen stream would hold the exit for ever."""


async def serve(settings: Settings, port: int, ready: Callable[[str], None]) -> None:
    """Serve on the loopback interface until told to stop; port 0 takes any that is free.

    `ready` is told the URL. The SDK checks the Host and Origin headers against loopback names. Neither
    `json_response`, which loses progress, nor `stateless_http`, which loses cancellation.
    """
    await serve_app(app.build(settings), port, ready)


async def serve_app(
    server: app.FalServer, port: int, ready: Callable[[str], None], idle_seconds: float = _IDLE_SECONDS
) -> None:
    """The same for a server that was built already."""
    routes = webhooks.routes(server.shared)
    starlette = server.streamable_http_app(
        host="127.0.0.1",
        custom_starlette_routes=routes,
        session_idle_timeout=idle_seconds,
        max_sessions=_MOST_SESSIONS,
    )
    with listener(port) as listening:
        ready(f"http://127.0.0.1:{port_of(listening)}/mcp")
        config = uvicorn.Config(
            mended(starlette),
            # MCP has no websockets, and what is not served cannot be attacked.
            ws="none",
            log_level="warning",
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
            access_log=False,
        )
        await uvicorn.Server(config).serve(sockets=[listening])
