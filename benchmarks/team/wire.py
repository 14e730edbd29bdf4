"""HTTP as cheap as it gets, for many callers at once: requests made beforehand, answers cut out and nothing more.

Over the system's sockets, as all callers share one core with what they measure.
"""

import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio

_LONGEST = 120.0
_LONGEST_IDLE = 30.0
"""Seconds; nginx closes a connection after 75 of them, without a word to who is about to use it."""
_AT_ONCE = 64 * 1024
_HERE = "127.0.0.1"
T = TypeVar("T")


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

    line: socket.socket
    """Which waits for nothing; a TLS one where the connection is one."""
    used: float = 0.0
    _read: bytearray = field(default_factory=bytearray)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer.

        Raises:
            Broken: the connection ended first.
        """
        await self.send(request)
        return await self._answer()

    async def send(self, data: bytes) -> None:
        """Send that and no more.

        Raises:
            Broken: the connection has ended.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[await self._done(partial(self.line.send, rest), anyio.wait_writable) :]

    async def greet(self) -> None:
        """Shake hands, where it is a TLS one.

        Raises:
            Broken: that failed.
        """
        if isinstance(self.line, ssl.SSLSocket):
            await self._done(self.line.do_handshake, anyio.wait_readable)

    def close(self) -> None:
        """Let go of it, whatever is on its way."""
        self.line.close()

    async def _receive(self) -> bytes:
        data = await self._done(partial(self.line.recv, _AT_ONCE), anyio.wait_readable)
        if not data:
            raise Broken("It was closed.")
        return data

    async def _done(self, step: Callable[[], T], wait: Callable[[socket.socket], Awaitable[None]]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await anyio.wait_readable(self.line)
            except ssl.SSLWantWriteError:
                await anyio.wait_writable(self.line)
            except BlockingIOError:
                await wait(self.line)
            except OSError as error:
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
            self._read += await self._receive()
        found = bytes(self._read[:end])
        del self._read[: end + len(mark)]
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._read += await self._receive()
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
            connection.close()
            raise
        if answer.header(b"connection").lower() == "close":
            connection.close()
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
            connection.close()
        return await self.connected()

    async def open(self, count: int) -> None:
        """Have so many connections, before anything is measured."""
        while len(self._free) < count:
            self._free.append(await self.connected())

    async def connected(self) -> Connection:
        """A new connection."""
        line = socket.create_connection((_HERE, self._port), timeout=_LONGEST)
        line.setblocking(False)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._trusts is not None:
            line = self._trusts.wrap_socket(line, server_hostname=_HERE, do_handshake_on_connect=False)
        connection = Connection(line, time.monotonic())
        await connection.greet()
        return connection

    async def aclose(self) -> None:
        """Close all that are free."""
        while self._free:
            self._free.pop().close()
