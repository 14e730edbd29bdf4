"""What is served beside MCP: whether the server lives, whether it takes calls, and whose tokens it takes (RFC 9728)."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fal_mcp.team.scopes import SCOPES

WELL_KNOWN = "/.well-known/oauth-protected-resource"
IsReady = Callable[[], Awaitable[bool]]
Metrics = Callable[[Request], Awaitable[Response]]


def health(is_ready: IsReady) -> list[Route]:
    """`/health`: the process answers. `/ready`: it takes calls. Neither says anything more, for anybody may ask."""

    async def lives(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    async def takes_calls(_: Request) -> Response:
        is_now = await is_ready()
        return JSONResponse({"status": "ready" if is_now else "not ready"}, 200 if is_now else 503)

    return [Route("/health", lives), Route("/ready", takes_calls)]


def metrics(handler: Metrics | None) -> list[Route]:
    """`/metrics`, where there is somebody who writes them; the guard says who may read them."""
    return [] if handler is None else [Route("/metrics", handler)]


def resource_metadata(public_url: str, issuer: str) -> list[Route]:
    """RFC 9728's document about this resource server, at the address with its path and at the root."""
    document = {
        "resource": public_url,
        "authorization_servers": [issuer],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
        "resource_name": "fal-mcp",
    }

    async def tell(_: Request) -> Response:
        return JSONResponse(document, headers={"cache-control": "public, max-age=300"})

    return [Route(WELL_KNOWN, tell), Route(f"{WELL_KNOWN}/mcp", tell)]


def metadata_address(public_url: str) -> str:
    """Where a client finds that document, as a challenge has it."""
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
