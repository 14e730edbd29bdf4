"""A report of fal's on a period, its buckets followed from page to page, and its totals of the period before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.openapi.operation import Operation
from fal_mcp.tools import pages
from fal_mcp.tools.tool import Call
from fal_mcp.toolsets import period
from fal_mcp.toolsets.period import Period

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The rows of one stretch of time; `start` is as fal wrote it."""

    start: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """What fal reports; `before` is None where there is no report of the period before, and `why_not` says why."""

    period: Period
    summary: tuple[Row, ...]
    series: tuple[Bucket, ...]
    before: tuple[Row, ...] | None
    why_not: str
    is_cut: bool
    """Whether there are more buckets than were asked for."""


async def fetch(operation: Operation, given: Mapping[str, Any], call: Call) -> Compared:
    """The report that these arguments ask for; `expand` among them names summary and time_series.

    Raises:
        FalError: what fal has against it. Of the period before nothing is raised.
    """
    when = period.of(given, datetime.now(UTC))
    asked = {**given, **when.arguments}
    report = await pages.fetch(operation, asked, call)
    before, why_not = await _before(operation, asked, when.before(), call)
    return Compared(
        when,
        rows(report.get("summary")),
        tuple(_bucket(one) for one in rows(report.get("time_series"))),
        before,
        why_not,
        is_cut=bool(report.get("next_cursor")),
    )


async def _before(
    operation: Operation, asked: Mapping[str, Any], when: Period | None, call: Call
) -> tuple[tuple[Row, ...] | None, str]:
    if when is None:
        return None, "the calendar does not go back so far"
    given = {name: value for name, value in asked.items() if name != "limit"}
    # It was widened already: once more, and it would reach into the period that it is compared with.
    given |= {**when.arguments, "bound_to_timeframe": "false"}
    given["expand"] = [one for one in asked["expand"] if one != "time_series"]
    try:
        return rows((await pages.send(operation, given, call)).get("summary")), ""
    except FalError as error:
        return None, error.message.rstrip(".")


def rows(found: Any) -> tuple[Row, ...]:
    """A list of objects.

    Raises:
        ServiceFailed: it is something else.
    """
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in cast(list[Any], found)):
        raise ServiceFailed("fal's report has no rows where they belong.")
    return tuple(cast(list[Row], found))


def _bucket(one: Row) -> Bucket:
    return Bucket(str(one.get("bucket", "")), rows(one.get("results")))
