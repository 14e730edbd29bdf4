"""How requests went: who succeeded, how long they waited and ran, and where the time goes. Pure. Fact F6.6."""

import math
from collections.abc import Iterable

from fal_mcp.json_values import JsonMapping
from fal_mcp.text import one_line

Row = JsonMapping
METRICS = (
    *("request_count", "success_count", "user_error_count", "error_count"),
    *("p50_prepare_duration", "p95_prepare_duration", "p50_duration", "p95_duration"),
    *("cold_boot_count", "p50_cold_boot_duration"),
)
"""What it takes to say why something is slow."""


def number(row: Row | None, name: str) -> float:
    """A metric of a row; 0 where the row does not name it, as where nothing happened."""
    found = row.get(name) if row else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if is_number else 0.0  # pyright: ignore[reportArgumentType]


def line(row: Row, before: Row | None, more: Iterable[str] = ()) -> str:
    """One endpoint in one line, against the period before where there is one; `more` are further metrics to name."""
    count, earlier = number(row, "request_count"), number(before, "request_count")
    cold, colder = number(row, "cold_boot_count"), number(before, "cold_boot_count")
    parts = [
        f"{_counted(count, 'request')}{_was(before, f'{earlier:,.0f}')}",
        f"{_share(row)} succeeded{_was(before, _share(before or {}))}" if count else "",
        f"waiting {_times(row, 'prepare_duration')}{_was(before, _times(before or {}, 'prepare_duration'))}",
        f"running {_times(row, 'duration')}{_was(before, _times(before or {}, 'duration'))}",
        f"{_counted(cold, 'cold start')}{_was(before, f'{colder:,.0f}')}",
        *(f"{name} {number(row, name):,.4g}" for name in more),
    ]
    name = one_line(str(row.get("endpoint_id") or "unnamed"), 120)
    return f"{name}: {'; '.join(filter(None, parts))}"


def seconds(rows: Iterable[Row]) -> dict[str, float]:
    """Seconds of a typical request by where they go: waiting and running are medians, a cold start's is shared out
    among all requests; over several endpoints each counts as often as it was asked."""
    found = list(rows)
    count = sum(number(row, "request_count") for row in found)
    if not count:
        return {}
    return {
        "waiting": _weighted(found, "request_count", "p50_prepare_duration") / count,
        "cold starts": _weighted(found, "cold_boot_count", "p50_cold_boot_duration") / count,
        "running": _weighted(found, "request_count", "p50_duration") / count,
    }


def verdict(rows: Iterable[Row]) -> str:
    """Where the time goes, in one sentence."""
    spent = seconds(rows)
    if not any(spent.values()):
        return "Nothing was timed in this period, so where time goes cannot be told."
    most = max(spent, key=lambda name: spent[name])
    listed = ", ".join(f"{value:.3g} s {name}" for name, value in spent.items())
    return f"Most time goes to {most}: a typical request has {listed} (medians; cold starts shared among all requests)."


def _weighted(rows: Iterable[Row], weight: str, value: str) -> float:
    return math.fsum(number(row, weight) * number(row, value) for row in rows)


def _share(row: Row) -> str:
    count = number(row, "request_count")
    return f"{100 * number(row, 'success_count') / count:.1f} %" if count else "nothing"


def _times(row: Row, what: str) -> str:
    return f"p50 {number(row, f'p50_{what}'):.3g} s, p95 {number(row, f'p95_{what}'):.3g} s"


def _was(before: Row | None, said: str) -> str:
    return f" (before: {said})" if before is not None else ""


def _counted(count: float, what: str) -> str:
    return f"{count:,.0f} {what}{'' if count == 1 else 's'}"
