"""How long what waits for PostgreSQL may wait: less once the server ends."""

import math
import time

_LONGEST_SILENCE = 12.0
"""Seconds. Longer than the database lets a statement take: one that stands still, or a proxy before it, ends none."""
_SHORTEST = 0.5
"""Seconds that a store which answers is left, however late it is."""


class Patience:
    """One store's, for all of its connections; told by one thread and asked by others."""

    def __init__(self) -> None:
        self._until = math.inf
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the server ends and the store was found silent: nothing more is asked of it."""
        return self._is_over

    def hurry(self, seconds: float) -> None:
        """The server ends: what is silent in so many seconds is given up."""
        self._until = min(self._until, time.monotonic() + seconds)

    def deadline(self, began: float, longest: float = _LONGEST_SILENCE) -> float:
        """Until when what began then may wait."""
        return max(min(began + longest, self._until), began + _SHORTEST)

    def give_up(self) -> None:
        """The store was silent for as long as it might be."""
        self._is_over = self._until < math.inf
