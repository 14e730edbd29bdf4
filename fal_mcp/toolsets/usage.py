"""What was spent and why it is slow: fal's reports of usage and analytics, with an answer that a person can read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import anyio.to_thread

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.errors import Fault, InvalidInput
from fal_mcp.openapi import faults
from fal_mcp.openapi.operation import Operation
from fal_mcp.openapi.schema import Schema
from fal_mcp.text import one_line
from fal_mcp.tools import charts, from_operation, rules
from fal_mcp.tools.tool import Call, Outcome, Preview, Tool
from fal_mcp.toolsets import compared, load, platform, spending
from fal_mcp.toolsets.compared import Bucket, Compared, Row

Toolset = Literal["usage", "serverless", "organization"]
_TOP = 5
_REFUSED = "Refused here, before anything was sent:"
_OURS = frozenset({"by", "category"})
_WHO = "auth_method_structured"
_CHOSEN_HERE = frozenset({"cursor", "expand", "bound_to_timeframe"})
"""Pages are followed, the columns are those that the answer needs, and buckets are whole."""
_SAID: Mapping[str, str] = {
    "start": "YYYY-MM-DD; default: a day ago.",
    "category": "Such as text-to-image, or video.",
    "expand": "More metrics, such as p99_duration.",
}
"""A dozen arguments in one list: the others' names say enough."""
_CHECKED_LATER = frozenset({"description", "default", "minimum", "maxItems"})
"""What of an operation's arguments is not listed; its bounds hold all the same."""


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
    about: Any = row.get(_WHO) or {}
    key_id = about.get("api_key_id")
    return f"{about.get('detail')} ({key_id})" if key_id else str(about.get("detail") or "no key")


def _person(row: Row) -> str:
    about: Any = row.get(_WHO) or {}
    return str(about.get("login_username") or "nobody by name")


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
_LOAD: tuple[tuple[Toolset, str, str, str, str], ...] = (
    ("usage", "getAnalytics", "get_analytics", "Speed of models", "models"),
    ("serverless", "serverlessGetAnalytics", "get_app_analytics", "Speed of own apps", "own apps"),
)


def tools(toolset: Toolset) -> list[Tool]:
    """The reports of this toolset."""
    spent = [_spending_tool(report) for report in _SPENDING if report.toolset == toolset]
    return [*spent, *(_load_tool(*rest) for own, *rest in _LOAD if own == toolset)]


def _spending_tool(report: Spending) -> Tool:
    operation = platform.operations()[report.operation_id]
    by: Schema = {"type": "string", "enum": list(report.groups)}
    category: Schema = {"type": "string", "maxLength": 60}

    async def run(arguments: Mapping[str, Any], call: Call) -> Outcome:
        return await _spent(report, operation, arguments, call)

    return Tool(
        name=report.name,
        title=report.title,
        description=report.description,
        input_schema=_schema(operation, {"by": by, **({"category": category} if report.has_category else {})}),
        effect="reads",
        key="admin" if operation.needs_admin else "user",
        run=run,
        is_lean=False,
    )


def _load_tool(operation_id: str, name: str, title: str, whose: str) -> Tool:
    operation = platform.operations()[operation_id]

    async def run(arguments: Mapping[str, Any], call: Call) -> Outcome:
        return await _loaded(operation, arguments, call)

    return Tool(
        name=name,
        title=title,
        description=f"How calls of {whose} went: success, waiting, running, cold starts, where time goes.",
        input_schema=_schema(operation, {"expand": {"type": "array", "items": {"type": "string"}}}),
        effect="reads",
        key="admin" if operation.needs_admin else "user",
        run=run,
        is_lean=False,
    )


def _schema(operation: Operation, ours: Mapping[str, Schema]) -> Schema:
    whole = from_operation.schema_of(operation, "reads")
    own = {name: part for name, part in whole["properties"].items() if name not in _CHOSEN_HERE}
    return {**whole, "properties": {name: _brief(name, part) for name, part in {**own, **ours}.items()}}


def _brief(name: str, part: Schema) -> Schema:
    rest = {keyword: value for keyword, value in part.items() if keyword not in _CHECKED_LATER}
    return {**rest, "description": _SAID[name]} if name in _SAID else rest


async def _spent(report: Spending, operation: Operation, arguments: Mapping[str, Any], call: Call) -> Outcome:
    given = {name: value for name, value in arguments.items() if name not in _OURS}
    _check(operation, given)
    by, category = arguments.get("by") or next(iter(report.groups)), arguments.get("category")
    if category is not None:
        _check_category(category, call.catalog)
    if by == "day":
        given["timeframe"] = "day"
    given["expand"] = ["summary", "time_series", *([_WHO] if by in _PAID_WITH else [])]
    found = await compared.fetch(operation, given, call)
    left_out = _left_out(found, category, call.catalog)
    if category is not None:
        found = _only(found, lambda row: _is_of(call.catalog.category(str(row.get("endpoint_id"))), category))
    told = [{**row, "bucket": bucket.start} for bucket in found.series for row in bucket.rows]
    parts = spending.parts(told if by == "day" else found.summary, report.groups[by])
    lines = [_total(found), *_parts(by, parts, spending.sums(found.summary)[spending.CURRENCY]), *left_out]
    chart = await _chart(call, *_costs(found.series))
    return Outcome(_spending_data(found, by, parts, left_out), note="\n".join(lines), previews=chart, is_plain=True)


