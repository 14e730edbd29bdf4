"""What a call that waits for a job tells its client meanwhile."""

import time
from collections.abc import Awaitable, Callable

import anyio

from fal_mcp.client.status import Status
from fal_mcp.jobs.follower import Follower
from fal_mcp.jobs.progress import Progress, Report
from fal_mcp.jobs.turns import Waiting

HEARTBEAT = 5.0
"""Seconds. Hosts that reset their clock on progress need it well before their shortest limit."""

Tell = Callable[[Report], Awaitable[None]]


async def watch(followed: Follower, tell: Tell) -> None:
    """Report every change, and that nothing changed, until the job is over."""
    progress, seen, started = Progress(), 0, time.monotonic()
    await tell(progress.begin())
    # What was reported before the end is told even where the end came first.
    while not followed.is_over or followed.statuses.is_after(seen):
        statuses: list[Status | Waiting] = []
        # A little sooner, so that a slow machine still says something within the beat.
        with anyio.move_on_after(HEARTBEAT - 0.5) as pause:
            statuses, seen = await followed.statuses.after(seen, is_over=followed.is_over)
        if pause.cancelled_caught:
            await tell(progress.beat(time.monotonic() - started))
        for status in statuses:
            if report := progress.after(status):
                await tell(report)
