"""How often something happened in a stretch of time, for reports of what never did.

A name has its number for each day, drawn from both, and shares it out evenly among the day's minutes: reports of the
same time add up to the same in every timeframe, and one day differs from the next.
"""

import functools
import random
from datetime import UTC, date, datetime, timedelta

_DAY_MINUTES = 24 * 60


def between(name: str, most_a_day: int, start: datetime, end: datetime) -> int:
    """How often from `start` to before `end`; on a whole day in UTC a third of `most_a_day` at least."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    days = (first.date() + timedelta(days=number) for number in range((last.date() - first.date()).days + 1))
    whole = sum(_of_day(name, most_a_day, day) for day in days)
    before = _share(_of_day(name, most_a_day, first.date()), first)
    after = _of_day(name, most_a_day, last.date()) - _share(_of_day(name, most_a_day, last.date()), last)
    return whole - before - after


def _share(number: int, until: datetime) -> int:
    return number * (until.hour * 60 + until.minute) // _DAY_MINUTES


@functools.cache
def _of_day(name: str, most: int, day: date) -> int:
    return random.Random(f"{name} {day}").randint(most // 3, most)
