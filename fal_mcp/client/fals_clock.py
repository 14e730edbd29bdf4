"""What time it is at fal, by the Date header of its answers: this machine's clock may be wrong."""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache

_LONGEST = 100
"""Characters; no date is longer, and what is read is remembered."""


class FalsClock:
    """fal's clock, to a second or so, as its last answer had it. `count` is in seconds, from whenever."""

    def __init__(self, count: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._heard: tuple[float, float] | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """An answer of fal's has come."""
        # What a cache gives was written when it was put there.
        if "age" not in headers and (moment := moment_of(headers.get("date"))) is not None:
            self._heard = moment, self._count()

    def now(self) -> float | None:
        """This moment at fal, in seconds since 1970; None where no answer told."""
        if self._heard is None:
            return None
        moment, at = self._heard
        return moment + self._count() - at


def moment_of(value: str | None) -> float | None:
    """An HTTP date in seconds since 1970; None for what is none."""
    return _read(value) if value and len(value) <= _LONGEST else None


# The same for all answers of a second.
@lru_cache(maxsize=8)
def _read(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
