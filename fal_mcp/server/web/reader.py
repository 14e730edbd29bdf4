"""What of a connection's bytes are requests: uvicorn's reading of them, and how much it may come to.

By the parser in C, as the one in Python takes half of all that a refused request costs. uvicorn bounds with it neither
how long a head is, nor what comes with a body and is none of it, nor how many requests come before the first is
answered.
"""

from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
    _part_bytes = 0
    """What came while it was in that."""
    is_spoilt = False
    """Whether something came that is no request: nothing more is read."""

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        # There is none before the first.
        return not getattr(self.cycle, "response_complete", True)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.part = "head"

    def on_header(self, name: bytes, value: bytes) -> None:
        # What stands behind a body is no header: by then the guard has looked at those.
        if self.part == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if head > self.limits.head_bytes or len(self.pipeline) >= _MOST_AHEAD:
            raise _NotTaken
        # Neither a proxy's forms of a target nor a version that has none of this: no client of ours speaks so.
        if self.url[:1] != b"/" or self.parser.get_http_version() not in _VERSIONS:
            raise _NotTaken
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.part = "body"

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self.part = None

    def _parse(self, data: bytes) -> None:
        part = self.part
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nothing is upgraded here, and the parser would take the body of such a request for the next one.
            head, self.parser = self._not_upgraded(), httptools.HttpRequestParser(self)
            self._parse(head + data[upgrade.args[0] :])
            return
        self._part_bytes = self._part_bytes + len(data) if self.part == part else 0
        # What a body holds is counted where it is read; here it is what else may be sent with one, and without an end.
        most = {"head": self.limits.head_bytes, "body": self.limits.head_bytes + 2 * self.limits.body_bytes}
        if self.part is not None and self._part_bytes > most[self.part]:
            raise httptools.HttpParserError("It is too long.")

    def _not_upgraded(self) -> bytes:
        """The head that was read last, as one that asks for no other protocol."""
        parts = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            parts += [] if name == b"upgrade" else [name, b": ", value, b"\r\n"]
        return b"".join([*parts, b"\r\n"])

    def _refuse(self) -> None:
        # Without a line of the log: whoever likes to sends as many.
        if self.part != "body" and self.is_answering:
            # Those before it were whole, and are answered first.
            self.is_spoilt, self.part, self.cycle.keep_alive = True, None, False
        else:
            self.send_400_response("Invalid HTTP request received.")
