"""How one request is followed: what was told of it, how soon to ask again, and when fal's "not known" is believed.

Asks nothing itself: `queue` streams and polls, and tells it what came.
"""

import inspect
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fal_mcp.client.retry import pause
from fal_mcp.client.status import Completed, Lines, Status, UnknownWord
from fal_mcp.errors import FalError, NotFound

FASTEST_POLL = 0.5
"""Seconds; fal is never asked more than twice a second about one request."""
SLOWEST_POLL = 5.0

Trouble = Callable[[FalError], Awaitable[None] | None]
"""Told what stands in the way of following a request, each time; the following goes on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a request is followed where there is trouble, in seconds.

    `slowest` is the longest pause between two questions, `Retry-After` included; `unknown_for` is how long fal has to
    say that it does not know the request, and `unknown_times` how often, before it is believed.
    """

    slowest: float = 30.0
    unknown_for: float = 60.0
    unknown_times: int = 4


class Following:
    """What is known while one request is followed: the lines that were told, and how long there has been trouble."""

    def __init__(
        self,
        pace: Pace,
        now: Callable[[], float],
        trouble: Trouble | None,
    ) -> None:
        self.is_over = False
        self._pace = pace
        self._now = now
        self._trouble = trouble
        self._lines = Lines()
        self._interval = FASTEST_POLL
        self._troubles = 0
        self._unknown: list[float] = []
        self._puzzles = 0

    @property
    def is_puzzled(self) -> bool:
        """Whether fal has said several times in a row what nobody knows the meaning of."""
        return self._puzzles >= self._pace.unknown_times

    def passed(self, status: Status) -> Status:
        """A status with what is new of it; whatever trouble there was is over."""
        # Any status at all shows that fal knows the request, so that what was counted against it begins anew.
        self._troubles, self._puzzles = 0, 0
        self._unknown.clear()
        self.is_over = isinstance(status, Completed)
        return self._lines.only_new(status)

    async def in_trouble(self, error: FalError) -> float:
        """Tell a trouble; the seconds to wait.

        Raises:
            NotFound: fal has said for long enough that it does not know the request.
        """
        self._puzzles = self._puzzles + 1 if isinstance(error, UnknownWord) else 0
        if self._is_unknown(error):
            raise error
        if self._trouble is not None and inspect.isawaitable(heard := self._trouble(error)):
            await heard
        self._troubles += 1
        # Bounded, unlike for other questions: somebody waits for this job, and a minute of silence looks like a lost
        # one.
        wait = min(error.retry_after or 0.0, self._pace.slowest)
        # Half more may come at random: so the longest pause is `slowest` and no more.
        return max(FASTEST_POLL, pause(self._troubles, wait, self._pace.slowest / 1.5))

    def interval(self) -> float:
        """The seconds until the next poll where all is well."""
        # Never sooner than planned: many jobs that were begun together must drift apart, and still stay below fal's
        # limit.
        seconds = self._interval * random.uniform(1.0, 1.2)
        self._interval = min(self._interval * 1.3, SLOWEST_POLL)
        return seconds

    def _is_unknown(self, error: FalError) -> bool:
        # A page of a proxy with 404 says nothing about the request.
        if not (isinstance(error, NotFound) and error.is_fals_own):
            return False
        # A request that was just submitted is not known everywhere at fal yet, and a gateway may say 404 for its own
        # reasons: a job that runs is paid for, so one such word is not believed, nor several within a moment.
        self._unknown.append(self._now())
        is_often = len(self._unknown) >= self._pace.unknown_times
        return is_often and self._unknown[-1] - self._unknown[0] >= self._pace.unknown_for
