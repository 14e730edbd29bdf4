"""What the operator of a ledger sees of everybody who shares it: jobs, money by day and owner, and nobody's prompt."""

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.cells import cell_len

from fal_mcp.config import Settings
from fal_mcp.jobs.job import Job, Order, owner_of
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.overview import Overview
from fal_mcp.team.token_file import TokenFile
from fal_mcp.terminal import everybody
from tests.conftest import KEY
from tests.jobs.conftest import Where, cluster, where

__all__ = ["cluster", "where"]
Capsys = pytest.CaptureFixture[str]
BOUND = 60
PROMPT = "a red bicycle that nobody must read of"
DAY = 86_400.0
PAYER = owner_of(KEY)
LONG = "a team with a name that is as long as a name may be, and in it 四十の漢字 as wide as eight letters each"


async def begun(ledger: Ledger, owner: str, price: float | None = 0.1, **columns: Any) -> Job:
    order = Order("fal-ai/flux/dev", {"prompt": PROMPT}, owner, price, is_fresh=True)
    job = await ledger.begin(order, Limits())
    if columns:
        await ledger.record(job.job_id, **columns)
    return job


def shared(folder: Path, where: Where) -> Settings:
    """An operator's settings: where the ledger is, and the file of tokens."""
    place: dict[str, Any] = {"store": where} if isinstance(where, str) else {"data": where.parent}
    return replace(Settings(key=KEY, tokens=folder / "tokens.json"), **place)


def owner(settings: Settings, name: str) -> str:
    assert settings.tokens is not None
    tokens = TokenFile(settings.tokens)
    tokens.create(name, ("fal:run",))
    return tokens.entries()[-1].principal.owner(PAYER)


@pytest.fixture
def settings(tmp_path: Path, where: Where) -> Settings:
    return shared(tmp_path, where)


def ledger_of(settings: Settings) -> Ledger:
    return Ledger(settings.store or settings.ledger_file)


async def test_everybodys_jobs_are_listed_with_whose_they_are_and_without_their_prompts(
    settings: Settings, capsys: Capsys
):
    anna, ledger = owner(settings, "anna"), ledger_of(settings)
    hers = await begun(ledger, anna, state="completed", saved={"https://x/1": f"/out/{PROMPT}.png"})
    other = await begun(ledger, "somebody-else", None)
    own = await begun(ledger, PAYER)
    await ledger.aclose()
    assert await everybody.listed(settings, 20, True) == 0
    rows = {row["job_id"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == [own.job_id, other.job_id, hers.job_id]
    assert (rows[hers.job_id]["owner"], rows[hers.job_id]["name"], rows[hers.job_id]["usd"]) == (anna, "anna", 0.1)
    assert (rows[other.job_id]["owner"], rows[other.job_id]["name"]) == ("somebody-else", None)
    assert rows[own.job_id]["prompt"] == PROMPT, "the operator's own is shown as it always was"
    assert PROMPT not in json.dumps([rows[hers.job_id], rows[other.job_id]])
    assert await everybody.listed(settings, 2, False) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], line[5], line[6]) for line in lines] == [
        (own.job_id, PAYER, PROMPT),
        (other.job_id, "somebody-else", ""),
    ]


