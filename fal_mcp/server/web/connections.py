"""One connection of a client, which may take no longer than it should: uvicorn's, with a clock.

uvicorn limits neither the time of headers and bodies, nor that of a connection that sends nothing, nor how long an
answer waits for a client that does not read.
"""

from typing import Any, ClassVar, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fal_mcp.server.web.limits import WebLimits

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"content-length: 21\r\nconnection: close\r\n\r\nToo many connections\n"
)


class _Timer(Protocol):
    def cancel(self) -> None: ...


class Connection(H11Protocol):
    """A connection; `limits` is set by `limited`."""

    limits: ClassVar[WebLimits] = WebLimits()
    _reading: _Timer | None = None
    _read: str | None = None
    """Which part of a request is being waited for: its head, its body, or none."""
    _writing: _Timer | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.write(_BUSY)
            transport.close()
            return
        self._wait_for("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(None)
        self._stop_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._wait_for(self._awaited())

    def on_response_complete(self) -> None:
        super().on_response_complete()
        awaited = self._awaited()
        # Between two requests the connection is idle, for which uvicorn has a clock of its own.
        self._wait_for(None if awaited == "head" else awaited)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_writing()
        self._writing = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_writing()

    def _awaited(self) -> str | None:
        if self.transport.is_closing():
            return None
        state = self.conn.their_state
        return "head" if state is h11.IDLE else "body" if state is h11.SEND_BODY else None

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

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


def limited(limits: WebLimits) -> type[Connection]:
    """The connections of a server with these limits."""
    return type("Limited", (Connection,), {"limits": limits})
