"""What of a connection's bytes are requests: uvicorn's reading of them, and how much it may come to.

By the parser in C, as the one in Python takes half of all that a refused request costs. uvicorn bounds with it neither
how long a head is, nor what comes with a body and is none of it, nor how many requests come before the first is
answered.
"""

from collections import deque
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from fal_mcp.server.web.limits import WebLimits

_MOST_AHEAD = 8
"""Requests that a client may send before the first of them is answered."""
_VERSIONS = ("1.1", "1.0")


class _NotTaken(Exception):
    """More than a client may send, or what no client here has to; the parser makes a refusal of it."""


class Reader(HttpToolsProtocol):
    """The requests of one connection."""

    limits: ClassVar[WebLimits] = WebLimits()
    part: str | None = None
    """Which part of a request is being read: its head, its body, or none."""
    has_ended = False
    """Whether what is written from here on reaches nobody."""
    is_spoilt = False
    """Whether something came that is no request: nothing more is read."""
    _came = 0
    """What came of this request."""
    _came_beside = 0
    """What came of it since its head began, or since a part of its body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open: deque[RequestResponseCycle] = deque()
        """The requests that are not answered yet, as they came; uvicorn knows the last of them."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        # Else it keeps hold of this for its whole time where the client broke the connection off.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        # Else those before the last would wait for ever to hear that nobody is there.
        for each in self.open:
            each.disconnected = True
            each.message_event.set()
        self.open.clear()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.part = "head"
        self._came = self._came_beside = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        # What stands behind a body is no header: by then the guard has looked at those.
        if self.part == "head":
            # The parser leaves the blanks behind a value in it, and has framed the body by what stands before them.
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if head > self.limits.head_bytes or len(self.pipeline) >= _MOST_AHEAD:
            raise _NotTaken
        # Neither a target as a proxy gets it, which would be answered as its path, nor a version that has none of this,
        # such as the 0.9 that a line without one is taken for.
        if self.url[:1] != b"/" or self.parser.get_http_version() not in _VERSIONS:
            raise _NotTaken
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.open.append(self.cycle)
            self.part = "body"
            self._came_beside = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._came_beside = 0

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self.part = None

    def on_response_complete(self) -> None:
        self.open.popleft()
        super().on_response_complete()

    def _parse(self, data: bytes) -> None:
        self._came += len(data)
        self._came_beside += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded here, and the parser would take the body of such a request for the next one.
            head, self.parser = self._not_upgraded(), httptools.HttpRequestParser(self)
            self._parse(head + data[upgrade.args[0] :])
            return
        # What a body holds is counted where it is read; here it is what else may be sent with one, and without an end.
        # The parser keeps what stands behind a body, and copies all of that for each byte more.
        is_long = self._came_beside > self.limits.head_bytes
        if self.part is not None and (is_long or self._came > self.limits.head_bytes + 2 * self.limits.body_bytes):
            raise httptools.HttpParserError("It is too long.")

    def _not_upgraded(self) -> bytes:
        """The head that was read last, as one that asks for no other protocol."""
        parts = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            parts += [] if name == b"upgrade" else [name, b": ", value, b"\r\n"]
        return b"".join([*parts, b"\r\n"])

    def _refuse(self) -> None:
        if self.part == "body" and len(self.open) > 1:
            # Its turn had not come, and will not: the line is closed after those before it.
            self.open.pop()
        elif self.part == "body" or not self.open:
            self._refuse_now()
            return
        # Those before it were whole, and are answered first.
        self.is_spoilt, self.part, self.open[-1].keep_alive = True, None, False

    def _refuse_now(self) -> None:
        self.has_ended = True
        if self.open and self.open[0].response_started:
            # In the middle of an answer it would be a part of that.
            self.transport.close()
        else:
            # Without a line of the log: whoever likes to sends as many.
            self.send_400_response("Invalid HTTP request received.")
