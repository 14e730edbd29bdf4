"""Who follows which job at this server: one each, begun with its submission or where another server left off."""

import logging
from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.abc

from fal_mcp.client.fal import Fal
from fal_mcp.jobs import lost_submits
from fal_mcp.jobs.admission import Admission
from fal_mcp.jobs.follower import Follower
from fal_mcp.jobs.job import FOLLOWED, Job, Order
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.jobs.workflow_follower import WorkflowFollower

_WRITE_AGAIN_AFTER = 5.0

logger = logging.getLogger("fal_mcp")


class Followers:
    """The followers of one server, in its task group."""

    def __init__(
        self, fal: Callable[[], Fal], ledger: Ledger, tasks: anyio.abc.TaskGroup, admission: Admission
    ) -> None:
        self._fal = fal
        self._ledger = ledger
        self._tasks = tasks
        self._admission = admission
        self._followers: dict[str, Follower] = {}

    @property
    def count(self) -> int:
        """How many jobs are followed here now."""
        return len(self._followers)

    def get(self, job_id: str) -> Follower | None:
        """Who follows the job, if anyone does."""
        return self._followers.get(job_id)

    def begin(self, job: Job, order: Order) -> Follower:
        """Submit a job that was just written down, and follow it."""
        return self._follow(self._follower(job), order)

    async def resumed(self, job: Job, records: lost_submits.Records | None = None) -> Follower | None:
        """Who follows the job from here on; None where there is nothing to follow."""
        if (followed := self._followers.get(job.job_id)) is not None:
            return followed
        if job.state in ("completed", "failed", "cancelled"):
            return None
        if job.way not in FOLLOWED:
            # Where its server is gone it is over, and whoever asks is told so.
            if job.state == "intent" and job.session != self._ledger.session:
                await self._ledger.claim(job)
            return None
        if job.state == "waiting":
            return await self._waiting_resumed(job)
        if job.way == "workflow":
            return await self._gathered(job)
        # Its server may be about to submit it: only one that is gone may have its job taken over.
        if job.request is None and job.session not in ("", self._ledger.session):
            job = await self._ledger.claim(job) or job
        if job.request is None and job.state == "unknown":
            job = await (records.look_for(job, self._ledger) if records else self.look_for(job))
        if job.request is None:
            return None
        # Claimed before it is followed: two servers that both write would undo each other's rows.
        mine = await self._ledger.claim(job)
        if (followed := self._followers.get(job.job_id)) is not None:
            return followed
        # Followed even where another server has it: this call wants the result, and only writes nothing.
        followed = self._follower(replace(mine, request=job.request) if mine else job, writes=mine is not None)
        return self._follow(followed, None)

    async def look_for(self, job: Job, request_id: str | None = None) -> Job:
        """Look through fal's own records for a job whose submit was never answered; the job with its request where it
        is there.

        Raises:
            FalError: fal's records could not be read.
        """
        return await lost_submits.look_for(job, self._fal().requests, self._ledger, request_id)

    def forget(self, followed: Follower) -> None:
        """Let go of a follower that is over, that nobody waits for, and that has nothing left to write."""
        is_current = self._followers.get(followed.job.job_id) is followed
        if is_current and followed.is_over and not followed.waiting and not followed.unwritten:
            del self._followers[followed.job.job_id]

    async def write(self) -> None:
        """Write down what is left to write."""
        for followed in list(self._followers.values()):
            await followed.write()

    async def _gathered(self, job: Job) -> Follower | None:
        """Who gathers what is left of a workflow whose server is gone; another server that lives follows it itself."""
        is_mine = job.session == self._ledger.session and job.state == "unknown"
        mine = None if is_mine else await self._ledger.claim(job)
        if mine is None or mine.is_over or job.job_id in self._followers:
            return self._followers.get(job.job_id)
        return self._follow(self._follower(mine), None)

    async def _waiting_resumed(self, job: Job) -> Follower | None:
        """Who follows a job of which nothing was sent yet; its server is gone, so that this one sends it."""
        mine = job if job.session == self._ledger.session else await self._ledger.claim(job)
        if mine is None or mine.state != "waiting":
            return None
        order = await self._ledger.order_of(mine)
        if order is None:
            # What it was to be sent with is not known: nobody kept it.
            await self._admission.withdraw(mine.job_id)
            return None
        return self._followers.get(job.job_id) or self.begin(mine, order)

    def _follower(self, job: Job, *, writes: bool = True) -> Follower:
        if job.way == "workflow":
            return WorkflowFollower(job, self._fal(), self._ledger, self.look_for, self._admission.turn)
        return Follower(job, self._fal().queue, self._ledger, self.look_for, self._admission.turn, writes=writes)

    def _follow(self, followed: Follower, order: Order | None) -> Follower:
        self._followers[followed.job.job_id] = followed
        self._tasks.start_soon(self._live, followed, order)
        return followed

    async def _live(self, followed: Follower, order: Order | None) -> None:
        """Never raises: it hangs in the server's own group."""
        try:
            await (followed.follow() if order is None else followed.submit(order))
            while True:
                if await followed.write():
                    break
                await anyio.sleep(_WRITE_AGAIN_AFTER)
        except Exception:
            logger.exception("%s could not be written down.", followed.job.job_id)
            # What will never be written must not hold the follower, and its output, in memory for ever.
            followed.unwritten.clear()
        finally:
            self.forget(followed)
            self._admission.ring()
