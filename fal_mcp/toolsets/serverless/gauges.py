"""The gauges of the account's apps at this moment, as a table with units. Fact F8."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import Field

from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import cut, one_line
from fal_mcp.tools import from_function, pages
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.serverless.prometheus import Sample, quantile, read

_MOST_APPS = 100
_LONGEST_TEXT = 12_000
_LARGEST = 1e15
"""What is more, less than nothing, or no number is no count."""
_LONGEST_LABEL = 120
_MOST_VALUES = 50

K = TypeVar("K")


class MetricsArguments(Arguments):
    app_id: str | None = Field(None, max_length=200, description="Only this app, as owner/name.")


@dataclass(frozen=True, slots=True)
class App:
    """What the gauges say of one app."""

    name: str
    gauges: dict[str, float] = field(default_factory=dict[str, float])
    """Those of one value, by the metric's name without `fal_app_`."""
    runners: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """By state and machine type."""
    completed: dict[str, float] = field(default_factory=dict[str, float])
    """Requests of the last minute, by HTTP status."""
    buckets: dict[float, float] = field(default_factory=dict[float, float])
    """How many requests took at most so many seconds."""


def tools() -> list[Tool]:
    """The tool that tells the gauges."""
    return [
        from_function.tool(
            MetricsArguments,
            _metrics,
            name="get_app_metrics",
            title="How the apps are doing now",
            description="Runners by state and machine, requests that wait and run, requests a minute by status, and "
            "latency in seconds, of every app of the account.",
            effect="reads",
            key="user",
        )
    ]


async def _metrics(arguments: MetricsArguments, call: Call) -> Outcome:
    text = await pages.send(platform.operations()["serverlessGetMetrics"], {}, call)
    try:
        samples = read(text)
    except ValueError as error:
        raise ServiceFailed(f"fal's metrics cannot be read: {error}.") from error
    gathered_apps, left_out = gathered(samples)
    apps = [app for app in gathered_apps if arguments.app_id in (None, app.name)]
    rows = [_row(app) for app in apps[:_MOST_APPS]]
    head = f"{len(apps)} apps" if len(apps) != 1 else "1 app"
    more = f", of which the first {_MOST_APPS} are told" if len(apps) > _MOST_APPS else ""
    odd = f" {left_out} values were no counts and are left out." if left_out else ""
    lines = [f"{head} at this moment{more}; requests are of the last minute.{odd}", *map(_line, rows)]
    return Outcome(data={"apps": rows, "left_out": left_out}, note=cut("\n".join(lines), _LONGEST_TEXT), is_plain=True)


def gathered(samples: Sequence[Sample]) -> tuple[list[App], int]:
    """The samples by app, in the order of their names, and how many of them are no counts."""
    apps: dict[str, App] = {}
    left_out = 0
    for sample in samples:
        # The page is fal's for Prometheus, and may have gauges of other kinds.
        if not sample.name.startswith("fal_app_") or "application" not in sample.labels:
            continue
        if not 0 <= sample.value < _LARGEST:
            left_out += 1
            continue
        name = one_line(sample.labels["application"], _LONGEST_LABEL)
        _add(apps.setdefault(name, App(name)), sample)
    return [apps[name] for name in sorted(apps)], left_out


def _add(app: App, sample: Sample) -> None:
    label, name = sample.labels, sample.name.removeprefix("fal_app_")
    match name:
        case "runners":
            _count(app.runners, (_said(label, "state"), _said(label, "machine_type")), sample.value)
        case "requests_completed":
            _count(app.completed, _said(label, "status"), sample.value)
        # A histogram: each bucket counts all that took at most so long, and machines' buckets are added up.
        case "request_latency":
            if (bound := _bound(label.get("le", ""))) is not None:
                _count(app.buckets, bound, sample.value)
        case "queue_size" | "concurrent_requests" | "requests_received":
            _count(app.gauges, name, sample.value)
        case _:
            pass


def _count(counts: dict[K, float], key: K, value: float) -> None:
    counts[key] = counts.get(key, 0.0) + value


def _said(labels: Mapping[str, str], name: str) -> str:
    return one_line(labels.get(name, ""), _LONGEST_LABEL) or "unknown"


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return bound if bound > 0 else None


def _row(app: App) -> JsonObject:
    runners = sorted(app.runners.items())[:_MOST_VALUES]
    row: JsonObject = {
        "app": app.name,
        "runners": [{"state": state, "machine_type": kind, "count": count} for (state, kind), count in runners],
        "queue_size": app.gauges.get("queue_size"),
        "concurrent_requests": app.gauges.get("concurrent_requests"),
        "received_per_minute": app.gauges.get("requests_received"),
        "completed_per_minute": dict(sorted(app.completed.items())[:_MOST_VALUES]),
    }
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        known = quantile(app.buckets, share)
        row[f"latency_{name}_s"] = None if known is None else round(known[0], 4)
        row[f"latency_{name}_is_least"] = known is not None and known[1]
    return row


def _line(row: JsonMapping) -> str:
    runners = [f"{one['count']:g} {one['state']} on {one['machine_type']}" for one in row["runners"]]
    completed = [f"{count:g} with {status}" for status, count in row["completed_per_minute"].items()]
    parts = [
        f"runners: {', '.join(runners) or 'none'}",
        f"{_number(row['queue_size'])} in the queue",
        f"{_number(row['concurrent_requests'])} being worked on",
        f"{_number(row['received_per_minute'])} received a minute",
        f"completed a minute: {', '.join(completed) or 'none'}",
        f"latency p50 {_latency(row, 'p50')}, p95 {_latency(row, 'p95')}",
    ]
    return f"{row['app']}: {'; '.join(parts)}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _latency(row: JsonMapping, name: str) -> str:
    seconds = row[f"latency_{name}_s"]
    if seconds is None:
        return "unknown"
    return f"{'at least ' if row[f'latency_{name}_is_least'] else ''}{seconds:.3g} s"
