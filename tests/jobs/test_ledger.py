"""The ledger: what is written stays, budgets hold whatever the interleaving, damage is set aside."""

import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp.client.queue import Request
from fal_mcp.client.storage import Parts
from fal_mcp.errors import BudgetExceeded, NotRecorded
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits

REQUEST = Request("a/b", "R", "https://q/s", "https://q/r", "https://q/c")
NONE = Limits()


def order(price: float | None = 0.1, **options: object) -> Order:
    return Order("a/b", {"prompt": "x"}, price=price, **options)  # pyright: ignore[reportArgumentType]


def test_a_row_is_there_before_and_after_and_in_another_process(tmp_path: Path):
    one, other = Ledger(tmp_path / "l.sqlite3"), Ledger(tmp_path / "l.sqlite3")
    job = one.begin(order(), NONE)
    assert other.get(job.job_id, "local") == job and job.state == "intent"
    one.accepted(job.job_id, REQUEST)
    one.change(job.job_id, state="completed", output={"seed": 7})
    found = other.get(job.job_id, "local")
    assert found is not None and (found.state, found.output, found.request) == ("completed", {"seed": 7}, REQUEST)


def test_somebody_elses_job_is_no_job(tmp_path: Path):
    ledger = Ledger(tmp_path / "l.sqlite3")
    job = ledger.begin(order(owner="alice"), NONE)
    assert ledger.get(job.job_id, "bob") is None and ledger.listed("bob") == []
    assert len(ledger.listed("alice")) == 1


def test_arguments_can_be_kept_out_of_it(tmp_path: Path):
    file = tmp_path / "l.sqlite3"
    ledger = Ledger(file, records_arguments=False)
    ledger.begin(Order("a/b", {"prompt": "a secret wish"}), NONE)
    ledger.close()
    assert b"secret" not in file.read_bytes()


def test_a_damaged_ledger_is_set_aside_and_a_new_one_begun(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "l.sqlite3"
    file.write_bytes(b"SQLite format 3\0" + b"garbage" * 500)
    ledger = Ledger(file)
    assert ledger.listed("local") == []
    (aside,) = tmp_path.glob("l.sqlite3.damaged-*")
    assert b"garbage" in aside.read_bytes() and "set aside" in caplog.text


def test_what_cannot_be_written_down_is_not_begun(tmp_path: Path):
    ledger = Ledger(tmp_path / "l.sqlite3")
    locked = sqlite3.connect(tmp_path / "l.sqlite3", isolation_level=None)
    ledger._database.execute("PRAGMA busy_timeout = 1")  # pyright: ignore[reportPrivateUsage]
    locked.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotRecorded):
        ledger.begin(order(), NONE)
    locked.close()


def test_an_unknown_price_is_over_every_limit_unless_allowed():
    ledger = Ledger(None)
    with pytest.raises(BudgetExceeded, match="not known"):
        ledger.begin(order(None), Limits(call=1))
    assert ledger.begin(order(None), Limits(call=1, allow_unpriced=True))
    assert ledger.begin(order(None), NONE)


def test_what_was_not_billed_counts_against_no_budget():
    ledger = Ledger(None)
    limits = Limits(session=0.25)
    for state in ("failed", "cancelled"):
        ledger.change(ledger.begin(order(0.2), limits).job_id, state=state)
    ledger.begin(order(0.2), limits)
    with pytest.raises(BudgetExceeded, match=r"--session-budget is 0\.25"):
        ledger.begin(order(0.2), limits)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.booleans()), max_size=40), st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_no_interleaving_of_servers_and_calls_exceeds_a_daily_budget(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]], budget: int
):
    """Issue 4: three servers on one ledger begin and end jobs in any order."""
    file = tmp_path_factory.mktemp("ledger") / "l.sqlite3"
    ledgers = [Ledger(file) for _ in range(3)]
    limits = Limits(day=budget / 100)
    for server, cents, fails in steps:
        try:
            job = ledgers[server].begin(order(cents / 100), limits)
        except BudgetExceeded:
            assert ledgers[0].spent() + cents / 100 > budget / 100
            continue
        if fails:
            ledgers[(server + 1) % 3].change(job.job_id, state="failed")
        assert ledgers[0].spent() <= budget / 100 + 1e-6
    for ledger in ledgers:
        ledger.close()


def test_what_is_old_is_forgotten_and_unfinished_work_never(tmp_path: Path):
    ledger = Ledger(tmp_path / "l.sqlite3")
    old, unfinished = ledger.begin(order(), NONE), ledger.begin(order(), NONE)
    for job in (old, unfinished):
        ledger.change(job.job_id, created=time.time() - 40 * 86_400)
    ledger.change(old.job_id, state="completed")
    ledger.prune()
    assert [job.job_id for job in ledger.listed("local")] == [unfinished.job_id]


def test_where_a_file_is_and_how_far_it_came_is_remembered(tmp_path: Path):
    one, other = Ledger(tmp_path / "l.sqlite3"), Ledger(tmp_path / "l.sqlite3")
    one.keep_parts("big", Parts("https://u", "https://f", {1: "a", 3: "c"}))
    assert other.parts_of("big") == Parts("https://u", "https://f", {1: "a", 3: "c"})
    assert other.uploaded("big") is None
    one.keep_upload("big", "https://f", None)
    assert other.uploaded("big") == "https://f" and other.parts_of("big") is None
    one.keep_upload("short", "https://g", time.time() + 60)
    assert other.uploaded("short") is None, "what is about to expire is uploaded anew"
