"""What was said of a job while it is followed, for everybody who waits for it, each from where they came in."""

from collections import deque

import anyio

from fal_mcp.client.status import Status
from fal_mcp.jobs.turns import Waiting

_MOST_KEPT = 400


class StatusLog:
    """The last statuses of one job, and how many there were."""

    def __init__(self) -> None:
        # Bounded: a job of hours says thousands of things, and who waits only needs the last of them.
        self._last: deque[Status | Waiting] = deque(maxlen=_MOST_KEPT)
        self._count = 0
        self._changed = anyio.Event()

    def add(self, status: Status | Waiting) -> None:
        """One more; whoever waits hears of it."""
        self._last.append(status)
        self._count += 1
        self.ring()

    def ring(self) -> None:
        """Have everybody who waits look: there is news, or the job is over."""
        # A new event each time: everybody who waits has the old one, and none can miss it.
        self._changed.set()
        self._changed = anyio.Event()

    def is_after(self, seen: int) -> bool:
        """Whether there were more statuses than these."""
        return self._count > seen

    async def after(self, seen: int, *, is_over: bool) -> tuple[list[Status | Waiting], int]:
        """The statuses after the first `seen`, as soon as there is one, and how many there were. Of a job that is over
        nothing more is waited for."""
        changed = self._changed
        if self._count == seen and not is_over:
            await changed.wait()
        # Who was away for long may have missed more than is kept.
        fresh = min(self._count - seen, len(self._last))
        return list(self._last)[len(self._last) - fresh :], self._count
