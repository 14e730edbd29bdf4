"""A proxy before PostgreSQL that loses a connection in the commit of a chosen transaction, or stops handing it on."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import anyio.abc

_SYNC = b"S\0\0\0\4"
"""What ends a request, in PostgreSQL's protocol."""
_FLUSH = b"H\0\0\0\4"


@dataclass(frozen=True, slots=True)
class Cut:
    """Lose the connection that commits a transaction in which `words` was sent: before the store heard of the commit,
    or, with `is_taken`, between it and its answer. The next connection is let through, unless it `stays_away`."""

    words: str
    is_taken: bool
    stays_away: bool = False


class Proxy:
    """What stands between; `cut` is what it is about to do, and None once it is done."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = ""
        self.cut: Cut | None = None
        self.is_away = False
        self.silent_for = 0.0
        """Nothing is handed on for so many seconds, and no connection is closed: as of a machine that stands still."""
        self.stop: bytes | None = None
        """The connection on which this is said is handed on no further than to the end of the request, and not that end
        where it comes by itself: as of a server that is stopped at the worst moment."""
        self.stopped = anyio.Event()

    async def serve(self, visitor: anyio.abc.SocketStream) -> None:
        """Hand on what one connection says."""
        if self.is_away:
            await visitor.aclose()
            return
        if self.silent_for:
            async with visitor:
                await anyio.sleep(self.silent_for)
            return
        async with visitor, await anyio.connect_tcp("127.0.0.1", self.port) as store:
            await _Line(self, visitor, store).hand_on()

    @property
    def is_due(self) -> bool:
        """Whether it has yet to do it."""
        return self.cut is not None

    def meant(self, said: bytes) -> Cut | None:
        """What is to be done with the connection on which this was said since its transaction began."""
        cut = self.cut
        if cut is None or b"COMMIT" not in said or cut.words.encode() not in said:
            return None
        self.cut, self.is_away = None, cut.stays_away
        return cut


class _Line:
    def __init__(self, proxy: Proxy, visitor: anyio.abc.SocketStream, store: anyio.abc.SocketStream) -> None:
        self._proxy = proxy
        self._visitor = visitor
        self._store = store
        self._is_mute = False
        self._answered = anyio.Event()

    async def hand_on(self) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._back, tasks.cancel_scope)
                await self._there()
                tasks.cancel_scope.cancel()

    async def _there(self) -> None:
        said = b""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for chunk in self._visitor:
                if self._proxy.silent_for:
                    await anyio.sleep(self._proxy.silent_for)
                    return
                said = chunk if b"BEGIN" in chunk else said + chunk
                cut = self._proxy.meant(said)
                if cut is None:
                    await self._store.send(chunk)
                    if self._proxy.stop is not None and self._proxy.stop in chunk:
                        await self._stop(chunk)
                    continue
                if cut.is_taken:
                    self._is_mute = True
                    await self._store.send(chunk)
                    await self._answered.wait()
                return

    async def _stop(self, said: bytes) -> None:
        self._proxy.stop = None
        while not said.endswith((_SYNC, _SYNC + _FLUSH)):
            said = await self._visitor.receive()
            if said != _SYNC:
                await self._store.send(said)
        self._proxy.stopped.set()
        await anyio.sleep_forever()

    async def _back(self, over: anyio.CancelScope) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async for chunk in self._store:
                if self._is_mute:
                    self._answered.set()
                    return
                await self._visitor.send(chunk)
        over.cancel()


@asynccontextmanager
async def proxied(address: str) -> AsyncGenerator[Proxy]:
    """A proxy before the database at this address."""
    parts = urlsplit(address)
    assert parts.port is not None
    proxy = Proxy(parts.port)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        proxy.address = address.replace(f":{parts.port}/", f":{port}/")
        yield proxy
        tasks.cancel_scope.cancel()
