"""HTTP as cheap as it gets, for many callers at once: requests made beforehand, answers cut out and nothing more."""

import ssl
import time
from collections import deque
from dataclasses import dataclass, field

import anyio
import anyio.abc
from anyio.streams.tls import TLSStream

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


@dataclass(slots=True)
class Connection:
    """One connection, for one request at a time."""

    stream: TLSStream | anyio.abc.SocketStream
    used: float = 0.0
    _read: bytearray = field(default_factory=bytearray)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            Broken: the connection ended first.
        """
        try:
            await self.stream.send(request)
            return await self._answer()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError) as error:
            raise Broken(repr(error)) from error

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
            self._read += await self.stream.receive()
        found = bytes(self._read[:end])
        del self._read[: end + len(mark)]
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._read += await self.stream.receive()
        found = bytes(self._read[:size])
        del self._read[:size]
        return found


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
            with anyio.fail_after(_LONGEST):
                answer = await connection.ask(request)
        except BaseException:
            await anyio.aclose_forcefully(connection.stream)
            raise
        if answer.header(b"connection").lower() == "close":
            await anyio.aclose_forcefully(connection.stream)
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
            await anyio.aclose_forcefully(connection.stream)
        return await self.connected()

    async def open(self, count: int) -> None:
        """Have so many connections, before anything is measured."""
        while len(self._free) < count:
            self._free.append(await self.connected())

    async def connected(self) -> Connection:
        """A new connection."""
        if self._trusts is None:
            return Connection(await anyio.connect_tcp("127.0.0.1", self._port), time.monotonic())
        stream = await anyio.connect_tcp(
            "127.0.0.1", self._port, ssl_context=self._trusts, tls_standard_compatible=False
        )
        return Connection(stream, time.monotonic())

    async def aclose(self) -> None:
        """Close all that are free."""
        while self._free:
            await anyio.aclose_forcefully(self._free.pop().stream)
