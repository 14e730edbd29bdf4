"""When a request is sent again, as data: whether, how often, and how long all of it may take."""

import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

import anyio

# The list of fal's Python client. 500 is not in it: that is the model's own answer, and final.
TRANSIENT = frozenset({408, 409, 425, 429, 502, 503, 504})
"""Answers after which the same question may well be answered in a moment."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
# Seconds; with less not even the shortest pause and a second try would fit.
_SHORTEST_PATIENCE = 2.0
# Seconds; some of fal's reports take as long, and would never be had by whoever waits for no job.
_SHORTEST_SILENCE = 20.0
_LEAST_SILENCE = 5.0


@dataclass(frozen=True, slots=True)
class Retry:
    """`never`; only `if_not_received`, which is for what costs money; or `always`, for what changes nothing twice.

    `longest` is in seconds from the first attempt on: what fal asks for with `Retry-After` is waited in full or, where
    that is longer than what is left, not at all, and the error says how long fal asked for. `patience` is how long
    after the first attempt an answer has to begin, at the latest.
    """

    when: Literal["never", "if_not_received", "always"]
    attempts: int = 6
    longest: float = 20.0
    statuses: frozenset[int] = TRANSIENT
    patience: float = math.inf

    def within(self, patience: float) -> "Retry":
        """The same for whoever waits so many seconds for an answer."""
        longest = min(self.longest, max(patience, _SHORTEST_PATIENCE))
        return replace(self, longest=longest, patience=max(patience, _SHORTEST_SILENCE))

    def left(self, elapsed: float) -> float:
        """Seconds within which an answer has to begin, so long after the first attempt."""
        return max(self.patience - elapsed, _LEAST_SILENCE)

    def pause(self, attempt: int, elapsed: float, asked: float | None = None) -> float | None:
        """Seconds until the next try after try number `attempt`, from 0; None where there is none."""
        if self.when == "never" or attempt >= self.attempts - 1:
            return None
        seconds = pause(attempt, asked)
        # Not shortened to what is left: coming back sooner than fal asked for is to be refused again.
        return seconds if elapsed + seconds <= self.longest else None


NEVER = Retry("never")
IF_NOT_RECEIVED = Retry("if_not_received")
ALWAYS = Retry("always")


@dataclass(frozen=True, slots=True)
class Clock:
    """What the client knows of time; tests give another."""

    now: Callable[[], float] = anyio.current_time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


def pause(attempt: int, asked: float | None = None, longest: float = _LONGEST_PAUSE) -> float:
    """Seconds to wait after try number `attempt` (from 0): doubling from 0.25 to `longest`, half to one and a half.

    What fal asked for with `Retry-After` is waited in full.
    """
    # Half and a half more at random, so that many who were refused at once do not come back at once.
    own = min(_FIRST_PAUSE * 2 ** min(attempt, 30), longest) * random.uniform(0.5, 1.5)
    return max(own, asked or 0.0)
