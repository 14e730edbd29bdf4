"""A period of time and the buckets it is reported in. Fact F6.1."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Request, moment

Timeframe = Literal["minute", "hour", "day", "week", "month"]
_DAY = timedelta(days=1)
_LONGEST = timedelta(days=366)
_STEPS: dict[str, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": _DAY,
    "week": 7 * _DAY,
}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, in a time zone, in buckets of one timeframe."""

    start: datetime
    end: datetime
    timeframe: Timeframe

    def buckets(self) -> Iterator[tuple[datetime, datetime]]:
        """Each bucket's start and its end, the first of them at `start`."""
        at = self.start
        while at < self.end:
            after = _next(at, self.timeframe)
            yield at, min(after, self.end)
            at = after


def period(request: Request) -> Period:
    """The period asked for, by default the last 24 hours; bound to whole buckets unless asked otherwise.

    Raises:
        Refused: it ends before it starts, or is in no known time zone.
    """
    try:
        zone = ZoneInfo(request.query.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Refused(400, "Unknown timezone") from error
    start, end = (one.astimezone(zone) for one in span(request))
    timeframe = cast(Timeframe, request.query.get("timeframe") or _fitting(end - start))
    if request.query.get("bound_to_timeframe", "true") == "true":
        start = _floor(start, timeframe)
        # The last bucket is whole too, unless the period ends exactly where it begins.
        end = end if end == _floor(end, timeframe) else _next(end, timeframe)
    return Period(start, end, timeframe)


def span(request: Request) -> tuple[datetime, datetime]:
    """The start and the exclusive end that were asked for, by default the last 24 hours."""
    end = moment(request.query["end"]) if "end" in request.query else datetime.now(UTC)
    start = moment(request.query["start"]) if "start" in request.query else end - _DAY
    if not start < end <= start + _LONGEST:
        raise Refused(400, "start must be before end, by a year at most")
    return start, end


def _fitting(length: timedelta) -> Timeframe:
    if length < timedelta(hours=2):
        return "minute"
    days = length / _DAY
    return "hour" if days < 2 else "day" if days < 64 else "week" if days < 183 else "month"


def _floor(at: datetime, timeframe: Timeframe) -> datetime:
    at = at.replace(second=0, microsecond=0)
    if timeframe == "minute":
        return at
    at = at.replace(minute=0)
    if timeframe == "hour":
        return at
    at = at.replace(hour=0)
    if timeframe == "week":
        return at - at.weekday() * _DAY
    return at.replace(day=1) if timeframe == "month" else at


def _next(at: datetime, timeframe: Timeframe) -> datetime:
    """The start of the bucket after the one that `at` is in."""
    floor = _floor(at, timeframe)
    # 32 days after its beginning is in the next month, whatever the month.
    return _floor(floor + 32 * _DAY, "month") if timeframe == "month" else floor + _STEPS[timeframe]
