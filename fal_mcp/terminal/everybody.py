"""`fal-mcp jobs list --all` and `fal-mcp usage --all`: what the operator of a ledger sees of everybody who shares it.

Read from the ledger itself and nothing else: no key of fal's is needed, and nothing that is seen here is taken up.
"""

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import groupby

from rich.text import Text

from fal_mcp.config import Settings
from fal_mcp.jobs.job import Job, owner_of
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.jobs.overview import Overview, OwnersDay
from fal_mcp.json_values import JsonObject, dumped
from fal_mcp.terminal import jobs as own
from fal_mcp.terminal import screen, session
from fal_mcp.terminal.owners import Owners
from fal_mcp.terminal.session import DONE
from fal_mcp.terminal.words import money

_NAME = 15


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Overview]:
    session.check_folders(settings)
    ledger = Ledger(settings.store or settings.ledger_file)
    try:
        yield Overview(ledger.store)
    finally:
        await ledger.aclose()


async def listed(settings: Settings, limit: int, as_json: bool) -> int:
    """List the newest jobs of everybody, with whose each is."""
    async with _opened(settings) as overview:
        jobs = await overview.jobs(limit)
    owners, mine = Owners(settings), owner_of(settings.key)
    if as_json:
        screen.out().print(dumped([_row(job, owners, mine) for job in jobs], indent=1))
        return DONE
    if not jobs:
        screen.say(screen.errors(), "No jobs yet in this ledger.", "dim")
    for job in jobs:
        own.line(_without_words(job, mine), owner=owners.shown(job.owner))
    return DONE


async def usage(settings: Settings, days: int, as_json: bool) -> int:
    """Say what each owner's jobs of each UTC day were thought to cost, what fal billed, and what they count for."""
    async with _opened(settings) as overview:
        found = await overview.by_owner_and_day(days)
    owners = Owners(settings)
    if as_json:
        screen.out().print(dumped([_day_row(each, owners) for each in found], indent=1))
        return DONE
    if screen.out().is_terminal:
        _table(found, owners)
    else:
        for each in found:
            screen.columns(_date(each.day), each.owner, *_figures(each))
    total, unpriced = money(sum(each.sums.counted for each in found)), sum(each.sums.unpriced for each in found)
    screen.say(screen.errors(), f"{total} in {days} days: as billed where that is known, else as estimated.", "dim")
    if unpriced:
        screen.say(screen.errors(), f"The price of {unpriced:,} jobs is not known.", "yellow")
    screen.say(screen.errors(), "fal's own figures: https://fal.ai/dashboard/usage", "dim")
    return DONE


def _without_words(job: Job, mine: str) -> Job:
    # An operator can read the store itself. But what people asked for was said to a model and not to a colleague, and a
    # list is looked at over shoulders and pasted into tickets: others' prompts, and file names made of them, are not in
    # it, and whoever needs one has to look for it on purpose.
    return job if job.owner == mine else own.without_words(job)


def _row(job: Job, owners: Owners, mine: str) -> JsonObject:
    row = own.row(_without_words(job, mine))
    return {**row, "owner": job.owner, "name": owners.name(job.owner)}


def _day_row(each: OwnersDay, owners: Owners) -> JsonObject:
    return {"day": _date(each.day), "owner": each.owner, "name": owners.name(each.owner), **asdict(each.sums)}


def _table(found: Iterable[OwnersDay], owners: Owners) -> None:
    console = screen.out()
    header = f"{'day (UTC), owner':<{_NAME + 2}} {'jobs':>5} {'estimated':>11} {'billed':>11} {'counts':>11}"
    console.print(Text(header, style="dim"))
    for day, group in groupby(found, key=lambda each: each.day):
        console.print(Text(_date(day)))
        for each in group:
            jobs, *amounts = _figures(each)
            figures = " ".join(f"{amount:>11}" for amount in amounts)
            console.print(Text(f"  {owners.in_column(each.owner, _NAME)} {jobs:>5} {figures}"))


def _figures(each: OwnersDay) -> tuple[str, str, str, str]:
    sums = each.sums
    return str(sums.jobs), money(sums.estimated), money(sums.billed), money(sums.counted)


def _date(day: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day))
