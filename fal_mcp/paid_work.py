"""The ledger and the paid work of one server, as its settings want them."""

from collections.abc import Callable

import anyio.abc

from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings
from fal_mcp.jobs.job import owner_of
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.turns import Room
from fal_mcp.team.principal import own_daily_budget


def ledger_of(settings: Settings) -> Ledger:
    """The ledger of these settings, which is opened when it is first needed.

    Raises:
        NotRecorded: it is in PostgreSQL, and the driver is not installed.
    """
    return Ledger(
        settings.store or settings.ledger_file,
        records_arguments=settings.records_arguments,
        # A server without a key must not take over what an earlier version wrote for whoever has one.
        first_owner=owner_of(settings.key) if settings.key is not None else None,
    )


def room_of(settings: Settings) -> Room:
    """How many jobs may be at fal at once, and how many may wait for it."""
    return Room.of(settings.max_running, settings.max_running_each, settings.max_waiting)


def jobs_of(
    settings: Settings,
    fal: Callable[[], Fal],
    ledger: Ledger,
    tasks: anyio.abc.TaskGroup,
    account: Callable[[], str],
) -> Jobs:
    """All paid work; `account` is the name that it stands under."""
    limits = Limits(
        call=settings.max_cost,
        session=settings.session_budget,
        day=settings.daily_budget,
        own_day=settings.daily_budget_each,
        approve_over=settings.approve_over,
        allow_unpriced=settings.allow_unpriced,
    )
    return Jobs(fal, ledger, tasks, limits, settings.on_disconnect, account, own_daily_budget, room_of(settings))
