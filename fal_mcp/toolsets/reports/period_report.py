"""A report of fal's on a period, its buckets followed from page to page, and its totals of the period before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from fal_mcp.errors import FalError, InvalidInput, ServiceFailed
from fal_mcp.json_values import JsonMapping, is_list, is_object
from fal_mcp.openapi import faults
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_operation, pages, rules
from fal_mcp.toolsets.reports import period
from fal_mcp.toolsets.reports.period import Period

Row = JsonMapping
_CHOSEN_HERE = frozenset({"cursor", "expand", "bound_to_timeframe"})
"""Pages are followed, the columns are those that the answer needs, and buckets are whole."""
_SAID: Mapping[str, str] = {"start": "YYYY-MM-DD; default: a day ago."}
_CHECKED_LATER = frozenset({"description", "default", "minimum", "maxItems"})
"""What of an operation's arguments is not listed; its bounds hold all the same."""


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
    is_added_up: bool = False
    """Whether fal gave no summary, and what stands for it are the rows of the buckets."""

    def gaps(self) -> list[str]:
        """What a reader would take it to hold, and it does not."""
        said: list[str] = []
        if self.before is None:
            said.append(f"The period before could not be had: {one_line(self.why_not, 300)}.")
        if self.is_cut:
            of = "them alone" if self.is_added_up else "all"
            said.append(f"Only the first {len(self.series)} buckets were fetched, as limit says; totals are of {of}.")
        return said


def schema_of(operation: Operation, ours: Mapping[str, Schema]) -> Schema:
    """The operation's arguments, in as few words as a dozen in one list can do with, and beside them `ours`."""
    whole = from_operation.schema_of(operation, "reads")
    own = {name: _brief(name, part) for name, part in whole["properties"].items() if name not in _CHOSEN_HERE}
    return {**whole, "properties": {**own, **ours}}


def _brief(name: str, part: Schema) -> Schema:
    rest = {keyword: value for keyword, value in part.items() if keyword not in _CHECKED_LATER}
    return {**rest, "description": _SAID[name]} if name in _SAID else rest


def check(operation: Operation, given: JsonMapping) -> None:
    """Refuse what the operation does not take.

    Raises:
        InvalidInput: with every fault; nothing was sent.
    """
    wrong = faults.find(operation.input_schema(), given)
    if wrong:
        raise InvalidInput(f"Refused here, before anything was sent: {'; '.join(map(str, wrong))}", faults=wrong)
    rules.check(operation, given)


async def fetch(operation: Operation, given: JsonMapping, call: Call) -> Compared:
    """The report that these arguments ask for; `expand` among them names summary and time_series.

    Raises:
        FalError: what fal has against it. Of the period before nothing is raised.
    """
    when = period.of(given, datetime.now(UTC))
    asked = {**given, **when.arguments}
    # With the period that was worked out here, so that this report and the one before it are of the same length.
    report = await pages.fetch(operation, asked, call)
    series = tuple(_bucket(one) for one in rows(report.get("time_series")))
    summary = _added_up(series) if report.get("summary") is None else rows(report["summary"])
    before, why_not = await _before(operation, asked, when.before(), call)
    is_cut, is_added_up = bool(report.get("next_cursor")), report.get("summary") is None
    return Compared(when, summary, series, before, why_not, is_cut, is_added_up)


def _added_up(series: tuple[Bucket, ...]) -> tuple[Row, ...]:
    """The rows of all buckets, where fal gave no summary of them: costs are summed from rows, however many there are.

    Raises:
        ServiceFailed: they are no costs. Percentiles of buckets make none of the whole.
    """
    every = tuple(row for bucket in series for row in bucket.rows)
    if not all("cost_total" in row or "cost" in row for row in every):
        raise ServiceFailed("fal's report has no rows where they belong.")
    return every


async def _before(
    operation: Operation, asked: JsonMapping, when: Period | None, call: Call
) -> tuple[tuple[Row, ...] | None, str]:
    if when is None:
        return None, "the calendar does not go back so far"
    # Totals only: no buckets, and so no limit on them.
    given = {name: value for name, value in asked.items() if name != "limit"}
    # It was widened already: once more, and it would reach into the period that it is compared with.
    given |= {**when.arguments, "bound_to_timeframe": "false"}
    given["expand"] = [one for one in asked["expand"] if one != "time_series"]
    try:
        return rows((await pages.send(operation, given, call)).get("summary")), ""
    except FalError as error:
        return None, error.message.rstrip(".")


def rows(found: object) -> tuple[Row, ...]:
    """A list of objects.

    Raises:
        ServiceFailed: it is something else.
    """
    if not is_list(found) or not all(is_object(one) for one in found):
        raise ServiceFailed("fal's report has no rows where they belong.")
    return tuple(cast(list[Row], found))


def _bucket(one: Row) -> Bucket:
    return Bucket(str(one.get("bucket", "")), rows(one.get("results")))
