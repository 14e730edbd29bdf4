"""Server-sent events, read from the pieces of an answer with a bound on each event. The reader itself is pure."""

import codecs
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from fal_mcp.client.incoming import Incoming
from fal_mcp.errors import ServiceFailed

LARGEST = 32 * 1024 * 1024
"""Characters of one event; a picture as a data URI fits many times."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its kind, `message` unless told otherwise, and what it carries."""

    kind: str
    data: str


class Reader:
    """Takes a stream of events apart, wherever its pieces are cut. Follows the HTML standard's rules for lines."""

    def __init__(self) -> None:
        # Half a character at the end of a piece waits for its other half; a byte order mark at the start is dropped.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest: list[str] = []
        self._has_return = False
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def fed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes.

        Raises:
            ServiceFailed: one is larger than it may be.
        """
        for line in self._lines(self._decoder.decode(piece)):
            if event := self._taken(line):
                yield event

    def ended(self) -> Iterator[Event]:
        """The event that nothing came after: streams that break off right behind their last line have one."""
        if last := "".join(self._rest):
            self._taken(last)
        if event := self._taken(""):
            yield event

    def _lines(self, text: str) -> Iterator[str]:
        # A piece may end between the two characters of one line end.
        if self._has_return and text.startswith("\n"):
            text = text[1:]
        if text:
            self._has_return = text.endswith("\r")
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            yield "".join((*self._rest, line))
            self._rest.clear()
        if rest:
            self._count(rest)
            self._rest.append(rest)

    def _taken(self, line: str) -> Event | None:
        if not line:
            return self._event()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._count(value)
            self._data.append(value)
        elif name == "event":
            self._kind = value
        return None

    def _event(self) -> Event | None:
        kind, data = self._kind, self._data
        # By the standard an event without data is none, whatever its kind.
        self._kind, self._data, self._size = "", [], 0
        return Event(kind or "message", "\n".join(data)) if data else None

    def _count(self, text: str) -> None:
        self._size += len(text)
        if self._size > LARGEST:
            raise ServiceFailed(f"One event of fal's stream is longer than {LARGEST} characters.", retryable=False)


async def events(incoming: Incoming) -> AsyncGenerator[Event]:
    """The events of an open answer, without the key.

    Raises:
        Unreachable: it broke off; `MaybeReceived` where it costs money.
        ServiceFailed: one event is larger than it may be.
    """
    reader = Reader()
    pieces = incoming.pieces()
    try:
        async for piece in pieces:
            for event in reader.fed(piece):
                yield Event(event.kind, incoming.masked(event.data))
    finally:
        await pieces.aclose()
    for event in reader.ended():
        yield Event(event.kind, incoming.masked(event.data))
