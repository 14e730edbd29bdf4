"""What stays is looked through once, and what dies is collected all the same."""

import gc
import weakref

from fal_mcp.machine import collector


class Circle:
    def __init__(self) -> None:
        self.other = self


def test_what_a_long_collection_left_alive_is_looked_through_once_and_what_comes_after_it_always():
    with collector.spared(longest=0):
        gc.collect()
        set_aside = gc.get_freeze_count()
        circle = Circle()
        known = weakref.ref(circle)
        del circle
        gc.collect()
        assert set_aside > 1000 and known() is None
    assert gc.get_freeze_count() == 0


def test_a_short_collection_sets_nothing_aside_and_nothing_listens_afterwards():
    before = list(gc.callbacks)
    with collector.spared(longest=60):
        gc.collect()
        assert gc.get_freeze_count() == 0
    assert gc.callbacks == before
