"""A clock of the tests' own: an event loop that does not wait for a time to come, but goes to it.

An hour without a network takes no longer than the work done in it. Only what really waits (a thread, a process, a
socket) is waited for: time stands still as long as there is any.
"""

import asyncio  # noqa: TID251 - the loop is asyncio's
import random
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
_REAL_PAUSE = 0.0005
"""Seconds that a thread at work is given before the loop looks again."""


class _Selector(selectors.BaseSelector):
    """Asks the real one what is ready now; where nothing is, moves the clock to the next thing that is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self.until = float("inf")
        """When, by the real clock, it has been at it for too long."""
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if time.monotonic() > self.until:
            raise TimeoutError("Nothing that is waited for comes, however far the clock is moved.")
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or _at_work():
            return self._real.select(_REAL_PAUSE if timeout is not None else None)
        self.now += max(timeout, 0.0)
        return []


def _at_work() -> bool:
    """Whether one of anyio's threads has something to do; one that has nothing is in their list of idle ones."""
    threads = [(thread, getattr(thread, "idle_workers", None)) for thread in threading.enumerate()]
    return any(idle is not None and thread not in idle for thread, idle in threads)


class Clock(asyncio.SelectorEventLoop):
    """The loop; `anyio.run(…, backend_options={"loop_factory": Clock})`."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def bound(self, seconds: float) -> None:
        """Give up after so many real seconds."""
        self._clock.until = time.monotonic() + seconds

    def time(self) -> float:
        return self._clock.now


def run(function: Callable[..., Awaitable[T]], *arguments: Any, within: float = 30.0) -> T:
    """Run it by this clock; the same every time, for what is left to chance on the way too.

    Raises:
        TimeoutError: it took longer than so many real seconds.
    """
    random.seed(0)

    def loop() -> Clock:
        clock = Clock()
        clock.bound(within)
        return clock

    return anyio.run(function, *arguments, backend_options={"loop_factory": loop})
