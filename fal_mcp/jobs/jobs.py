"""Paid work: begun once, followed for whoever waits, found again after anything.

A call only waits here. What it waits for lives in the server's task group and in the ledger, and outlives it.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import anyio
import anyio.abc

from fal_mcp import logs, traces
from fal_mcp.client.fal import Fal
from fal_mcp.client.webhooks import Delivery
from fal_mcp.errors import FalError, GenerationFailed, NotFound, NotRecorded
from fal_mcp.jobs import callbacks, cost, kept_errors, lost_submits
from fal_mcp.jobs.admission import Admission
from fal_mcp.jobs.follower import Follower
from fal_mcp.jobs.followers import Followers
from fal_mcp.jobs.hearing import Hearing
from fal_mcp.jobs.job import FOLLOWED, NOBODY, Job, Order, Started
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.jobs.outgoing import IsOut, Outgoing, unseen
from fal_mcp.jobs.pick_up import PickUp
from fal_mcp.jobs.turns import Room
from fal_mcp.jobs.watching import Tell, watch
from fal_mcp.json_values import JsonObject

_LONGEST_GOODBYE = 10.0
_LONGEST_SUBMIT = 5.0
_LAST_SUBMIT = 1.0
_LOOK_AGAIN_AFTER = 1.0
_ABOUT_TO_GO = ("waiting", "intent")

Policy = Literal["detach", "cancel"]

logger = logging.getLogger("fal_mcp")


class Jobs:
    """All paid work of one server, for the account of its key and whoever is below it. `own_day` is the daily budget of
    whoever calls."""

    def __init__(
        self,
        fal: Callable[[], Fal],
        ledger: Ledger,
        tasks: anyio.abc.TaskGroup,
        limits: Limits,
        on_disconnect: Policy = "detach",
        account: Callable[[], str] = lambda: NOBODY,
        own_day: Callable[[], float | None] = lambda: None,
        room: Room | None = None,
    ) -> None:
        self.ledger = ledger
        self._limits = limits
        self._own_day = own_day
        self._account = account
        self._fal = fal
        self._tasks = tasks
        self._on_disconnect: Policy = on_disconnect
        self._outgoing = Outgoing(ledger, tasks)
        self.admission = Admission(ledger, tasks, room or Room())
        self.followers = Followers(fal, ledger, tasks, self.admission)
        self.picks_up = PickUp(fal, ledger, self.followers, account, tasks)
        self.hearing = Hearing()
        self.hearing.on("job:", lambda topic: self.admission.ring())
        self._is_ending = False
        self._waits: dict[anyio.CancelScope, float] = {}
        """Those that wait, and for how many seconds more each may where the server ends."""

    @property
    def limits(self) -> Limits:
        """What this call may spend; whoever calls may have a budget of its own."""
        own = self._own_day()
        return self._limits if own is None else replace(self._limits, own_day=own)

    async def start(self, order: Order) -> Started:
        """Begin a job, or join the same one where it was asked for already.

        Raises:
            BudgetExceeded, NotRecorded: nothing was submitted.
        """
        # That of the call, and not of this step of it: what is taken over is no part of a decision.
        order = replace(order, trace=traces.current())
        with traces.span("decide", endpoint_id=order.endpoint_id):
            started = await self._decided(order)
        # Nothing is awaited from the row to the task that submits it: whoever hangs up now loses nothing.
        if started.is_joined:
            self._outgoing.take_back(started.job.job_id)
        else:
            self.followers.begin(started.job, order)
        return started

    async def started(self, order: Order) -> Started:
        """The same for what goes without the queue: whoever asks runs it, unless its result is there already.

        Raises:
            BudgetExceeded, NotRecorded: it must not be run.
        """
        started = await self._decided(order)
        if started.job.state == "waiting":
            await self._own_turn(started.job)
        return started

    async def check(self, orders: list[Order]) -> None:
        """Refuse what would go over a limit, before anything leaves this machine for it. What is begun is checked
        again with its row.

        Raises:
            BudgetExceeded, NotRecorded: nothing was sent.
        """
        if not orders:
            return
        if (full := self.admission.full(orders[0].payer)) is not None:
            raise full
        with self.admission.heeding():
            await self.ledger.check(orders, self.limits, self.admission.room)

    @property
    def followed(self) -> int:
        """How many jobs are followed here now."""
        return self.followers.count

    async def repeated(self, order: Order) -> Job | None:
        """The job that this order would join: then there is nothing to pay, and nothing to ask about."""
        # Nothing depends on it where there is no limit and nobody is asked.
        limits = self.limits
        if not (limits.are_set or limits.approve_over is not None or self.admission.room.is_limited):
            return None
        await self._outgoing.settle()
        return await self.ledger.repeated(order, self._outgoing.jobs)

    async def wait(self, job: Job, seconds: float, tell: Tell, *, is_its_call: bool = False) -> Job:
        """Wait until the job is over or the time is up, and say how it stands.

        Whoever only waits only waits. Cancelled from outside, the call that began the job lets go of it: one that
        waits in the queue is cancelled at fal, one that runs is left (or cancelled too, by setting).

        Raises:
            FalError: fal says that it failed or was cancelled, or nobody knows what became of it.
        """
        began = time.monotonic()
        followed = await self.followers.resumed(job)
        if followed is None:
            job = await self._seen_elsewhere(job, seconds)
            seconds = max(seconds - (time.monotonic() - began), 0.0)
            followed = await self.followers.resumed(job)
        if followed is None:
            return await self.get(job.job_id, job.owner)
        # Counted before anything is awaited: a job is only forgotten here when nobody waits.
        followed.waiting += 1
        try:
            with self._waiting(seconds):
                await watch(followed, tell)
            # Whoever does not wait is still told what fal calls the request.
            with self._waiting(_LONGEST_SUBMIT, at_the_end=_LAST_SUBMIT):
                await followed.taken()
        except anyio.get_cancelled_exc_class():
            # Only the last who waits lets go of it: another call that joined it wants it still.
            if is_its_call and not self._is_ending and followed.waiting == 1 and not followed.is_over:
                # In the server's group: this call is being cancelled, and everything awaited in it is too.
                self._tasks.start_soon(self._abandon, followed)
            raise
        finally:
            followed.waiting -= 1
            self.followers.forget(followed)
        return self._standing(followed, job)

    async def get(self, job_id: str, owner: str) -> Job:
        """This owner's job as it stands.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        return _there(await self.ledger.get(job_id, owner), job_id)

    async def of_task(self, task_id: str, owner: str) -> Job:
        """This owner's one job of a task: the task's id is the job's, or, where that was not known when the task was
        told, the call's that asked for it.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        job = await self.ledger.get(task_id, owner)
        # By its own id nearly always, which takes no look at the others.
        return _there(job or await self.ledger.by_call(task_id, owner), task_id)

    async def output(self, job: Job) -> JsonObject:
        """A completed job's output, from the ledger or from fal.

        Raises:
            FalError: what went wrong with the job, or that fal has forgotten it.
        """
        if job.state in ("failed", "cancelled", "lost"):
            raise kept_errors.of(job)
        if job.output is not None:
            return job.output
        followed = self.followers.get(job.job_id)
        if followed is not None and isinstance(followed.outcome, dict):
            return followed.outcome
        if job.request is None:
            raise NotFound(
                f"The output of {job.job_id} was not written down, and fal keeps none without its queue.",
                hint="The answer to its call had it; to have it again is to run it again.",
            )
        return await self._fetched(job)

    async def billed(self, job: Job) -> Job:
        """The job with what fal billed for it, where an admin key lets us ask and fal knows by now."""
        requests = self._fal().requests
        if not job.is_over or job.billed is not None or job.request is None or not requests.can_be_billed:
            return job
        try:
            # By fal's clock, which may be behind ours: a bill before the job would not be found.
            start = lost_submits.begin(job, requests, self.ledger)
            billed = await requests.billed(job.request.request_id, start)
        except FalError as error:
            logger.info("What %s cost could not be asked: %s", job.job_id, error.message)
            return job
        if billed is None:
            return job
        await self.note(job, billed=billed)
        return replace(job, billed=billed)

    async def note(self, job: Job, **columns: Any) -> None:
        """Write down what became of a job. What is paid for is never lost to a ledger that cannot be written."""
        try:
            await self.ledger.record(job.job_id, **columns)
        except NotRecorded as error:
            logger.error("%s", error.message)
        if "state" in columns:
            self.admission.ring()

    async def note_at_the_end(self, job: Job, **columns: object) -> None:
        """The same for a call that is being broken off."""
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            await self.note(job, **columns)

    async def cancel(self, job: Job) -> str:
        """Ask fal to cancel the job, whatever it is doing, and say what fal answered; `withdrawn` is one that was not
        sent yet, and is not going to be."""
        if job.request is None and await self.admission.withdraw(job.job_id):
            return "withdrawn"
        followed = await self.followers.resumed(job)
        if followed is not None:
            return await followed.cancel()
        if job.request is None:
            return "not found"
        return await self._fal().queue.cancel(job.request)

    async def looked_up(self, job: Job, error: FalError) -> FalError:
        """The error of a run without the queue that may be paid for, with fal's id of it where fal's records have it.
        Its result is nowhere: what it counts for, and what fal says of it, is all that can be told."""
        error.retryable = False
        error.hint = (
            f"{error.hint} It counts as estimated (job {job.job_id!r}); fal keeps no result of a run without its queue."
        )
        try:
            known = await self.followers.look_for(job)
        except FalError as trouble:
            logger.info("fal's records could not be read: %s", trouble.message)
            return error
        if known.request is not None:
            error.request_id = known.request.request_id
            await self.note(job, state="lost")
        return error

    async def called_back(self, delivery: Delivery) -> bool:
        """Take a verified callback: the job is over, without a poll. False where no such job is known here."""
        return await callbacks.taken(delivery, self.ledger, self._account())

    def answering(
        self, job_ids: Iterable[str], call_id: str = "", is_out: IsOut = unseen, *, is_open: bool = False
    ) -> None:
        """The answer to the call that asked for these jobs is on its way to its client; an open one says only that
        they go on."""
        self._outgoing.send(job_ids, call_id, is_out, is_open=is_open)

    async def left(self, job_ids: Iterable[str], call_id: str = "") -> None:
        """The call that asked for these jobs ended, and nobody has its answer."""
        jobs = [job_id for job_id in job_ids if job_id not in self._outgoing.jobs]
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            try:
                await self.ledger.left(jobs, call_id)
            except NotRecorded as error:
                logger.error("%s", error.message)

    def leave(self) -> None:
        """The server ends: what runs goes on at fal, and whoever waits for it is told so now. Who is cut off all the
        same has not let go of anything."""
        self._is_ending = True
        self.ledger.hurry()
        for wait, seconds in self._waits.items():
            wait.deadline = min(wait.deadline, anyio.current_time() + seconds)

    async def aclose(self) -> None:
        """Write down what is left to write."""
        self.ledger.hurry()
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            await self._outgoing.arrived()
            await self.followers.write()

    def standing(self, job: Job) -> Follower | None:
        """Who follows the job, if anyone does."""
        return self.followers.get(job.job_id)

    @contextmanager
    def _waiting(self, seconds: float, at_the_end: float = 0.0) -> Generator[None]:
        """Wait for so long in it; where the server ends, for `at_the_end` and no longer."""
        with anyio.move_on_after(min(seconds, at_the_end) if self._is_ending else seconds) as wait:
            self._waits[wait] = at_the_end
            try:
                yield
            finally:
                del self._waits[wait]

    async def _seen_elsewhere(self, job: Job, seconds: float) -> Job:
        """The job once fal has it, or it is over, where another server or another call is at it."""
        # Read anew: it may just have been found in fal's records for somebody else, and then it is there for this call.
        job = await self.get(job.job_id, job.owner)
        with self._waiting(seconds):
            while job.request is None and job.state in _ABOUT_TO_GO and job.way in FOLLOWED:
                await self.hearing.heard(f"job:{job.job_id}", _LOOK_AGAIN_AFTER)
                job = await self.get(job.job_id, job.owner)
        return job

    async def _decided(self, order: Order) -> Started:
        await self._outgoing.settle()
        with self.admission.heeding():
            return await self.ledger.join_or_begin(order, self.limits, self._outgoing.jobs, self.admission.room)

    async def _own_turn(self, job: Job) -> None:
        try:
            await self.admission.turn(job, lambda place: None)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
                await self.admission.withdraw(job.job_id)
            raise

    async def _fetched(self, job: Job) -> JsonObject:
        assert job.request is not None
        try:
            output = await self._fal().queue.result(job.request)
        except GenerationFailed as error:
            has_run = job.run_seconds > 0 and not cost.is_on_fals_side(error.status)
            await self.note(job, state="failed", error=kept_errors.said(error), has_run=has_run)
            raise
        await self.note(job, output=output)
        return output

    def _standing(self, followed: Follower, job: Job) -> Job:
        if followed.is_over and isinstance(followed.outcome, FalError):
            raise followed.outcome
        return followed.standing(job)

    async def _abandon(self, followed: Follower) -> None:
        """The call that began it is gone. A host's time-out looks just like a person's cancel. Never raises."""
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            try:
                # What runs is paid for either way, as many models heed no cancel: left alone, its result is there for
                # the call again.
                if not followed.is_running or self._on_disconnect == "cancel":
                    await self.cancel(followed.job)
            except Exception as error:
                logger.info("%s could not be cancelled (%s).", followed.job.job_id, logs.kind_of(error))


def _there(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(f"There is no job {job_id[:80]!r}.", hint="list_jobs shows the jobs there are.")
    return job
