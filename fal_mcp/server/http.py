"""The server over streamable HTTP: on this machine for one person, or for a team behind a gate."""

import socket
from collections.abc import Callable
from importlib.util import find_spec

import anyio.to_thread
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import Response

from fal_mcp import logs
from fal_mcp.config import Settings
from fal_mcp.machine import collector
from fal_mcp.machine.loopback import listener, port_of
from fal_mcp.server import app, webhooks
from fal_mcp.server.sdk_mends import mended
from fal_mcp.server.web import routes
from fal_mcp.server.web.access_log import AccessLog
from fal_mcp.server.web.connections import limited
from fal_mcp.server.web.gates import gate_of
from fal_mcp.server.web.guard import Guard
from fal_mcp.server.web.limits import ON_THIS_MACHINE, WebLimits
from fal_mcp.server.web.names import Names
from fal_mcp.server.web.needed_scope import wanting
from fal_mcp.server.web.rush import Rush

PATH = "/mcp"
HERE = "127.0.0.1"


async def serve(settings: Settings, port: int, ready: Callable[[str], None], host: str = HERE) -> None:
    """Serve until told to stop; port 0 takes any that is free.

    `ready` is told the URL. Neither `json_response`, which loses progress, nor `stateless_http`, which loses
    cancellation.
    """
    server = app.build(settings)
    with collector.spared():
        await serve_app(server, port, ready, host=host, metrics=_figures(server))


async def serve_app(
    server: app.FalServer,
    port: int,
    ready: Callable[[str], None],
    limits: WebLimits | None = None,
    host: str = HERE,
    metrics: routes.Metrics | None = None,
) -> None:
    """The same for a server that was built already; `metrics` answers `/metrics`."""
    limits = limits or (WebLimits() if server.shared.settings.is_shared else ON_THIS_MACHINE)
    guard = guarded(server, limits, metrics)
    # Else the SDK's streams end with the signal, and those of calls before their answers, which come at once then.
    AppStatus.disable_automatic_graceful_drain()
    with listener(port, host) as listening:
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{port_of(listening)}{PATH}")
        config = uvicorn.Config(
            AccessLog(guard),
            http=limited(limits),
            # MCP has no websockets, and what is not served cannot be attacked.
            ws="none",
            # As everything else is logged, and no line of a library's own form between.
            log_config=None,
            log_level="warning",
            timeout_keep_alive=limits.keep_alive_seconds,
            timeout_graceful_shutdown=limits.goodbye_seconds,
            # Whom a proxy speaks for is told by `client_address`, and only where the operator says that there is one.
            proxy_headers=False,
            server_header=False,
            access_log=False,
        )
        await _Server(config, lambda: _end(server, guard)).serve(sockets=[listening])


def guarded(server: app.FalServer, limits: WebLimits, metrics: routes.Metrics | None = None) -> Guard:
    """The whole application behind its guard."""
    shared = server.shared
    settings = shared.settings
    has_issuer = settings.issuer is not None and settings.public_url is not None
    about = routes.resource_metadata(settings.public_url or "", settings.issuer or "") if has_issuer else []

    async def is_ready() -> bool:
        return not guard.is_ending and await shared.is_ready()

    starlette = server.streamable_http_app(
        # Any host: the guard has looked at the names before.
        host="",
        custom_starlette_routes=[
            *webhooks.routes(shared),
            *routes.health(is_ready),
            *routes.metrics(metrics),
            *about,
        ],
        max_request_body_size=limits.body_bytes,
        session_idle_timeout=limits.session_idle_seconds,
        max_sessions=limits.sessions,
    )
    guard = Guard(
        mended(starlette, PATH),
        Names(settings.allow_hosts, settings.allow_origins, pages_of_this_machine=not settings.is_shared),
        limits,
        gate_of(settings, shared),
        routes.metadata_address(settings.public_url or "") if has_issuer else None,
        int(settings.trust_proxy),
        wanting(shared, PATH, limits.body_bytes),
        # Where each caller pays, each has room of its own.
        None if shared.room.most is None or settings.own_keys else Rush(shared.room.most, shared.full, shared.left),
    )
    return guard


def _figures(server: app.FalServer) -> routes.Metrics | None:
    """What `/metrics` answers, where the extra `team` has brought the library that counts."""
    if find_spec("prometheus_client") is None:
        return None
    from fal_mcp.server.metrics import CONTENT_TYPE

    figures = app.measured(server)

    async def tell(_: Request) -> Response:
        return Response(await figures.text(), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    return tell


def _end(server: app.FalServer, guard: Guard) -> None:
    guard.end()
    server.news.close()
    # Calls that wait for a job are answered now: they would be cut off soon, and their jobs with them.
    server.shared.leave_jobs()


class _Server(uvicorn.Server):
    """uvicorn's, which says that it ends before it waits for what is being answered."""

    def __init__(self, config: uvicorn.Config, ends: Callable[[], None]) -> None:
        super().__init__(config)
        self._ends = ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ends()
        await super().shutdown(sockets)
        # uvicorn hands the signal on, which ends the process where it stands.
        await anyio.to_thread.run_sync(logs.flush)
