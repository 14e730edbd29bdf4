"""What mcp 2.3.0 does wrong at its edges, put right on this side of its public interfaces.

Over HTTP, by `mended`, an ASGI application round the SDK's:
* a cancelled call of a 2025-era connection is answered with -32800 ("Request cancelled"), which clients report as an
  answer to nothing they asked, and some drop the connection for; the specification wants silence (`_quiet`);
* whatever follows `localhost:` in a Host or Origin header passes for a port, `localhost:80@evil.example` too
  (`_not_from_here`).

Over standard input and output, by `stdio`, `messages` and `wire` in place of the SDK's transport, whose streams
`serve_dual_era_loop` takes from anybody:
* the thread that reads standard input cannot be interrupted: after SIGINT the process stays until its input ends;
* what is still being answered when the input ends is answered all the same, and 1.x clients fail on that
  (modelcontextprotocol/python-sdk#1960);
* a line that cannot be read is dropped without a word: no JSON, a byte order mark, half a character, a batch;
* a line is read whole however long it is;
* `server/discover` decides the era, so that a client that asked, waited and then shakes hands is refused for good
  (github/copilot-cli#4525).
"""

import re
from collections.abc import Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Whole and anchored: a page elsewhere can have its name resolve to this machine, but cannot send these names.
_HERE = r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?"
_HOST = re.compile(_HERE)
_ORIGIN = re.compile(rf"https?://{_HERE}")
_CANCELLED = b'"error":{"code":-32800,"message":"Request cancelled"}'


def mended(application: ASGIApp, path: str = "/mcp") -> ASGIApp:
    """The SDK's application, mended where it serves MCP."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") != path:
            await application(scope, receive, send)
        elif wrong := _not_from_here(dict(scope["headers"])):
            await PlainTextResponse(f"Invalid {wrong} header", 421 if wrong == "Host" else 403)(scope, receive, send)
        else:
            await application(scope, receive, _quiet(send))

    return serve


def _not_from_here(headers: Mapping[bytes, bytes]) -> str | None:
    """Which header names another machine than this."""
    host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin", b"").decode("latin-1")
    if not _HOST.fullmatch(host):
        return "Host"
    return "Origin" if origin and not _ORIGIN.fullmatch(origin) else None


def _quiet(send: Send) -> Send:
    """As `send`, but an answer to a call that was cancelled is left out; its stream ends all the same."""

    async def say(message: Message) -> None:
        # Each event is one body; within a result the quotes of such a text would be escaped.
        if message["type"] == "http.response.body" and _CANCELLED in message.get("body", b""):
            message = {**message, "body": b""}
        await send(message)

    return say
