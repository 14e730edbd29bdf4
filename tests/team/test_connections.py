"""However the bytes of requests come, they are the same requests."""

import time
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
A_MOMENT = 0.05
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
        self.left = 0
        """What the client has not taken yet."""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def get_extra_info(self, name: str) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.left

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """One with a body of a length or in chunks, or none; some ask to upgrade, some have words behind the body, some
    blanks around what their headers say."""
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
    # Blanks around a value are no part of it.
    before, after = draw(st.sampled_from((b" ", b"", b"\t "))), draw(st.sampled_from((b"", b" ", b"  ")))
    lines = b"".join(b"%s:%s%s%s\r\n" % (name, before, value, after) for name, value in [*headers, *asked, *framing])
    data = f"{method} {path} HTTP/1.1\r\n".encode() + lines + b"\r\n" + sent
    # Nobody is told of a protocol that is not spoken here.
    kept = [line for line in [*headers, *asked, *framing] if line[0] != b"upgrade"]
    return Sent(data, (method, path, kept, body))


def connected(application: ASGIApp, limits: WebLimits = LIMITS) -> tuple[Connection, Line]:
    """A connection of a client to this application."""
    config = uvicorn.Config(application, lifespan="off", log_config=None)
    config.load()
    connection, line = limited(limits)(config, ServerState(), {}), Line()
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


BEHIND = (
    b"\0\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nx : y\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
)


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("is_split", [False, True])
async def test_what_comes_behind_a_request_spoils_nothing_of_it(behind: bytes, is_split: bool):
    whole = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}" * 2
    seen, line = await heard([whole + behind, behind] if is_split else [whole + behind * 2], 2)
    assert [each[3] for each in seen] == [b"{}", b"{}"]
    assert line.written.startswith(b"HTTP/1.1 200") and line.written.count(b"HTTP/1.1 ") == 2 and line.is_closed


@pytest.mark.parametrize("size", [40, 9000])
async def test_what_one_request_has_sent_does_not_count_for_the_next(size: int):
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    connection, line = connected(answers)
    request = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%s" % (size, b"x" * size)
    # Each packet ends in the same part of a request, and of the next one.
    stream = request * (4 * LIMITS.body_bytes // len(request))
    for at in range(30 if size == 40 else 5000, len(stream), len(request)):
        connection.data_received(stream[max(at - len(request), 0) : at])
        await anyio.wait_all_tasks_blocked()
    assert not line.is_closed
    connection.connection_lost(None)


@pytest.mark.parametrize(
    ("opening", "most"),
    [
        *[
            (opening, LIMITS.head_bytes)
            for opening in (b"1;", b"1\r\nx\r\n0\r\nx: ", b"0\r\nx: ", b"0\r\n" + b"x: y\r\n" * 9000)
        ],
        (b"1\r\nx\r\n" * 200_000, 2 * LIMITS.body_bytes),
    ],
)
async def test_what_comes_with_a_body_and_is_none_of_it_has_an_end(opening: bytes, most: int):
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
    assert line.written.startswith(b"HTTP/1.1 400") and most < sent < most + LIMITS.head_bytes + 2000
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


async def test_all_that_are_being_answered_hear_that_their_client_has_gone():
    heard = list[str]()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append((await receive())["type"])

    connection, _ = connected(stream)
    connection.data_received(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n" * 3)
    await anyio.wait_all_tasks_blocked()
    connection.connection_lost(None)
    await anyio.wait_all_tasks_blocked()
    assert heard == ["http.disconnect"] and all(task.done() for task in connection.tasks)


HASTY = WebLimits(head_seconds=A_MOMENT, body_seconds=A_MOMENT)


@pytest.mark.parametrize(
    "ahead", [b"GET /mcp HT", b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_no_answer_is_cut_for_what_stands_behind_it_and_waits(ahead: bytes):
    is_made = anyio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await is_made.wait()
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    connection, line = connected(slow, HASTY)
    connection.data_received(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n" + ahead)
    await anyio.sleep(3 * A_MOMENT)
    assert not line.is_closed
    is_made.set()
    await anyio.wait_all_tasks_blocked()
    assert line.written.startswith(b"HTTP/1.1 204")
    # From here on it is late.
    connection.data_received(b"x")
    await anyio.sleep(3 * A_MOMENT)
    assert line.is_closed
    connection.connection_lost(None)
    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("is_own", [False, True])
async def test_no_refusal_is_written_into_an_answer(is_own: bool):
    """Whether its own body is spoilt, or what stands behind it."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await is_made.wait()
        await send({"type": "http.response.body", "body": b"ended"})

    is_made, (connection, line) = anyio.Event(), connected(stream)
    framing = b"transfer-encoding: chunked\r\n\r\n" + (b"" if is_own else b"0\r\n\r\n")
    connection.data_received(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n" + framing)
    await anyio.wait_all_tasks_blocked()
    connection.data_received(b"no request\r\n\r\n")
    assert line.is_closed == is_own and line.written.endswith(b"begun\r\n")
    is_made.set()
    await anyio.wait_all_tasks_blocked()
    assert line.is_closed and b" 400 " not in line.written
    connection.connection_lost(None)


async def test_a_connection_is_idle_as_long_where_its_answer_came_before_the_body():
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body"})

    connection, line = connected(refuses, HASTY)
    connection.data_received(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n")
    await anyio.wait_all_tasks_blocked()
    connection.data_received(b"{}")
    await anyio.sleep(3 * A_MOMENT)
    assert not line.is_closed and connection.timeout_keep_alive_task is not None
    # An empty line is the beginning of the next.
    connection.data_received(b"\r\n")
    await anyio.sleep(3 * A_MOMENT)
    assert line.is_closed
    connection.connection_lost(None)


async def test_an_answer_is_cut_for_a_client_that_takes_nothing_and_not_for_a_slow_one():
    async def answers(scope: Scope, receive: Receive, send: Send) -> None: ...

    connection, line = connected(answers, WebLimits(write_seconds=A_MOMENT))
    line.left = 10_000_000
    began = time.monotonic()
    connection.pause_writing()
    with anyio.fail_after(BOUND):
        while not line.is_closed:
            # Half of it in the first moment, all but nothing in the second.
            line.left = 5_000_000 if time.monotonic() - began < A_MOMENT else 4_999_000
            await anyio.sleep(A_MOMENT / 10)
    assert time.monotonic() - began > 2 * A_MOMENT
    connection.connection_lost(None)


async def test_nothing_is_left_of_an_idle_connection_that_breaks():
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    connection, _ = connected(answers)
    connection.data_received(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await anyio.wait_all_tasks_blocked()
    assert connection.timeout_keep_alive_task is not None
    connection.connection_lost(ConnectionResetError())
    assert connection.timeout_keep_alive_task is None


async def test_what_comes_after_the_last_request_takes_nothing_from_its_answer():
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    for asked in (b"close", b"close, upgrade\r\nupgrade: h2c"):
        connection, line = connected(answers)
        request = b"GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: %s\r\n\r\n" % asked
        connection.data_received(request * 2)
        await anyio.wait_all_tasks_blocked()
        assert line.written.startswith(b"HTTP/1.1 204") and line.written.count(b"HTTP/1.1 ") == 1 and line.is_closed
        connection.connection_lost(None)
