"""Going on with what servers that ended left behind, and saying that this one lives."""

import logging
import time
from collections.abc import Callable

import anyio
import anyio.abc

from fal_mcp import logs
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, NotRecorded
from fal_mcp.jobs import lost_submits
from fal_mcp.jobs.followers import Followers
from fal_mcp.jobs.job import Job
from fal_mcp.jobs.ledger import Ledger

_MOST_AT_ONCE = 32
_ROUND = 300.0
_SAID_AGAIN_AFTER = 3.0
_LOOKED_AGAIN_AFTER = (15.0, 45.0, 120.0)
"""Seconds before each further look for a submit that its server may have been slow with."""

logger = logging.getLogger("fal_mcp")


class PickUp:
    """The work of others that one server goes on with, for the account that is named."""

    def __init__(
        self,
        fal: Callable[[], Fal],
        ledger: Ledger,
        followers: Followers,
        account: Callable[[], str],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._fal = fal
        self._ledger = ledger
        self._followers = followers
        self._account = account
        self._tasks = tasks
        # After a night with hundreds of jobs, the user's first call must not stand behind all of their polls.
        self._limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)

    async def keep(self, hear: Callable[[str], None]) -> None:
        """Do all of it for as long as the server runs; `hear` is told what other servers say. Never raises."""
        self._tasks.start_soon(self.keep_alive)
        self._tasks.start_soon(self._ledger.store.listen, hear)
        next_round = next_tidying = 0.0
        while True:
            try:
                if time.monotonic() >= next_round:
                    next_round = time.monotonic() + _ROUND
                    await self.look_again()
                if time.monotonic() >= next_tidying and await self._tidied():
                    next_tidying = time.monotonic() + _ROUND
                await self.take_over()
            except FalError as error:
                logger.warning("What was left unfinished could not be picked up: %s", error.message)
            except Exception:
                logger.exception("What was left unfinished could not be picked up.")
            await anyio.sleep(self._ledger.store.look_after)

    async def take_over(self) -> None:
        """Pick up work whose server is gone; what becomes of it is seen to in the background."""
        # One reading of fal's records for all: they are rate-limited, and the same for every job of an endpoint.
        records = self._records()
        taken = {job.job_id: job for job in await self._ledger.orphaned(self._account())}
        for job in taken.values():
            self._tasks.start_soon(self._taken_over, job, records)
        # What was taken earlier, and could not be followed because the ledger went away in the middle.
        for job_id, owner in await self._ledger.followed(self._account()):
            if job_id in taken or self._followers.get(job_id) is not None:
                continue
            if (job := await self._ledger.get(job_id, owner)) is not None:
                self._tasks.start_soon(self._resume, job, records)

    async def _tidied(self) -> bool:
        """Whether what is old was forgotten, by one of several servers. Only once fal has said what time it is: by a
        clock that was set a month ahead, everything would be old."""
        now = self._fal().requests.now()
        if now is None:
            return False
        if await self._ledger.turn("prune", _ROUND / 2):
            await self._ledger.prune(now)
        return True

    async def look_again(self) -> None:
        """Look again, in the background, for submits without an answer."""
        records = self._records()
        for job in await self._ledger.unanswered(self._account(), lost_submits.MOST):
            if self._followers.get(job.job_id) is None:
                self._tasks.start_soon(self._resume, job, records)

    async def keep_alive(self) -> None:
        """Say again and again that this server lives. Never raises."""
        while self._ledger.store.is_shared:
            try:
                await self._ledger.store.renew()
            except NotRecorded as error:
                logger.warning("%s", error.message)
            except Exception:
                logger.exception("That this server lives could not be said.")
            await anyio.sleep(_SAID_AGAIN_AFTER)

    def _records(self) -> lost_submits.Records:
        return lost_submits.Records(self._fal().requests)

    async def _taken_over(self, job: Job, records: lost_submits.Records) -> None:
        """Never raises: it hangs in the server's own group."""
        await self._resume(job, records)
        for pause in _LOOKED_AGAIN_AFTER:
            if job.request is not None or job.way != "queue" or job.state != "unknown":
                return
            await anyio.sleep(pause)
            try:
                job = await self._ledger.get(job.job_id, job.owner) or job
            except FalError as error:
                logger.info("%s cannot be read: %s", job.job_id, error.message)
                continue
            await self._resume(job, self._records())

    async def _resume(self, job: Job, records: lost_submits.Records) -> None:
        async with self._limiter:
            try:
                followed = await self._followers.resumed(job, records)
                # A server of a team follows hundreds at once anyway, and its dead sibling's are not to wait for it.
                if followed is not None and not self._ledger.store.is_shared:
                    await followed.ended()
            except Exception as error:
                # One job that cannot be picked up is no reason to leave the others.
                logger.info("%s could not be picked up (%s).", job.job_id, logs.kind_of(error))
