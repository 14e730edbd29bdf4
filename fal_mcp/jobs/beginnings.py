"""Who is to hear, as soon as it is known, whether the run that a call wants begins."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

_HEARS: ContextVar[Callable[[], None] | None] = ContextVar("hears", default=None)


@contextmanager
def telling(hear: Callable[[], None]) -> Generator[None]:
    """What is begun in it tells this one."""
    before = _HEARS.set(hear)
    try:
        yield
    finally:
        _HEARS.reset(before)


def decided() -> None:
    """It is known now."""
    if (hear := _HEARS.get()) is not None:
        hear()
