"""Python's collector of garbage, kept from looking again and again through what stays."""

import gc
import time
from collections.abc import Generator
from contextlib import contextmanager

_LONGEST = 0.02
"""Seconds that a collection may take."""


class _Collections:
    """Hears of each collection, and sets aside what one looked through that took too long."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._began = 0.0

    def hear(self, phase: str, about: dict[str, int]) -> None:
        if about["generation"] < 2:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > self._longest:
            # What it left alive: a catalog of sixteen hundred models, mostly, which keeps every call waiting for a
            # sixth of a second each time. What dies of it by itself is freed all the same, and circles of it after the
            # next refresh, which takes it back.
            gc.freeze()


@contextmanager
def spared(longest: float = _LONGEST) -> Generator[None]:
    """While it lasts, what a collection of more than so many seconds left alive is not looked through again."""
    collections = _Collections(longest)
    gc.callbacks.append(collections.hear)
    try:
        yield
    finally:
        gc.callbacks.remove(collections.hear)
        gc.unfreeze()
