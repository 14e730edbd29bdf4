"""What a run of an own app is thought to cost, whatever fal's reports say."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from fal_mcp.catalog import app_price
from fal_mcp.catalog.app_price import Rows
from fal_mcp.catalog.price import Quote

APP: dict[str, Any] = {"endpoint_id": "me/draw", "name": "draw", "machine_type": "GPU-H100"}
LINE: dict[str, Any] = {
    "app": "draw",
    "machine_type": "GPU-H100",
    "unit": "second",
    "quantity": 900.0,
    "unit_price": 0.0008,
    "currency": "USD",
}
RAN: dict[str, Any] = {
    **{"endpoint_id": "me/draw", "request_count": 100, "total_billable_duration": 450.0},
    **{"p50_duration": 4.0, "p95_duration": 9.0, "p99_duration": 12.0, "p90_cold_boot_duration": 40.0},
}
ABSURD: list[Any] = [-1, -0.5, math.nan, math.inf, -math.inf, 1e308, 10**400, "4", "", None, True, [], {}]


def quoted(usage: Rows, analytics: Rows, app: dict[str, Any] = APP) -> Quote:
    return app_price.told(usage, analytics, app, "me/draw").quote


def test_what_the_account_was_billed_bounds_a_run():
    """Twice as many machine-seconds were billed as runs took: two GPUs, or half of the time waiting."""
    found = quoted([LINE], [RAN])
    assert found.per_second == pytest.approx(0.0016)
    assert found.typical == pytest.approx(0.0064) and found.amount == pytest.approx(0.0192)
    assert found.note == (
        "estimated: GPU-H100 at $0.0016 a second of running (as billed to this account), typically for 4 s (p95 9 s); "
        "a limit counts $0.0192, for 12 s"
    )


def test_the_dearest_line_of_the_bill_counts():
    surge = {**LINE, "unit_price": 0.0012, "quantity": 0.0}
    bills: list[list[object]] = [[LINE, surge], [surge, LINE]]
    for lines in bills:
        assert quoted(lines, [RAN]).per_second == pytest.approx(0.0024)


@pytest.mark.parametrize(
    ("updated", "since"),
    [
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00"),
        ("2026-11-20T12:00:00", "2026-11-20T12:00:00"),
        ("2026-07-01T12:00:00Z", "2026-10-28T12:00:00"),
        ("2030-01-01T00:00:00Z", "2026-11-27T11:59:00"),
        ("0001-01-01T00:00:00+14:00", "2026-10-28T12:00:00"),
        ("yesterday", "2026-10-28T12:00:00"),
        (None, "2026-10-28T12:00:00"),
        (7, "2026-10-28T12:00:00"),
    ],
)
def test_what_was_before_a_deploy_says_nothing_of_now(updated: Any, since: str):
    found = app_price.since({"updated_at": updated}, datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert found == datetime.fromisoformat(f"{since}+00:00")


def test_runs_that_share_a_runner_are_not_cheaper_for_it():
    assert quoted([{**LINE, "quantity": 45.0}], [RAN]).per_second == pytest.approx(0.0008)


def test_a_list_price_is_an_estimate_and_no_bound():
    found = quoted("the bill was not asked for", [RAN])
    assert found.amount is None and found.typical == pytest.approx(4 * 1.89 / 3600)
    assert found.reason.startswith("about $0.0021, estimated: GPU-H100 at from $0.000525 a second for each GPU")
    assert found.reason.endswith("a limit counts it as unpriced: the bill was not asked for")


@pytest.mark.parametrize(
    ("usage", "analytics", "app", "said"),
    [
        ([LINE], [], APP, "no run of it is known since its last deploy, in 30 days at most, so no estimate"),
        ([LINE], [{**RAN, "request_count": 0}], APP, "so no estimate"),
        ([LINE], [{**RAN, "endpoint_id": "me/draw/turbo"}], APP, "so no estimate"),
        ([LINE], "its run times cannot be read (Forbidden)", APP, "its run times cannot be read (Forbidden)"),
        ([LINE], [{**RAN, "request_count": 19}], APP, "it ran only 19 times"),
        ([LINE], [{**RAN, "p95_duration": 3.0}], APP, "so no estimate"),
        ([], [RAN], APP, "nothing was billed for it on GPU-H100"),
        ([{**LINE, "machine_type": "GPU-A100"}], [RAN], APP, "nothing was billed for it on GPU-H100"),
        ([{**LINE, "app": "another"}], [RAN], APP, "nothing was billed for it on GPU-H100"),
        ([{**LINE, "currency": "EUR"}], [RAN], APP, "a line of its bill cannot be read"),
        ([{**LINE, "unit": "hour"}], [RAN], APP, "a line of its bill cannot be read"),
        ([LINE], [{**RAN, "total_billable_duration": 0}], APP, "how long its runs took altogether is not known"),
        ([LINE], [{**RAN, "total_billable_duration": 1e-9}], APP, "its bill comes to no price"),
        ("no bill", [RAN], {**APP, "machine_type": "GPU-B200"}, "no price of GPU-B200 is known here, and no bill"),
        ("no bill", [RAN], {**APP, "machine_type": None}, "no price of its machine is known here"),
    ],
)
def test_what_is_no_bound_says_why(usage: Rows, analytics: Rows, app: dict[str, Any], said: str):
    found = quoted(usage, analytics, app)
    assert found.amount is None and said in found.note


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("name", ["unit_price", "quantity"])
def test_a_line_that_cannot_be_may_be_the_dearest(name: str, value: Any):
    found = quoted([LINE, {**LINE, name: value}], [RAN])
    assert found.amount is None and "a line of its bill cannot be read" in found.note


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("name", ["request_count", "p50_duration", "p95_duration"])
def test_absurd_times_are_no_times(name: str, value: Any):
    found = quoted([LINE], [{**RAN, name: value}])
    assert found.amount is None and found.typical is None and "so no estimate" in found.note


@pytest.mark.parametrize("value", ABSURD)
def test_absurd_sums_are_no_sums(value: Any):
    assert quoted([LINE], [{**RAN, "total_billable_duration": value}]).amount is None


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("rows", [[None], ["x"], [[]], [7]])
def test_rows_that_are_none_are_no_rows(rows: Any, value: Any):
    assert quoted(rows, rows).amount is None
    assert app_price.times([*rows, {**RAN, "p90_cold_boot_duration": value}], "me/draw") == app_price.Times(
        100, 4.0, 9.0, 12.0, None
    )
