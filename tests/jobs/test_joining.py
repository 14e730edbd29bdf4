"""Which call is one that was made before: the decision on whether something is paid for twice."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.jobs import rows
from fal_mcp.jobs.cost import State
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.joining import MAY_BE_OWED, joins
from fal_mcp.jobs.ledger import Ledger, Limits
from tests.jobs.conftest import Where

NOW = 1000.0
LONG_AGO = 60.0
JOB = Job(
    "j", "a/b", "o", "d", "running", 900, 900, asked=900, call_id="first", connection="c", session="s", answered=None
)
AGAIN = Order("a/b", {}, "o", is_repeatable=False, call_id="second", connection="other")
CHANCE, FIXED = AGAIN, replace(AGAIN, is_repeatable=True)
SAME = replace(AGAIN, connection="c")


@asynccontextmanager
async def ledger_at(where: Where) -> AsyncGenerator[Ledger]:
    ledger = Ledger(where)
    try:
        yield ledger
    finally:
        await ledger.aclose()


def is_joined(order: Order = CHANCE, *, alive: bool = True, answering: bool = False, **about: Any) -> bool:
    return joins(replace(JOB, **about), order, NOW, ["s"] * alive, ["j"] * answering)


@pytest.mark.parametrize(
    ("about", "joined"),
    [
        # A seed left to chance: only what nobody got an answer to.
        ({}, False),
        ({"detached": 950}, True),
        ({"alive": False}, True),
        ({"answered": 950}, False),
        ({"answered": 950, "alive": False}, False),
        ({"detached": 950, "answering": True}, False),
        ({"state": "completed", "detached": 950}, True),
        ({"state": "completed", "alive": False}, True),
        ({"state": "completed", "answered": 950}, False),
        ({"state": "completed"}, False),
        # A fixed seed: what is at work, whoever asked.
        ({"order": FIXED}, True),
        ({"order": FIXED, "answered": 950}, True),
        ({"order": FIXED, "state": "completed"}, True),
        ({"order": FIXED, "state": "completed", "answered": 950}, False),
        # All that was answered is that it went on: the result is still to be had, where the seed is fixed.
        ({"order": FIXED, "state": "completed", "answered": 950, "updated": 960}, True),
        ({"order": CHANCE, "state": "completed", "answered": 950, "updated": 960}, False),
        # A client that gave up without a word asks again on its connection; parallel calls begin together.
        ({"order": SAME}, True),
        ({"order": SAME, "asked": NOW - 0.5}, False),
        ({"order": SAME, "asked": NOW + 500}, True),
        # The one that came first may be the second to get so far.
        ({"order": SAME, "asked": NOW + 3}, True),
        ({"order": SAME, "asked": NOW + 0.5}, False),
        ({"order": SAME, "answered": 950}, False),
        ({"order": replace(SAME, connection=""), "connection": ""}, False),
        # One call that wants it twice.
        ({"order": replace(FIXED, call_id="first")}, False),
        ({"order": replace(SAME, call_id="first"), "detached": 950}, False),
        # Maybe paid for: whatever was answered.
        ({"state": "unknown"}, True),
        ({"state": "unknown", "answered": 950}, True),
        ({"state": "lost"}, True),
        ({"state": "unknown", "way": "sync"}, False),
        ({"state": "intent", "way": "sync", "detached": 950}, False),
        ({"state": "completed", "way": "sync", "detached": 950}, True),
        # Nothing is owed.
        ({"state": "failed", "detached": 950}, False),
        ({"state": "cancelled", "detached": 950}, False),
    ],
)
def test_whether_a_call_is_one_made_before(about: dict[str, Any], joined: bool):
    assert is_joined(**about) is joined


@given(
    st.sampled_from(get_args(State)),
    st.sampled_from([CHANCE, FIXED, SAME]),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.just(950.0)),
)
def test_what_was_answered_is_never_handed_out_as_new(
    state: State, order: Order, alive: bool, answering: bool, detached: float | None
):
    """A person who asks for another picture gets another picture."""
    if is_joined(order, state=state, alive=alive, answering=answering, detached=detached, answered=960.0):
        assert state in ("unknown", "lost") or (order is FIXED and state in ("waiting", "intent", "queued", "running"))


@given(st.sampled_from(["waiting", "intent", "queued", "running", "completed", "unknown", "lost"]), st.booleans())
def test_what_nobody_got_is_owed(state: State, alive: bool):
    assert is_joined(state=state, alive=alive, detached=950.0)
    assert is_joined(state=state, alive=False)


# What another program or a damaged page may have put where a moment belongs: SQLite checks no types.
ODD = (-1.0, 0.0, 950.0, 960.0, 1e300, "x", "950", b"\0", "")
MOMENTS = st.one_of(st.none(), st.sampled_from(ODD), st.floats(0, 2000))


@given(
    *(st.sampled_from(get_args(State)), MOMENTS, MOMENTS, st.sampled_from([CHANCE, FIXED, SAME])),
    *(st.one_of(st.none(), st.just(955.0)), st.booleans(), st.booleans()),
)
def test_what_the_ledger_does_not_read_is_joined_by_nobody(
    state: State, answered: Any, updated: Any, order: Order, detached: float | None, alive: bool, answering: bool
):
    moments = {"answered": rows.typed("answered", answered), "updated": rows.typed("updated", updated)}
    if is_joined(order, state=state, alive=alive, answering=answering, detached=detached, **moments):
        statement = f"SELECT {MAY_BE_OWED} FROM (SELECT ? AS state, ? AS answered, ? AS updated)"
        with closing(sqlite3.connect(":memory:")) as database:
            assert database.execute(statement, (state, answered, updated)).fetchone() == (1,)


async def test_of_a_hundred_answered_calls_with_the_same_words_none_is_read_again(where: Where):
    async with ledger_at(where) as ledger:
        for number in range(3):
            job = (await ledger.join_or_begin(replace(CHANCE, call_id=f"c{number}"), Limits())).job
            await ledger.record(job.job_id, state="completed", output={})
            await ledger.answered([job.job_id])
        open_one = (await ledger.join_or_begin(replace(CHANCE, call_id="open"), Limits())).job
        statement = f"SELECT job_id FROM job WHERE {MAY_BE_OWED}"
        read = await ledger.store.run(lambda database: database.execute(statement).fetchall())
        assert read == [(open_one.job_id,)]
        await ledger.left([open_one.job_id], "open")
        again = await ledger.join_or_begin(replace(CHANCE, call_id="again"), Limits())
        assert again.is_joined and again.job.job_id == open_one.job_id


async def test_a_server_counts_what_it_has_in_hand_and_what_others_have_taken(where: Where):
    """What one was let in for has a row a moment later: till then nobody else may be given its place."""
    async with ledger_at(where) as ledger, ledger_at(where) as other:
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, 0.0) == 10
        for _ in range(3):
            await other.begin(CHANCE, Limits())
        # Each of two servers that live gets half of what is left, rounded up.
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, 0.0) == 4
        assert await ledger.left_for_one(CHANCE.payer, 10, 3, 0.0) == 1, "of which the other knows nothing"
        await ledger.begin(CHANCE, Limits())
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, 0.0) == 3
        assert await ledger.left_for_one(CHANCE.payer, 10, 3, 0.0) == 1, "its row is among the three"
        assert await ledger.left_for_one(CHANCE.payer, 10, 9, 0.0) == -5


async def test_places_are_shared_as_they_were_when_the_rush_began(where: Where):
    """Whichever server counts first: the other's part is not what that one leaves."""
    async with ledger_at(where) as ledger, ledger_at(where) as other:
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, LONG_AGO) == 10
        for _ in range(3):
            await other.begin(CHANCE, Limits())
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, LONG_AGO) == 5
        assert await other.left_for_one(CHANCE.payer, 10, 0, LONG_AGO) == 4, "or half of what is left, if that is more"
        for _ in range(3):
            await other.begin(CHANCE, Limits())
        assert await ledger.left_for_one(CHANCE.payer, 10, 0, LONG_AGO) == 4, "there are no more"
        assert await ledger.left_for_one(CHANCE.payer, 10, 3, LONG_AGO) == 1, "three of those are in hand"
