"""Paid work: begun once, followed for whoever waits, found again after anything.

A call only waits here. What it waits for lives in the server's task group and in the ledger, and outlives it.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import anyio
import anyio.abc

from fal_mcp.client.fal import Fal
from fal_mcp.client.queue import Status
from fal_mcp.client.webhooks import Delivery
from fal_mcp.errors import FalError, GenerationFailed, NotFound, NotRecorded
from fal_mcp.jobs import follower
from fal_mcp.jobs.follower import Follower
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.progress import Progress, Report

HEARTBEAT = 5.0
"""Seconds. Hosts that reset their clock on progress need it well before their shortest limit."""
MOMENTS_AGO = 600.0
"""Seconds for which a call that was broken off counts as the same as one that repeats it."""
_MOST_RESUMED_AT_ONCE = 32
_LONGEST_GOODBYE = 10.0
_LONGEST_SUBMIT = 5.0
_CLOCK_SKEW = 120.0

Policy = Literal["detach", "cancel"]
Tell = Callable[[Report], Awaitable[None]]

logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was begun, or joined because it was begun already."""

    job: Job
    is_joined: bool


class Jobs:
    """All paid work of one server."""

    def __init__(
        self,
        fal: Callable[[], Fal],
        ledger: Ledger,
        tasks: anyio.abc.TaskGroup,
        limits: Limits,
        on_disconnect: Policy = "detach",
    ) -> None:
        self.ledger = ledger
        self.limits = limits
        self._fal = fal
        self._tasks = tasks
        self._on_disconnect: Policy = on_disconnect
        self._followers: dict[str, Follower] = {}

    def start(self, order: Order) -> Started:
        """Begin a job, or join the same one where it was asked for already. Nothing is awaited between the decision
        and the ledger's row, so that no two calls can both decide.

        Raises:
            BudgetExceeded, NotRecorded: nothing was submitted.
        """
        if not order.is_fresh and (same := self._same(order)):
            self.ledger.change(same.job_id, detached=None)
            return Started(same, True)
        job = self.ledger.begin(order, self.limits)
        self._follow(Follower(job, self._fal().queue, self.ledger, self.look_for), order)
        return Started(job, False)

    async def wait(self, job: Job, seconds: float, tell: Tell) -> Job:
        """Wait until the job is over or the time is up, and say how it stands.

        Cancelled from outside, it is a call that was broken off: one that waits in the queue is cancelled at fal, one
        that runs is left (or cancelled too, by setting).
        """
        found = self._followers.get(job.job_id) or self._resumed(job)
        if found is None:
            return self.get(job.job_id, job.owner)
        found.waiting += 1
        try:
            with anyio.move_on_after(seconds):
                await self._watch(found, tell)
            # Whoever does not wait is still told what fal calls the request.
            with anyio.move_on_after(_LONGEST_SUBMIT):
                await found.taken()
        except anyio.get_cancelled_exc_class():
            found.waiting -= 1
            self._forget(found)
            if not found.waiting and not found.is_over:
                self._tasks.start_soon(self._abandon, found)
            raise
        found.waiting -= 1
        return self._standing(found)

    def get(self, job_id: str, owner: str) -> Job:
        """This owner's job as it stands.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        job = self.ledger.get(job_id, owner)
        if job is None:
            raise NotFound(f"There is no job {job_id[:80]!r}.", hint="list_jobs shows the jobs there are.")
        return job

    async def output(self, job: Job) -> dict[str, Any]:
        """A completed job's output, from the ledger or from fal.

        Raises:
            FalError: what went wrong with the job, or that fal has forgotten it.
        """
        if job.state in ("failed", "cancelled"):
            raise follower.read(job.error, job.request.request_id if job.request else None)
        found = self._followers.get(job.job_id)
        if found is not None and isinstance(found.outcome, dict):
            return found.outcome
        if job.output is not None:
            return job.output
        if job.request is None:
            raise NotFound(
                f"The output of {job.job_id} was not written down, and fal keeps none without its queue.",
                hint="The answer to its call had it; to have it again is to run it again.",
            )
        return await self._fal().queue.result(job.request)

    async def billed(self, job: Job) -> Job:
        """The job with what fal billed for it, where an admin key lets us ask and fal knows by now."""
        requests = self._fal().requests
        if job.state != "completed" or job.billed is not None or job.request is None or not requests.can_be_billed:
            return job
        try:
            cost = await requests.billed(job.request.request_id, job.created - _CLOCK_SKEW)
        except FalError as error:
            logger.info("What %s cost could not be asked: %s", job.job_id, error.message)
            return job
        if cost is None:
            return job
        self.note(job, billed=cost)
        return replace(job, billed=cost)

    def note(self, job: Job, **columns: Any) -> None:
        """Write down what became of a job. What is paid for is never lost to a ledger that cannot be written."""
        try:
            self.ledger.change(job.job_id, **columns)
        except NotRecorded as error:
            logger.error("%s", error.message)

    async def cancel(self, job: Job) -> str:
        """Ask fal to cancel the job, whatever it is doing, and say what fal answered."""
        found = self._followers.get(job.job_id)
        if found is not None:
            return await found.cancel()
        if job.request is None:
            return "not found"
        return await self._fal().queue.cancel(job.request)

    async def look_for(self, job: Job) -> Job:
        """Look through fal's own records for a job whose submit was never answered.

        It is the one request of that endpoint, since then, with these arguments, which no other row claims. Told by the
        arguments' digest, because the ledger may be kept without the arguments themselves.
        """
        past = await self._fal().requests.since(job.endpoint_id, job.created - _CLOCK_SKEW)
        claimed = {one.request.request_id for one in self.ledger.listed(job.owner, limit=1000) if one.request}
        fits = [
            one
            for one in past
            if one.arguments is not None
            and Order(job.endpoint_id, one.arguments).digest == job.digest
            and one.request.request_id not in claimed
        ]
        if not fits:
            return job
        self.ledger.accepted(job.job_id, fits[0].request)
        return replace(job, request=fits[0].request, state="queued")

    def called_back(self, delivery: Delivery) -> bool:
        """Take a verified callback: the job is over, without a poll. False where no such job is known here."""
        job = self.ledger.by_request(delivery.request_id)
        if job is None:
            return False
        if not job.is_over:
            if delivery.is_ok and delivery.payload is not None:
                self.ledger.change(job.job_id, state="completed", output=delivery.payload, position=None)
            elif not delivery.is_ok:
                message = delivery.error or "The job failed."
                kept = follower.said(GenerationFailed(message, request_id=delivery.request_id))
                self.ledger.change(job.job_id, state="failed", error=kept, position=None)
        return True

    async def resume(self) -> None:
        """Pick up what a server that ended left unfinished. Never raises."""
        for job in self.ledger.orphaned():
            self.ledger.change(job.job_id, state="unknown")
        limiter = anyio.CapacityLimiter(_MOST_RESUMED_AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for job in self.ledger.unfinished():
                if job.job_id not in self._followers:
                    tasks.start_soon(self._resume, job, limiter)

    def standing(self, job: Job) -> Follower | None:
        """Who follows the job, if anyone does."""
        return self._followers.get(job.job_id)

    def _same(self, order: Order) -> Job | None:
        """The job that this order repeats: one still at work or whose call was broken off moments ago. Where a seed is
        left to chance, only the latter: two such calls want two pictures."""
        found = self.ledger.same(order, time.time() - MOMENTS_AGO)
        if found is None or found.state in ("failed", "cancelled"):
            return None
        if found.state == "unknown" or found.detached is not None:
            return found
        return found if not found.is_over and order.is_repeatable else None

    def _follow(self, found: Follower, order: Order | None) -> None:
        self._followers[found.job.job_id] = found
        self._tasks.start_soon(self._live, found, order)

    async def _live(self, found: Follower, order: Order | None) -> None:
        try:
            if order is None:
                await found.follow()
            else:
                await found.submit(order)
        finally:
            self._forget(found)

    def _forget(self, found: Follower) -> None:
        if found.is_over and not found.waiting:
            self._followers.pop(found.job.job_id, None)

    def _resumed(self, job: Job) -> Follower | None:
        if job.is_over or job.request is None:
            return None
        found = Follower(job, self._fal().queue, self.ledger, self.look_for)
        self._follow(found, None)
        return found

    async def _resume(self, job: Job, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            try:
                if job.state == "unknown" and job.request is None:
                    job = await self.look_for(job)
                found = self._followers.get(job.job_id) or self._resumed(job)
                if found is not None:
                    await found.ended()
            except FalError as error:
                logger.info("%s could not be picked up: %s", job.job_id, error.message)

    async def _watch(self, found: Follower, tell: Tell) -> None:
        progress, seen, started = Progress(), 0, time.monotonic()
        await tell(progress.begin())
        # What was reported before the end is told even where the end came first.
        while not found.is_over or found.has_news(seen):
            statuses: list[Status] = []
            with anyio.move_on_after(HEARTBEAT - 0.5) as pause:
                statuses, seen = await found.news(seen)
            if pause.cancelled_caught:
                await tell(progress.beat(time.monotonic() - started))
            for status in statuses:
                if report := progress.after(status):
                    await tell(report)

    def _standing(self, found: Follower) -> Job:
        self._forget(found)
        if found.is_over and isinstance(found.outcome, FalError):
            raise found.outcome
        job = self.ledger.get(found.job.job_id, found.job.owner) or found.job
        if found.is_over and isinstance(found.outcome, dict):
            # A row that could not be written must not hide a result that is paid for.
            job = replace(job, state="completed", output=found.outcome, request=found.request)
        return job

    async def _abandon(self, found: Follower) -> None:
        """Nobody waits any more. A host's time-out looks just like a person's cancel (facts/mcp §4.3)."""
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            try:
                self.ledger.change(found.job.job_id, detached=time.time())
                if not found.is_running or self._on_disconnect == "cancel":
                    await found.cancel()
            except FalError as error:
                logger.info("%s could not be cancelled: %s", found.job.job_id, error.message)
