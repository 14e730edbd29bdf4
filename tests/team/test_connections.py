"""However the bytes of requests come, they are the same requests."""

from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import uvicorn
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from fal_mcp.server.web.connections import Connection, limited
from fal_mcp.server.web.limits import WebLimits

BOUND = 20
LIMITS = WebLimits(body_bytes=200_000)
Seen = tuple[str, str, list[tuple[bytes, bytes]], bytes]
"""Method, path, headers and body."""


@dataclass(frozen=True)
class Sent:
    """A request as bytes, and as what it is."""

    data: bytes
    seen: Seen


class Line:
    """Where a connection writes, and of which it asks whether that is still open."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def get_extra_info(self, name: str) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """One with a body of a length or in chunks, or none; some ask to upgrade, some have words behind the body."""
    method, path = draw(st.sampled_from(("GET", "POST", "DELETE"))), draw(st.sampled_from(("/mcp", "/a/b", "/")))
    headers = [(b"host", b"localhost"), (b"x", draw(st.sampled_from((b"", b"y", b"GET / HTTP/1.1"))))]
    asked = [(b"connection", b"Upgrade, HTTP2-Settings"), (b"upgrade", b"h2c")] if draw(st.booleans()) else []
    body = draw(
        st.sampled_from((b"", b"{}", b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\r\n\r\n", b"0\r\n\r\n" * 9))
    )
    sent, framing = body, []
    match draw(st.sampled_from(("length", "chunks", "trailer"))):
        case "length":
            framing = [(b"content-length", str(len(body)).encode())]
        case how:
            framing = [(b"transfer-encoding", b"chunked")]
            size = draw(st.integers(1, 9))
            parts = [body[at : at + size] for at in range(0, len(body), size)]
            behind = b"authorization: Bearer x\r\n" if how == "trailer" else b""
            sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + behind + b"\r\n"
    lines = b"".join(b"%s: %s\r\n" % line for line in [*headers, *asked, *framing])
    data = f"{method} {path} HTTP/1.1\r\n".encode() + lines + b"\r\n" + sent
    # Nobody is told of a protocol that is not spoken here.
    kept = [line for line in [*headers, *asked, *framing] if line[0] != b"upgrade"]
    return Sent(data, (method, path, kept, body))


def connected(application: ASGIApp) -> tuple[Connection, Line]:
    """A connection of a client to this application."""
    config = uvicorn.Config(application, lifespan="off", log_config=None)
    config.load()
    connection, line = limited(LIMITS)(config, ServerState(), {}), Line()
    connection.connection_made(line)
    return connection, line


async def heard(parts: list[bytes], expected: int) -> tuple[list[Seen], Line]:
    """What an application is asked, where these parts come one after the other."""
    seen = list[Seen]()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message: Message = await receive()
            assert message["type"] == "http.request"
            body, more = body + message["body"], message["more_body"]
        seen.append((scope["method"], scope["path"], list(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    connection, line = connected(application)
    with anyio.fail_after(BOUND):
        for part in parts:
            connection.data_received(part)
            await anyio.lowlevel.checkpoint()
        while (len(seen) < expected and not line.is_closed) or connection.tasks:
            await anyio.lowlevel.checkpoint()
    connection.connection_lost(ConnectionError())
    return seen, line


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(1, 60), max_size=40))
@effort(deadline=None, max_examples=300)
def test_requests_are_the_same_however_their_bytes_come(sent: list[Sent], sizes: list[int]):
    data, parts = b"".join(each.data for each in sent), list[bytes]()
    for size in sizes:
        parts, data = [*parts, data[:size]], data[size:]
    parts = [part for part in [*parts, data] if part]
    seen, line = anyio.run(heard, parts, len(sent))
    assert seen == [each.seen for each in sent]
    assert line.written.count(b"HTTP/1.1 200") == len(sent) and not line.is_closed


@pytest.mark.parametrize("behind", [b"\0\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\nx : y\r\n\r\n"])
@pytest.mark.parametrize("is_split", [False, True])
async def test_what_comes_behind_a_request_spoils_nothing_of_it(behind: bytes, is_split: bool):
    whole = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}" * 2
    seen, line = await heard([whole, behind, behind] if is_split else [whole + behind * 2], 2)
    assert [each[3] for each in seen] == [b"{}", b"{}"]
    assert line.written.startswith(b"HTTP/1.1 200") and line.written.count(b"HTTP/1.1 200") == 2 and line.is_closed


@pytest.mark.parametrize("opening", [b"1;", b"1\r\nx\r\n0\r\nx: ", b"0\r\nx: ", b"1\r\nx\r\n" * 200_000])
async def test_what_comes_with_a_body_and_is_none_of_it_has_an_end(opening: bytes):
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    connection, line = connected(waits)
    connection.data_received(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
    sent = 0
    while not line.is_closed and sent < 4 * LIMITS.body_bytes:
        part = opening[sent:][:1000] or b"x" * 1000
        connection.data_received(part)
        sent += len(part)
    assert line.written.startswith(b"HTTP/1.1 400") and sent > 2 * LIMITS.body_bytes
    connection.connection_lost(ConnectionError())
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_request_that_outlasts_the_server_is_told_so(is_begun: bool):
    async def lasts(scope: Scope, receive: Receive, send: Send) -> None:
        if is_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep_forever()

    connection, line = connected(lasts)
    connection.data_received(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await anyio.lowlevel.checkpoint()
    (task,) = connection.tasks
    # As uvicorn does it once its patience is over.
    task.cancel()
    await anyio.wait_all_tasks_blocked()
    assert task.done() and not task.cancelled() and task.exception() is None
    if is_begun:
        assert line.written.startswith(b"HTTP/1.1 200") and line.written.endswith(b"\r\n0\r\n\r\n")
    else:
        assert line.written.startswith(b"HTTP/1.1 503") and line.written.endswith(b"The server is ending. Call again.")
    connection.connection_lost(ConnectionError())
