"""One connection of a client, which may take no longer than it should: uvicorn's, with a clock.

uvicorn limits neither the time of headers and bodies, nor that of a connection that sends nothing, nor how long an
answer waits for a client that does not read; and it does not say whether an answer went out.
"""

import re
import socket
from contextlib import suppress
from typing import Any, Protocol

import anyio
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from fal_mcp.server.web import visit
from fal_mcp.server.web.limits import WebLimits
from fal_mcp.server.web.reader import Reader
from fal_mcp.server.web.visit import Visit

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"content-length: 21\r\nconnection: close\r\n\r\nToo many connections\n"
)
_ANSWER = re.compile(rb'\A(?:event: message\r?\n)?data: \{"jsonrpc":"2\.0","id":[^{}]{1,200},"(?:result|error)":')
"""An event that holds the answer: its client may close at once, before the end of the stream is written."""
_LEAST_TAKEN = 512 * 1024
"""Bytes that a client has to take in the time for writing, where an answer has as many left."""
_UNSENT = 16 * 1024
"""Bytes that the system may hold beyond what the client has room for: the rest stays here, where it is seen."""


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Connection(Reader):
    """A connection; `limits` is set by `limited`."""

    _reading: _Timer | None = None
    _read: str | None = None
    """Which part of a request is being waited for: its head, its body, or none."""
    _writing: _Timer | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application = self.app
        self.app = self._served
        self._going_out: list[Visit] = []
        """Those whose answers are written, and not all taken."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # Paused as soon as anything is left to write, and resumed when nothing is: then all of it went out.
        transport.set_write_buffer_limits(high=0)
        # Else the system takes megabytes for a client that reads nothing.
        with suppress(AttributeError, OSError):
            line: socket.socket = transport.get_extra_info("socket")
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        if len(self.connections) > self.limits.connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._wait_for("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(None)
        self._stop_writing()
        for each in self._going_out:
            each.is_out = False
        super().connection_lost(exc)

    def eof_received(self) -> None:
        self.has_ended = True
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self.is_spoilt:
            return
        was_in_body = self.part == "body"
        super().data_received(data)
        awaited = self._awaited()
        if was_in_body and self.part is None and awaited == "head":
            # What was answered before its body had come is over only now: from here on the connection is idle.
            keep_alive, end = self.timeout_keep_alive, self.timeout_keep_alive_handler
            self.timeout_keep_alive_task, awaited = self.loop.call_later(keep_alive, end), None
        self._wait_for(awaited)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        awaited = self._awaited()
        # Between two requests the connection is idle, for which uvicorn has a clock of its own.
        self._wait_for(None if awaited == "head" else awaited)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_client()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_writing()
        for each in self._going_out:
            each.is_out = True
        self._going_out.clear()

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = False

        async def watched(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)
            if message["type"] == "http.response.body" and (
                not message.get("more_body") or _ANSWER.match(message.get("body", b""))
            ):
                self._wrote(visit.of(scope))

        try:
            await self._application(scope, receive, watched)
        except anyio.get_cancelled_exc_class():
            # The server ends, and this took too long: what nobody raised is no fault to be told in the log.
            await _cut_off(scope, receive, send, is_begun=is_begun)
        finally:
            here = visit.of(scope)
            if here.is_out is None and here not in self._going_out:
                here.is_out = False

    def _wrote(self, here: Visit) -> None:
        """All of an answer was written, or was to be."""
        if here.is_out is not None or here in self._going_out:
            return
        if self.has_ended:
            here.is_out = False
        elif self.transport.get_write_buffer_size():
            self._going_out.append(here)
        else:
            here.is_out = True

    def _awaited(self) -> str | None:
        if self.transport.is_closing():
            return None
        if self.part == "body":
            # That of one that stands behind others is not read until those are answered.
            return None if self.pipeline else "body"
        # Nor need the next come before this one is.
        return None if self.open else "head"

    def _wait_for(self, part: str | None) -> None:
        # A clock that runs goes on: else each byte of a slow request would buy time for the next.
        if part == self._read:
            return
        if self._reading is not None:
            self._reading.cancel()
        self._read, self._reading = part, None
        if part is not None:
            seconds = self.limits.head_seconds if part == "head" else self.limits.body_seconds
            # Cut and not closed: closing waits until the client has read what was written.
            self._reading = self.loop.call_later(seconds, self.transport.abort)

    def _wait_for_client(self) -> None:
        self._stop_writing()
        left = self.transport.get_write_buffer_size()
        self._writing = self.loop.call_later(self.limits.write_seconds, self._end_if_slow, left)

    def _end_if_slow(self, before: int) -> None:
        # A slow line is no reason: what is asked for again would be as large, and would never arrive.
        if before - self.transport.get_write_buffer_size() < _LEAST_TAKEN:
            self.transport.abort()
        else:
            self._wait_for_client()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


async def _cut_off(scope: Scope, receive: Receive, send: Send, *, is_begun: bool) -> None:
    if is_begun:
        await send({"type": "http.response.body"})
    else:
        answer = PlainTextResponse(
            "The server is ending. Call again.", 503, {"retry-after": "1", "connection": "close"}
        )
        await answer(scope, receive, send)


def limited(limits: WebLimits) -> type[Connection]:
    """The connections of a server with these limits."""
    return type("Limited", (Connection,), {"limits": limits})
