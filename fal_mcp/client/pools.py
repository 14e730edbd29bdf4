"""The connections to fal: one pool for what is answered at once, and several for what stays open while a job runs.

`httpcore` looks through all connections of a pool, and for each idle one through all of them again, whenever one is
taken or given back: with a hundred streams open, that took longer than all else of a request.
"""

from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass

import httpx

_MOST_STREAMS = 16
"""Streams in one pool."""


@dataclass(slots=True)
class _Pool:
    client: httpx.AsyncClient
    streams: int = 0


class Pools:
    """Pools that are made with `make` when they are needed."""

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._short: httpx.AsyncClient | None = None
        self._long: list[_Pool] = []

    @property
    def short(self) -> httpx.AsyncClient:
        """The pool for what is answered at once."""
        if self._short is None:
            self._short = self._make()
        return self._short

    @contextmanager
    def held(self) -> Generator[httpx.AsyncClient]:
        """A pool for what holds its connection for long."""
        # The first that has room, so that what was opened for a rush lies idle after it.
        pool = next((pool for pool in self._long if pool.streams < _MOST_STREAMS), None)
        if pool is None:
            pool = _Pool(self._make())
            self._long.append(pool)
        pool.streams += 1
        try:
            yield pool.client
        finally:
            pool.streams -= 1

    async def aclose(self) -> None:
        """Close all of them."""
        async with AsyncExitStack() as stack:
            for client in (*([self._short] if self._short else []), *(pool.client for pool in self._long)):
                stack.push_async_callback(client.aclose)
