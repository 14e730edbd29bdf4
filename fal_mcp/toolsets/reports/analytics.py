"""Why it is slow: fal's reports of analytics, with an answer that a person can read."""

from collections.abc import Sequence
from typing import Literal

from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs import charts
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.tools import table
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.reports import performance, period, period_report
from fal_mcp.toolsets.reports.period_report import Bucket

Toolset = Literal["usage", "serverless"]
_TABLE: tuple[tuple[Toolset, str, str, str, str], ...] = (
    ("usage", "getAnalytics", "get_analytics", "Speed of models", "models"),
    ("serverless", "serverlessGetAnalytics", "get_app_analytics", "Speed of own apps", "own apps"),
)
_METRICS: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "More metrics, such as p99_duration.",
}


def tools(toolset: Toolset) -> list[Tool]:
    """The reports of load in this toolset."""
    return [_tool(*rest) for own, *rest in _TABLE if own == toolset]


def _tool(operation_id: str, name: str, title: str, whose: str) -> Tool:
    operation = platform.operations()[operation_id]

    async def run(arguments: JsonMapping, call: Call) -> Outcome:
        return await _told(operation, arguments, call)

    return Tool(
        name=name,
        title=title,
        description=f"How calls of {whose} went: success, waiting, running, cold starts, where time goes.",
        input_schema=period_report.schema_of(operation, {"expand": _METRICS}),
        effect="reads",
        key="admin" if operation.needs_admin else "user",
        run=run,
        is_lean=False,
    )


async def _told(operation: Operation, arguments: JsonMapping, call: Call) -> Outcome:
    # What was asked for comes first, so that a fault's path is the caller's.
    metrics = dict.fromkeys([*arguments.get("expand", ()), "summary", "time_series", *performance.METRICS])
    more = [name for name in metrics if name not in ("summary", "time_series", *performance.METRICS)]
    # fal answers with the columns that are asked for by name and with no others.
    given = {**arguments, "expand": list(metrics)}
    period_report.check(operation, given)
    report = await period_report.fetch(operation, given, call)
    before = {str(row.get("endpoint_id")): row for row in report.before or ()}
    lines = [f"{report.period}"]
    for row in report.summary:
        earlier = before.get(str(row.get("endpoint_id")), {}) if report.before is not None else None
        lines.append(performance.line(row, earlier, more))
    lines += [performance.verdict(report.summary), *report.gaps()]
    data = {
        "period": report.period.arguments,
        "rows": list(report.summary),
        "before": None if report.before is None else list(report.before),
        "seconds": {part: round(spent, 3) for part, spent in performance.seconds(report.summary).items()},
        "series": _series(report.series),
    }
    chart = await charts.preview(call.shows_previews, *_requests(report.series))
    return Outcome(data, note="\n".join(lines), previews=chart, is_plain=True)


def _series(series: Sequence[Bucket]) -> JsonObject:
    """What happened when, as a table: a day by the hour would be 8,000 characters of the same ten names."""
    rows = [{"bucket": period.minute(bucket.start), **row} for bucket in series for row in bucket.rows]
    when = table.of(rows)
    return when.data("rows") if when else {"columns": [], "rows": []}


def _requests(series: Sequence[Bucket]) -> tuple[str, list[str], list[float], list[float]]:
    counts = [sum(performance.number(row, "request_count") for row in bucket.rows) for bucket in series]
    slow = [max((performance.number(row, "p95_duration") for row in bucket.rows), default=0.0) for bucket in series]
    title = f"Requests (bars, at most {max(counts, default=0):,.0f}), p95 running (line, at most "
    return f"{title}{max(slow, default=0):.3g} s)", [bucket.start for bucket in series], counts, slow
