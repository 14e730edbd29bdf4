"""The period that a report is of, and the equally long one before it. Pure. Fact F6.1."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fal_mcp.json_values import JsonMapping

_DAY = timedelta(days=1)
_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": _DAY, "week": 7 * _DAY}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to before `end`, both in one time zone, told in buckets of `timeframe`."""

    start: datetime
    end: datetime
    timeframe: str

    @property
    def arguments(self) -> dict[str, str]:
        """It, as an operation takes it: with the offset, so that fal reads a date as it was meant."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat(), "timeframe": self.timeframe}

    def before(self) -> "Period | None":
        """The one that ends where this begins, as long by the clock on the wall; None where the calendar has none."""
        try:
            return Period(self.start - (self.end - self.start), self.start, self.timeframe)
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} ({self.start.tzinfo})"


def of(arguments: JsonMapping, now: datetime) -> Period:
    """The period that these arguments of an operation ask for, as fal widens it to whole buckets; what has not
    happened yet is no part of it."""
    zone = ZoneInfo(arguments.get("timezone") or "UTC")
    now = now.astimezone(zone).replace(microsecond=0)
    end = _moment(arguments.get("end"), zone) or now
    start = _moment(arguments.get("start"), zone) or end - _DAY
    timeframe: str = arguments.get("timeframe") or _fitting(end - start)
    start, end = _floor(start, timeframe), _ceiling(end, timeframe)
    return Period(start, min(end, now) if start < now else end, timeframe)


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _fitting(length: timedelta) -> str:
    """The timeframe that fal chooses for a period of this length."""
    if length < timedelta(hours=2):
        return "minute"
    days = length / _DAY
    return "hour" if days < 2 else "day" if days < 64 else "week" if days < 183 else "month"


def _floor(at: datetime, timeframe: str) -> datetime:
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


def _ceiling(at: datetime, timeframe: str) -> datetime:
    floor = _floor(at, timeframe)
    if floor == at:
        return at
    return _floor(floor + 32 * _DAY, "month") if timeframe == "month" else floor + _STEPS[timeframe]


def minute(moment: str) -> str:
    """A moment as fal writes it, to the minute and in UTC; as it is where it is none."""
    try:
        time = datetime.fromisoformat(moment)
        return f"{time.astimezone(UTC):%Y-%m-%dT%H:%MZ}" if time.tzinfo else moment
    # The calendar ends before what can be written of it does.
    except (ValueError, OverflowError):
        return moment
