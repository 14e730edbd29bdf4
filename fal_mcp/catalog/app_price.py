"""What a run of an own app is thought to cost: its machine's price a second, times how long its runs take. Pure.

fal bills the account for every second in which a runner starts, waits or runs, once for each of its GPUs (fact F11).
How many GPUs an app has is told nowhere, and a list price is the lowest there is. So only what the account was billed
bounds a run from above, and only that is held against a limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fal_mcp.catalog.price import Quote
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, number_of, object_of
from fal_mcp.text import money, one_line

DAYS = 30
"""How far back runs and bills are looked at, and no further than to the app's last deploy."""
PERCENTILES = ("p50_duration", "p95_duration", "p99_duration")
METRICS = ("request_count", "total_billable_duration", *PERCENTILES, "p90_cold_boot_duration")
"""What of fal's analytics is read."""
FEWEST_RUNS = 20
"""Fewer say nothing of the longest one."""
Rows = list[object] | str
"""The rows of a report, or the reason why there are none."""
_LISTED_HOUR = {"GPU-H100": 1.89, "GPU-H200": 2.1, "GPU-A100": 0.99}
"""USD for one GPU, as published on 2026-05-25 (fact F11): the lowest price, and no bound."""
_SHORTEST = timedelta(minutes=1)
"""A period that begins when it ends is none."""
_LONGEST_RUN = 7 * 86_400.0
_MOST_A_SECOND = 100.0
"""USD; what comes to more is a slip."""
_MOST_SECONDS = 1e12


@dataclass(frozen=True, slots=True)
class Rate:
    """USD for each second of a run, and where that is from; a bound only where the account was billed so."""

    usd: float
    note: str
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that past runs took. `longest` is the highest percentile that is known; `start` is how long a runner
    takes to start, None where none was seen to."""

    count: int
    typical: float
    p95: float
    longest: float
    start: float | None = None


@dataclass(frozen=True, slots=True)
class AppCost:
    """What is known of one route's cost; `doubts` is why there is no rate, no time or no bound."""

    rate: Rate | None = None
    times: Times | None = None
    doubts: str = ""

    @property
    def quote(self) -> Quote:
        """What one run is thought to cost; its amount is a bound as far as there is one, and else None."""
        if self.rate is None:
            return Quote(None, f"billed by how long its machine runs; {self.doubts}")
        if self.times is None:
            note = f"billed by how long it runs: {self.rate.note}; {self.doubts}"
            return Quote(None, note, per_second=self.rate.usd, rate_note=self.rate.note)
        usual = f"estimated: {self.rate.note}, typically for {self.times.typical:.3g} s (p95 {self.times.p95:.3g} s)"
        amount = round(self.rate.usd * self.times.longest, 9) if self.rate.is_bound and not self.doubts else None
        counted = (
            f"a limit counts it as unpriced: {self.doubts}"
            if amount is None
            else f"a limit counts {money(amount)}, for {self.times.longest:.3g} s"
        )
        typical = round(self.rate.usd * self.times.typical, 9)
        return Quote(
            amount,
            f"{usual}; {counted}",
            typical=typical,
            per_second=self.rate.usd,
            rate_note=self.rate.note,
        )


def listed(machine: str) -> Rate | None:
    """The published price of this machine type for one GPU; None where there is none."""
    hour = _LISTED_HOUR.get(machine)
    if hour is None:
        return None
    second = hour / 3600
    return Rate(second, f"{machine} at from {money(second)} a second for each GPU (list price)")


