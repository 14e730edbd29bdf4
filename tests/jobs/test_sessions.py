"""Sessions in the ledger: what each input costs is counted on the day that it is sent."""

import time
from dataclasses import replace
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.errors import BudgetExceeded
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.sessions import Input, Session, Sessions
from fal_mcp.ways_to_fal import fal_of

FLUX = "fal-ai/flux/dev"
DAY = 86_400.0
BOUND = 20


def one(price: float) -> Input:
    return Input(Order(FLUX, {"prompt": "a pier", "seed": 1}, price=price), 10, newest_wins=False)


async def begun_yesterday(session: Session, ledger: Ledger) -> None:
    """As if the night had passed."""
    then = session.job.created - DAY
    await ledger.record(session.job.job_id, created=then)
    session.job = replace(session.job, created=then)


async def test_a_session_over_midnight_counts_each_input_on_its_own_day(fal: Emulator, settings: Settings):
    ledger, answers, job_ids = Ledger(None), list[Any](), list[str]()
    with anyio.fail_after(BOUND):
        async with fal_of(settings) as client, anyio.create_task_group() as tasks:
            sessions = Sessions(lambda: client, ledger, lambda: Limits(day=0.25), tasks)
            session = await sessions.open(Order(FLUX, {"realtime": "session"}, price=0.0), 60)
            answers += [await sessions.send(session, one(0.1)) for _ in range(2)]
            job_ids.append(session.job.job_id)
            await begun_yesterday(session, ledger)
            answers += [await sessions.send(session, one(0.1)) for _ in range(2)]
            with pytest.raises(BudgetExceeded, match=r"0\.2 USD are spent, and --daily-budget"):
                await sessions.send(session, one(0.1))
            job_ids.append(session.job.job_id)
            await sessions.close(session)
    assert len(answers) == 4 and len(fal.lines) == 1, "the connection stays as it is"
    today, yesterday = await ledger.listed("local")
    assert [yesterday.job_id, today.job_id] == job_ids
    assert [(job.state, job.price) for job in (yesterday, today)] == [("completed", 0.2)] * 2
    assert await ledger.spent("local", time.time() - DAY / 2) == 0.2
