"""HTTP as cheap as it gets, for many callers at once: requests made beforehand, answers cut out and nothing more.

On the event loop's own transports: callers share the machine with what they measure, and streams over them take as long
as the rest of a call.
"""

import asyncio  # noqa: TID251 - callers are no part of the package
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import cast

_LONGEST = 120.0
_LONGEST_IDLE = 30.0
"""Seconds; nginx closes a connection after 75 of them, without a word to who is about to use it."""


class Broken(Exception):
    """The connection ended before the answer did."""


@dataclass(slots=True)
class Answer:
    """`head` is the headers as they came."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> str:
        """A header's value; empty where there is none."""
        for line in self.head.split(b"\r\n")[1:]:
            known, _, value = line.partition(b":")
            if known.lower() == name:
                return value.strip().decode()
        return ""


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self.used = time.monotonic()
        self._read = bytearray()
        self._more: asyncio.Future[None] | None = None
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what requests go out by."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand it to who waits."""
        self._read += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._is_lost = True
        self._wake()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            Broken: the connection ended first.
            TimeoutError: no answer came.
        """
        self._transport.write(request)
        end = asyncio.get_running_loop().call_later(_LONGEST, self._give_up)
        try:
            return await self._answer()
        finally:
            end.cancel()

    def abort(self) -> None:
        """End it without a goodbye."""
        self._transport.abort()

    async def _answer(self) -> Answer:
        head = await self._until(b"\r\n\r\n")
        answer = Answer(int(head[9:12]), head, b"")
        if answer.header(b"transfer-encoding").lower() == "chunked":
            parts: list[bytes] = []
            while size := int((await self._until(b"\r\n")).split(b";")[0], 16):
                parts.append(await self._exactly(size + 2))
            await self._exactly(2)
            answer.body = b"".join(part[:-2] for part in parts)
        else:
            answer.body = await self._exactly(int(answer.header(b"content-length") or 0))
        return answer

    async def _until(self, mark: bytes) -> bytes:
        seen = 0
        while (end := self._read.find(mark, seen)) < 0:
            seen = max(len(self._read) - len(mark), 0)
            await self._receive()
        found = bytes(self._read[:end])
        del self._read[: end + len(mark)]
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            await self._receive()
        found = bytes(self._read[:size])
        del self._read[:size]
        return found

    async def _receive(self) -> None:
        if self._is_lost:
            raise Broken("The connection ended.")
        self._more = asyncio.get_running_loop().create_future()
        await self._more

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _give_up(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_exception(TimeoutError(f"No answer came in {_LONGEST:.0f} s."))


class Wire:
    """The connections to one server; as many as are used at once, and kept."""

    def __init__(self, port: int, trusts: ssl.SSLContext | None) -> None:
        self._port = port
        self._trusts = trusts
        self._free: deque[Connection] = deque()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            Broken: the connection ended first.
            TimeoutError: no answer came.
        """
        connection = await self._connection()
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.abort()
            raise
        if answer.header(b"connection").lower() == "close":
            connection.abort()
        else:
            connection.used = time.monotonic()
            self._free.append(connection)
        return answer

    async def _connection(self) -> Connection:
        while self._free:
            # The one used last; where that is too old, all are.
            connection = self._free.pop()
            if time.monotonic() - connection.used < _LONGEST_IDLE:
                return connection
            connection.abort()
        return await self.connected()

    async def open(self, count: int) -> None:
        """Have so many connections, before anything is measured."""
        while len(self._free) < count:
            self._free.append(await self.connected())

    async def connected(self) -> Connection:
        """A new connection."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port, ssl=self._trusts)
        return connection

    def close(self) -> None:
        """Close all that are free."""
        while self._free:
            self._free.pop().abort()
