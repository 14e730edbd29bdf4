"""What was spent: fal's reports of usage, with an answer that a person can read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.errors import Fault, InvalidInput
from fal_mcp.json_values import JsonMapping, JsonObject, is_object
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs import charts
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.reports import costs as spending
from fal_mcp.toolsets.reports import period_report
from fal_mcp.toolsets.reports.period_report import Bucket, Compared, Row

Toolset = Literal["usage", "serverless", "organization"]
_TOP = 5
_OURS = frozenset({"by", "category"})
_CATEGORY: Schema = {"type": "string", "maxLength": 60, "description": "Such as text-to-image, or video."}
_WHO = "auth_method_structured"


@dataclass(frozen=True, slots=True)
class Spending:
    """One report of costs: the tool of which operation, and by what its costs can be told apart."""

    toolset: Toolset
    operation_id: str
    name: str
    title: str
    description: str
    groups: Mapping[str, Callable[[Row], str]]
    """How a row is called in each; the first is what is told unless asked otherwise."""
    has_category: bool = False


def _key(row: Row) -> str:
    who = _who(row)
    key_id = who.get("api_key_id")
    return f"{who.get('detail')} ({key_id})" if key_id else str(who.get("detail") or "no key")


def _person(row: Row) -> str:
    return str(_who(row).get("login_username") or "nobody by name")


def _who(row: Row) -> JsonMapping:
    who = row.get(_WHO)
    return who if is_object(who) else {}


def _column(name: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(name) or f"no {name}")


def _day(row: Row) -> str:
    return str(row["bucket"])[:10]


_PAID_WITH: Mapping[str, Callable[[Row], str]] = {"key": _key, "person": _person}
_SPENDING = (
    Spending(
        "usage",
        "getUsage",
        "get_usage",
        "What models cost",
        "What models cost, against the period before, the dearest first. Needs an admin key.",
        {"endpoint": _column("endpoint_id"), **_PAID_WITH, "day": _day},
        has_category=True,
    ),
    Spending(
        "serverless",
        "serverlessGetUsage",
        "get_app_usage",
        "What own apps cost",
        "What the account's own apps cost, against the period before, the dearest first. Needs an admin key.",
        {"app": _column("app"), "machine_type": _column("machine_type"), "day": _day},
    ),
    Spending(
        "organization",
        "getOrganizationUsage",
        "get_organization_usage",
        "What all teams cost",
        "What every team spent, against the period before, the dearest first. Needs the root team's admin key.",
        {
            "team": _column("username"),
            "product": _column("product"),
            "endpoint": _column("endpoint_id"),
            **_PAID_WITH,
            "day": _day,
        },
    ),
)


def tools(toolset: Toolset) -> list[Tool]:
    """The reports of costs in this toolset."""
    return [_tool(report) for report in _SPENDING if report.toolset == toolset]


def _tool(report: Spending) -> Tool:
    operation = platform.operations()[report.operation_id]
    by: Schema = {"type": "string", "enum": list(report.groups)}
    ours: dict[str, Schema] = {"by": by, **({"category": _CATEGORY} if report.has_category else {})}

    async def run(arguments: JsonMapping, call: Call) -> Outcome:
        return await _spent(report, operation, arguments, call)

    return Tool(
        name=report.name,
        title=report.title,
        description=report.description,
        input_schema=period_report.schema_of(operation, ours),
        effect="reads",
        key="admin" if operation.needs_admin else "user",
        run=run,
        is_lean=False,
    )


async def _spent(report: Spending, operation: Operation, arguments: JsonMapping, call: Call) -> Outcome:
    given = {name: value for name, value in arguments.items() if name not in _OURS}
    period_report.check(operation, given)
    by, category = arguments.get("by") or next(iter(report.groups)), arguments.get("category")
    if category is not None:
        _check_category(category, call.catalog)
    if by == "day":
        # Whatever bucket fal would choose for the period, by day means days.
        given["timeframe"] = "day"
    given["expand"] = ["summary", "time_series", *([_WHO] if by in _PAID_WITH else [])]
    found = await period_report.fetch(operation, given, call)
    # Before the rows are narrowed to the category: afterwards what it leaves out is gone.
    left_out = [*_uncounted(found, category, call.catalog), *found.gaps()]
    if category is not None:
        found = _only(found, lambda row: _is_of(call.catalog.category(str(row.get("endpoint_id"))), category))
    told = [{**row, "bucket": bucket.start} for bucket in found.series for row in bucket.rows]
    parts = spending.parts(told if by == "day" else found.summary, report.groups[by])
    lines = [_total(found), *_parts(by, parts, spending.sums(found.summary)[spending.CURRENCY]), *left_out]
    labels, costs = _costs(found.series)
    chart = await charts.preview(
        call.shows_previews, f"USD over time, at most {max(costs, default=0):,.2f}", labels, costs
    )
    return Outcome(_data(found, by, parts, left_out), note="\n".join(lines), previews=chart, is_plain=True)


def _check_category(category: str, catalog: Catalog) -> None:
    known = {catalog.category(one) for one in catalog.ids} - {""}
    if not any(_is_of(one, category) for one in known):
        fault = Fault("$.category", f"{one_line(category, 60)!r} is none; there are {', '.join(sorted(known))}.")
        raise InvalidInput(f"Refused here, before anything was sent: {fault}", faults=(fault,))


def _is_of(category: str, wanted: str) -> bool:
    """Whether it is this one, or makes what is wanted: `video` is whatever makes one of something."""
    return wanted in (category, category.rpartition("-to-")[2])


def _only(found: Compared, is_wanted: Callable[[Row], bool]) -> Compared:
    def wanted(rows: Iterable[Row]) -> tuple[Row, ...]:
        return tuple(row for row in rows if is_wanted(row))

    return replace(
        found,
        summary=wanted(found.summary),
        series=tuple(Bucket(one.start, wanted(one.rows)) for one in found.series),
        before=None if found.before is None else wanted(found.before),
    )


def _uncounted(found: Compared, category: str | None, catalog: Catalog) -> list[str]:
    """What a category leaves out although it may be of it."""
    unknown = [row for row in found.summary if not catalog.category(str(row.get("endpoint_id")))] if category else []
    if not unknown:
        return []
    names = ", ".join(sorted({one_line(str(row.get("endpoint_id")), 80) for row in unknown})[:_TOP])
    amount = spending.money(spending.sums(unknown)[spending.CURRENCY])
    return [f"Not counted, as this server's catalog has no category for it: {amount} on {names}."]


def _total(found: Compared) -> str:
    totals = spending.sums(found.summary)
    now = totals.pop(spending.CURRENCY)
    against = ""
    if found.before is not None:
        against = f", {spending.change(now, spending.sums(found.before)[spending.CURRENCY])}"
    others = ", ".join(spending.money(amount, code) for code, amount in sorted(totals.items()))
    besides = f" Besides {others}, which is in no other sum here." if others else ""
    return f"{spending.money(now)} from {found.period}{against}.{besides}"


def _parts(by: str, parts: Sequence[spending.Part], total: Decimal) -> list[str]:
    # What cost nothing is no part of what was spent.
    shown = [one for one in parts if one.cost][:_TOP]
    if not shown:
        return []
    # From the total and not from the other parts, so that the lines add up to it.
    rest = total - sum(one.cost for one in shown)
    lines = [f"{place}. {one.name}: {spending.money(one.cost)} ({one.share} %)" for place, one in enumerate(shown, 1)]
    others = f"The rest: {spending.money(rest)} ({spending.share(rest, total)} %)."
    return [f"By {by.replace('_', ' ')}, the dearest first:", *lines, *([others] if rest > 0 else [])]


def _data(found: Compared, by: str, parts: Sequence[spending.Part], left_out: Sequence[str]) -> JsonObject:
    totals = spending.sums(found.summary)
    now = totals.pop(spending.CURRENCY)
    before = None if found.before is None else spending.sums(found.before)[spending.CURRENCY]
    starts, costs = _costs(found.series)
    return {
        "period": found.period.arguments,
        "totals": {
            "currency": spending.CURRENCY,
            "total": float(now),
            "before": None if before is None else float(before),
            "change": None if before is None else float(now - before),
            "change_percent": None if before is None else spending.percent(now, before),
            "other_currencies": {code: float(amount) for code, amount in totals.items()},
        },
        f"by_{by}": [{"name": one.name, "cost": float(one.cost), "share": float(one.share)} for one in parts],
        "rows": list(found.summary),
        "series": [{"bucket": start, "cost": cost} for start, cost in zip(starts, costs, strict=True)],
        "left_out": list(left_out),
    }


def _costs(series: Sequence[Bucket]) -> tuple[list[str], list[float]]:
    costs = [float(spending.sums(bucket.rows)[spending.CURRENCY]) for bucket in series]
    return [bucket.start for bucket in series], costs
