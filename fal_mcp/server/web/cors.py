"""What browsers ask before they let a page of another origin call (CORS); only for origins that were named."""

from starlette.responses import Response
from starlette.types import Message, Send

_EXPOSED = "Mcp-Session-Id, WWW-Authenticate, Retry-After"
_ALLOWED = (
    "Authorization, Content-Type, Accept, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID, "
    "X-Fal-Key, X-Fal-Mcp-List, traceparent, tracestate"
)
_METHODS = "GET, POST, DELETE"
_REMEMBERED = "600"


def preflight(origin: str) -> Response:
    """The answer to a browser's question; without credentials, for a cookie has no meaning here."""
    return Response(
        status_code=204,
        headers={
            "access-control-allow-origin": origin,
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _ALLOWED,
            "access-control-max-age": _REMEMBERED,
            "vary": "Origin",
        },
    )


def exposing(send: Send, origin: str) -> Send:
    """As `send`, with what lets a page of this origin read the answer."""
    more = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED.encode()),
        (b"vary", b"Origin"),
    ]

    async def say(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return say