async def test_money_is_summed_by_day_and_owner_as_estimated_billed_and_counted(settings: Settings, capsys: Capsys):
    anna, midnight = owner(settings, "anna"), time.time() // DAY * DAY
    now = [midnight - 1]
    yesterday = Ledger(settings.store or settings.ledger_file, clock=lambda: now[0])
    await begun(yesterday, anna, 1.0, state="completed")
    now[0] = midnight
    await begun(yesterday, anna, 1.0, state="completed", billed=0.75)
    await begun(yesterday, anna, 2.0, state="failed")
    await begun(yesterday, "somebody-else", None, state="completed")
    found = await Overview(yesterday.store).by_owner_and_day(2)
    await yesterday.aclose()
    sums = [(each.day, each.owner, *_figures(each.sums)) for each in found]
    assert sorted(sums) == sorted(
        [
            (midnight, anna, 2, 3.0, 0.75, 0.75, 0),
            (midnight, "somebody-else", 1, 0.0, 0.0, 0.0, 1),
            (midnight - DAY, anna, 1, 1.0, 0.0, 1.0, 0),
        ]
    )
    assert await everybody.usage(settings, 3, True) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["name"], row["jobs"], row["estimated"]) for row in rows} >= {("anna", 2, 3.0), ("anna", 1, 1.0)}
    assert await everybody.usage(settings, 3, False) == 0
    out, err = capsys.readouterr()
    assert f"{anna}\t2\t$3.00\t$0.75\t$0.75" in out and "$1.75 in 3 days" in err
    assert "The price of 1 jobs is not known" in err and "https://fal.ai/dashboard/usage" in err


def _figures(sums: Any) -> tuple[Any, ...]:
    return (sums.jobs, sums.estimated, sums.billed, sums.counted, sums.unpriced)


async def ran(settings: Settings, *arguments: str) -> list[str]:
    """What the command says on a terminal of sixty columns, without its colours."""
    assert settings.tokens is not None
    place = ["--store", settings.store] if settings.store else ["--data-dir", str(settings.data)]
    # Without a key: who owns the store sees it all the same.
    screen = {"COLUMNS": "60", "LINES": "25", "FORCE_COLOR": "1"}
    environment = {"PATH": os.defpath, "HOME": str(settings.tokens.parent), "PYTHONPATH": ":".join(sys.path), **screen}
    command = [sys.executable, "-m", "fal_mcp", *arguments, *place, "--tokens", str(settings.tokens)]
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(command, env=environment)
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout.decode()).splitlines()


async def test_nothing_is_wider_than_a_terminal_of_sixty_columns(settings: Settings):
    ledger = ledger_of(settings)
    for name in ("anna", LONG[:100], "b"):
        await begun(ledger, owner(settings, name), 123_456.78, state="completed", billed=100_000.0)
    await begun(ledger, "somebody-else-with-a-key-id-that-is-long")
    await ledger.aclose()
    listed = await ran(settings, "jobs", "list", "--all")
    summed = await ran(settings, "usage", "--all", "--days", "1")
    assert len(listed) == 2 * 4 and len(summed) == 2 + 4
    assert max(map(cell_len, [*listed, *summed])) <= 60, [*listed, *summed]
    assert PROMPT not in "\n".join(listed) and any("anna" in line for line in listed)
    (anna,) = [line for line in summed if "anna" in line]
    assert anna.split() == ["anna", "1", "$123,456.78", "$100,000.00", "$100,000.00"]


async def test_a_ledger_without_jobs_is_said_to_have_none(settings: Settings, capsys: Capsys):
    assert await everybody.listed(settings, 20, False) == 0
    assert await everybody.usage(settings, 1, False) == 0
    out, err = capsys.readouterr()
    assert out == "" and "No jobs yet in this ledger." in err and "$0.00 in 1 days" in err


async def test_how_a_ledger_stands_names_servers_and_what_they_left(where: Where, tmp_path: Path):
    one, other = Ledger(where), Ledger(where)
    for state in ("running", "queued", "completed"):
        await begun(one, "me", 0.5, state=state)
    await begun(other, "you", 0.25)
    standing = await Overview(other.store).standing()
    assert standing.unfinished == {"running": 1, "queued": 1, "intent": 1}
    assert (standing.servers, standing.left, standing.waited) == (2, 0, 0.0)
    assert (standing.today.jobs, standing.today.counted) == (4, 1.75)
    # It ends without a word of its jobs, which are another's to take up.
    await one.aclose()
    standing = await Overview(other.store).standing()
    assert (standing.servers, standing.left) == (1, 2)
    await other.aclose()