def billed(rows: Iterable[object], machine: str, run_seconds: float) -> Rate | str:
    """What the account paid for each second of running, by the rows of its bill for one app; the reason where they do
    not tell. `run_seconds` is how long its runs took in the same days."""
    dearest = machine_seconds = 0.0
    machines = set[object]()
    for row in map(object_of, rows):
        price, quantity = _within(row.get("unit_price"), _MOST_A_SECOND), _within(row.get("quantity"), _MOST_SECONDS)
        # One row that cannot be read may be the dearest.
        if price is None or quantity is None or (row.get("unit"), row.get("currency")) != _UNIT:
            return "a line of its bill cannot be read"
        dearest, machine_seconds = max(dearest, price), machine_seconds + quantity
        machines.add(row.get("machine_type"))
    if machine not in machines or not dearest or not machine_seconds:
        return f"nothing was billed for it on {machine} since its last deploy"
    if not 0 < run_seconds <= _MOST_SECONDS:
        return "how long its runs took altogether is not known"
    # What was billed for a second of running: with starts, with waiting, and with every GPU.
    second = dearest * max(machine_seconds / run_seconds, 1.0)
    if not second <= _MOST_A_SECOND:
        return "its bill comes to no price"
    return Rate(second, f"{machine} at {money(second)} a second of running (as billed to this account)", is_bound=True)


_UNIT = ("second", "USD")


def since(app: JsonMapping, now: datetime) -> datetime:
    """From when on what an app cost says what it costs: a deploy may have given it other machines, or more of them."""
    earliest, updated = now - timedelta(days=DAYS), app.get("updated_at")
    try:
        deployed = datetime.fromisoformat(updated) if isinstance(updated, str) else earliest
        # Without a time zone it is in UTC, as all of fal's times are.
        deployed = deployed if deployed.tzinfo else deployed.replace(tzinfo=UTC)
        return min(max(deployed, earliest), now - _SHORTEST)
    except (ValueError, OverflowError):
        return earliest


def run_seconds(rows: Iterable[object]) -> float:
    """How long the runs of all an app's routes took altogether; 0 where that cannot be told."""
    known = [_within(object_of(row).get("total_billable_duration"), _MOST_SECONDS) for row in rows]
    return sum(seconds for seconds in known if seconds is not None)


def times(rows: Iterable[object], endpoint_id: str) -> Times | None:
    """How long runs of a route took, by the rows of fal's analytics of its app; None where none is known."""
    about = [object_of(row) for row in rows]
    own = next((row for row in about if row.get("endpoint_id") == endpoint_id), JsonObject())
    count = _within(own.get("request_count"), _MOST_SECONDS)
    typical, p95, p99 = (_seconds(own.get(name)) for name in PERCENTILES)
    if not count or typical is None or p95 is None or p95 < typical:
        return None
    starts = [start for row in about if (start := _seconds(row.get("p90_cold_boot_duration"))) is not None]
    return Times(int(count), typical, p95, max(p95, p99 or 0.0), max(starts, default=None))


def told(usage: Rows, analytics: Rows, app: JsonMapping, endpoint_id: str) -> AppCost:
    """What the answers of fal say of a route's cost; a text in place of an answer is why there is none."""
    machine = one_line(str(app.get("machine_type") or "its machine"), 40)
    rows = list_of(analytics)
    known = times(rows, endpoint_id)
    named = [row for row in list_of(usage) if object_of(row).get("app") == app.get("name")]
    own = usage if isinstance(usage, str) else billed(named, machine, run_seconds(rows))
    rate = own if isinstance(own, Rate) else listed(machine)
    return AppCost(rate, known, _doubts(rate, own, known, analytics, machine))


def _doubts(rate: Rate | None, own: Rate | str, known: Times | None, analytics: Rows, machine: str) -> str:
    if rate is None:
        return f"no price of {machine} is known here, and {own}"
    if known is None:
        none = f"no run of it is known since its last deploy, in {DAYS} days at most, so no estimate"
        return analytics if isinstance(analytics, str) else none
    if isinstance(own, str):
        return own
    return "" if known.count >= FEWEST_RUNS else f"it ran only {known.count} times since its last deploy"


def _seconds(value: object) -> float | None:
    return _within(value, _LONGEST_RUN) or None


def _within(value: object, most: float) -> float | None:
    number = number_of(value)
    return number if number is not None and 0 <= number <= most else None