def _check(operation: Operation, given: Mapping[str, Any]) -> None:
    """Refuse what the operation does not take.

    Raises:
        InvalidInput: with every fault; nothing was sent.
    """
    wrong = faults.find(operation.input_schema(), given)
    if wrong:
        raise InvalidInput(f"{_REFUSED} {'; '.join(map(str, wrong))}", faults=wrong)
    rules.check(operation, given)


def _check_category(category: str, catalog: Catalog) -> None:
    known = {catalog.category(one) for one in catalog.ids} - {""}
    if not any(_is_of(one, category) for one in known):
        fault = Fault("$.category", f"{one_line(category, 60)!r} is none; there are {', '.join(sorted(known))}.")
        raise InvalidInput(f"{_REFUSED} {fault}", faults=(fault,))


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


def _left_out(found: Compared, category: str | None, catalog: Catalog) -> list[str]:
    """What a reader would take the figures to hold, and they do not."""
    said: list[str] = []
    unknown = [row for row in found.summary if not catalog.category(str(row.get("endpoint_id")))] if category else []
    if unknown:
        names = ", ".join(sorted({one_line(str(row.get("endpoint_id")), 80) for row in unknown})[:_TOP])
        amount = spending.money(spending.sums(unknown)[spending.CURRENCY])
        said.append(f"Not counted, as this server's catalog has no category for it: {amount} on {names}.")
    if found.before is None:
        said.append(f"The period before could not be had: {one_line(found.why_not, 300)}.")
    if found.is_cut:
        said.append(f"Only the first {len(found.series)} buckets were fetched, as limit says; the total is of all.")
    return said


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
    shown = [one for one in parts if one.cost][:_TOP]
    if not shown:
        return []
    rest = total - sum(one.cost for one in shown)
    lines = [f"{place}. {one.name}: {spending.money(one.cost)} ({one.share} %)" for place, one in enumerate(shown, 1)]
    others = f"The rest: {spending.money(rest)} ({spending.share(rest, total)} %)."
    return [f"By {by.replace('_', ' ')}, the dearest first:", *lines, *([others] if rest > 0 else [])]


def _spending_data(found: Compared, by: str, parts: Sequence[spending.Part], left_out: Sequence[str]) -> dict[str, Any]:
    totals = spending.sums(found.summary)
    now = totals.pop(spending.CURRENCY)
    before = None if found.before is None else spending.sums(found.before)[spending.CURRENCY]
    starts, costs = _amounts(found.series)
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


def _amounts(series: Sequence[Bucket]) -> tuple[list[str], list[float]]:
    costs = [float(spending.sums(bucket.rows)[spending.CURRENCY]) for bucket in series]
    return [bucket.start for bucket in series], costs


def _costs(series: Sequence[Bucket]) -> tuple[str, list[str], list[float]]:
    labels, costs = _amounts(series)
    return f"USD over time, at most {max(costs, default=0):,.2f}", labels, costs


async def _chart(
    call: Call, title: str, labels: Sequence[str], values: Sequence[float], line: Sequence[float] = ()
) -> tuple[Preview, ...]:
    if not call.shows_previews or len(values) < 2 or not any(values):
        return ()
    return (Preview(await anyio.to_thread.run_sync(charts.bars, title, labels, values, line), "image/png"),)


async def _loaded(operation: Operation, arguments: Mapping[str, Any], call: Call) -> Outcome:
    # What was asked for comes first, so that a fault's path is the caller's.
    asked = dict.fromkeys([*arguments.get("expand", ()), "summary", "time_series", *load.METRICS])
    more = [name for name in asked if name not in ("summary", "time_series", *load.METRICS)]
    given = {**arguments, "expand": list(asked)}
    _check(operation, given)
    found = await compared.fetch(operation, given, call)
    before = {str(row.get("endpoint_id")): row for row in found.before or ()}
    lines = [f"{found.period}"]
    for row in found.summary:
        earlier = before.get(str(row.get("endpoint_id")), {}) if found.before is not None else None
        lines.append(load.line(row, earlier, more))
    lines += [load.verdict(found.summary), *_left_out(found, None, call.catalog)]
    data = {
        "period": found.period.arguments,
        "rows": list(found.summary),
        "before": None if found.before is None else list(found.before),
        "seconds": load.seconds(found.summary),
        "series": [{"bucket": one.start, "results": list(one.rows)} for one in found.series],
    }
    return Outcome(data, note="\n".join(lines), previews=await _chart(call, *_requests(found.series)), is_plain=True)


def _requests(series: Sequence[Bucket]) -> tuple[str, list[str], list[float], list[float]]:
    counts = [sum(load.number(row, "request_count") for row in bucket.rows) for bucket in series]
    slow = [max((load.number(row, "p95_duration") for row in bucket.rows), default=0.0) for bucket in series]
    title = f"Requests (bars, at most {max(counts, default=0):,.0f}), p95 running (line, at most "
    return f"{title}{max(slow, default=0):.3g} s)", [bucket.start for bucket in series], counts, slow
