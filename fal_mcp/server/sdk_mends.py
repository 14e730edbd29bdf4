"""What mcp 2.3.0 does wrong at its edges, put right on this side of its public interfaces.

Over HTTP, by `mended`, an ASGI application round the SDK's:
* a cancelled call of a 2025-era connection is answered with -32800 ("Request cancelled"), which clients report as an
  answer to nothing they asked, and some drop the connection for; the specification wants silence (`_quiet`).

Whatever follows `localhost:` in a Host or Origin header passes there for a port, `localhost:80@evil.example` too, and
both are looked at after the body was read: `web.guard` looks at them first.

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

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CANCELLED = b'"error":{"code":-32800,"message":"Request cancelled"}'


def mended(application: ASGIApp, path: str = "/mcp") -> ASGIApp:
    """The SDK's application, mended where it serves MCP."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_mcp = scope["type"] == "http" and scope["path"].rstrip("/") == path
        await application(scope, receive, _quiet(send) if is_mcp else send)

    return serve


def _quiet(send: Send) -> Send:
    """As `send`, but an answer to a call that was cancelled is left out; its stream ends all the same."""

    async def say(message: Message) -> None:
        # Each event is one body; within a result the quotes of such a text would be escaped.
        if message["type"] == "http.response.body" and _CANCELLED in message.get("body", b""):
            message = {**message, "body": b""}
        await send(message)

    return say
