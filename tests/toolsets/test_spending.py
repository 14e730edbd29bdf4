"""The arithmetic of money, load and time, by its properties."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.errors import ServiceFailed
from fal_mcp.text import one_line
from fal_mcp.toolsets.reports import costs, focus, performance, period

AMOUNTS = st.decimals(0, 1_000_000, places=6).map(float)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"endpoint_id": st.sampled_from("abcdefgh"), "cost": AMOUNTS, "currency": st.sampled_from(("USD", "EUR"))}
    ),
    max_size=30,
)


def endpoint(row: Any) -> str:
    return row["endpoint_id"]


@given(rows=ROWS)
def test_the_parts_sum_to_the_total_and_their_shares_to_at_most_a_hundred(rows: list[dict[str, Any]]):
    parts = costs.parts(rows, endpoint)
    assert sum(one.cost for one in parts) == costs.sums(rows)["USD"]
    assert sum(one.share for one in parts) <= 100
    assert [one.cost for one in parts] == sorted((one.cost for one in parts), reverse=True)


@given(rows=ROWS)
def test_currencies_are_never_summed_with_each_other(rows: list[dict[str, Any]]):
    for code, total in costs.sums(rows).items():
        assert total == sum(Decimal(str(row["cost"])) for row in rows if row["currency"] == code)


@given(now=st.decimals(0, 10**6, places=4), before=st.decimals(0, 10**6, places=4))
def test_a_change_is_said_in_the_direction_that_it_has(now: Decimal, before: Decimal):
    said = costs.change(now, before)
    assert (" more " in said) == (now > before > 0) and (" less " in said) == (now < before)
    assert ("after nothing" in said) == (before == 0 < now)


def test_a_change_is_told_in_money_and_percent():
    assert costs.change(Decimal("12.5"), Decimal(10)) == (
        "2.50 USD more (+25.0 %) than in the equally long period before (10.00 USD)"
    )
    assert costs.change(Decimal(0), Decimal(4)).startswith("4.00 USD less (-100.0 %)")
    assert costs.change(Decimal(0), Decimal(0)) == "as in the period before"


@given(amount=st.decimals("0.000000001", "0.0099", places=9))
def test_what_is_below_a_cent_is_never_told_as_nothing(amount: Decimal):
    assert Decimal(costs.money(amount).split()[0]) > 0


def test_credits_never_make_a_share_of_more_than_everything():
    rows = [{"endpoint_id": "a", "cost": 9.0}, {"endpoint_id": "b", "cost": -8.999999999}]
    assert [float(one.share) for one in costs.parts(rows, endpoint)] == [100.0, 0.0]


@pytest.mark.parametrize("cost", [None, "1", True, float("nan"), float("inf"), 1e300])
def test_what_is_no_amount_is_refused_and_not_counted_as_nothing(cost: object):
    with pytest.raises(ServiceFailed, match="no amount"):
        costs.cost({"cost_total": cost})


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))
LENGTHS = st.timedeltas(timedelta(minutes=1), timedelta(days=366))
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
NOW = datetime(2031, 1, 1, tzinfo=UTC)


@given(start=MOMENTS, length=LENGTHS, zone=ZONES)
def test_the_period_before_ends_where_this_begins_and_is_as_long(start: datetime, length: timedelta, zone: str):
    asked = {"start": start.isoformat(), "end": (start + length).isoformat(), "timezone": zone}
    this = period.of(asked, NOW)
    before = this.before()
    assert before is not None and before.end == this.start
    # Of one time zone, so by the clock on the wall: a week of summer time's beginning is seven days all the same.
    assert before.end - before.start == this.end - this.start
    assert this.start.replace(tzinfo=None) <= start and this.end.replace(tzinfo=None) >= start + length


def test_a_date_is_midnight_in_the_time_zone_asked_for():
    this = period.of({"start": "2026-03-28", "end": "2026-03-30", "timezone": "Europe/Berlin", "timeframe": "day"}, NOW)
    assert (this.arguments["start"], this.arguments["end"]) == (
        "2026-03-28T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    )


def test_what_has_not_happened_yet_is_no_part_of_a_period():
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    this = period.of({"start": "2026-03-02", "end": "2026-03-03", "timeframe": "day"}, now)
    before = this.before()
    assert this.end == now and before is not None and before.start == datetime(2026, 3, 1, 13, 30, tzinfo=UTC)


COUNTS, SECONDS = st.integers(0, 10**6), st.floats(0, 10**4)
LOADS = st.lists(
    st.fixed_dictionaries(
        {
            "request_count": COUNTS,
            "cold_boot_count": COUNTS,
            "p50_prepare_duration": SECONDS,
            "p50_duration": SECONDS,
            "p50_cold_boot_duration": SECONDS,
        }
    ),
    max_size=5,
)


@given(rows=LOADS)
def test_time_is_said_to_go_where_most_of_it_goes(rows: list[dict[str, Any]]):
    spent, said = performance.seconds(rows), performance.verdict(rows)
    if any(spent.values()):
        assert said.startswith(f"Most time goes to {max(spent, key=lambda name: spent[name])}:")
    else:
        assert said.startswith("Nothing was timed")


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ({"request_count": 10, "p50_prepare_duration": 9, "p50_duration": 2}, "waiting"),
        ({"request_count": 10, "p50_prepare_duration": 1, "p50_duration": 2}, "running"),
        ({"request_count": 10, "p50_duration": 2, "cold_boot_count": 5, "p50_cold_boot_duration": 30}, "cold starts"),
    ],
)
def test_waiting_running_and_cold_starts_are_told_apart(row: dict[str, Any], where: str):
    assert performance.verdict([row]).startswith(f"Most time goes to {where}: ")


def test_a_statement_sums_what_is_billed_by_currency_and_service():
    found = focus.read(
        "\ufeffServiceName,BilledCost,BillingCurrency\nflux,0.1,USD\nflux,0.2,USD\nveo,1,EUR\n,-0.05,USD\n"
    )
    assert found.billed == {
        "USD": {"flux": Decimal("0.3"), "no service": Decimal("-0.05")},
        "EUR": {"veo": Decimal(1)},
    }


@pytest.mark.parametrize(
    "text", ["", "\n\n", "<html>no</html>", 'a,b\n"open', "A,BilledCost\nx,much", "A,BilledCost\nx,1e99"]
)
def test_what_is_no_report_is_refused(text: str):
    with pytest.raises(ServiceFailed):
        focus.read(text)


@given(text=st.text())
def test_any_text_is_a_statement_or_refused(text: str):
    try:
        found = focus.read(text)
    except ServiceFailed:
        return
    assert len(found.first) <= min(found.count, 5)
    assert all(len(cell) <= 60 and cell == one_line(cell, 60) for row in found.first for cell in row)
