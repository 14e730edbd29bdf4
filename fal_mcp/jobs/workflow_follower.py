"""Follows one run of a workflow over its stream, which alone tells of its steps, and writes down each of them.

A stream that breaks off is not run again: what its steps made is had from the queue, through which fal runs them.
"""

import logging
import time
from typing import Any

import anyio

from fal_mcp import logs
from fal_mcp.client.fal import Fal
from fal_mcp.client.status import InProgress, Log
from fal_mcp.errors import FalError, GenerationFailed, MaybeReceived
from fal_mcp.jobs import workflow_events
from fal_mcp.jobs.doubts import is_refusal
from fal_mcp.jobs.follower import Follower, LookFor, Turn
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.kept_errors import said
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.jobs.workflow_events import Step, Steps
from fal_mcp.json_values import JsonObject

_LONGEST_STEP = 900.0
"""Seconds for which a step is waited for whose workflow's stream is gone."""
_LONGEST_CANCEL = 10.0

logger = logging.getLogger("fal_mcp")


class WorkflowFollower(Follower):
    """One run of a workflow while this server follows it."""

    def __init__(self, job: Job, fal: Fal, ledger: Ledger, look_for: LookFor, turn: Turn) -> None:
        super().__init__(job, fal.queue, ledger, look_for, turn)
        self.steps = workflow_events.read(job.output)
        self._streaming = fal.streaming
        self._request_of = fal.request
        self._line = anyio.CancelScope()

    @property
    def is_running(self) -> bool:
        # It goes past the queue: whatever was sent runs.
        return True

    @property
    def made(self) -> list[str]:
        return self.steps.lines()

    async def cancel(self) -> str:
        """Let go of the stream and cancel the steps that run; what is done stays paid."""
        self._is_dropped = True
        self._line.cancel()
        with anyio.move_on_after(_LONGEST_CANCEL, shield=True):
            for step in self.steps.open:
                try:
                    await self._queue.cancel(self._request_of(step.endpoint_id, step.request_id))
                except FalError as error:
                    logger.info("A step of %s could not be cancelled: %s", self.job.job_id, error.message)
        return "requested"

    async def _submit(self, order: Order) -> None:
        self.steps = Steps(order.steps)
        self._began = time.monotonic()
        # Nothing of it can be looked at before it is over, other than in the queue.
        self._taken.set()
        output: JsonObject | None = None
        try:
            with self._line:
                output = await self._streaming.run(order.endpoint_id, order.arguments, self._take)
        except Exception as error:
            await self._broken(error)
            return
        if self._is_dropped and output is None:
            await self._ended_early(_cancelled())
        if self.steps.error is not None:
            await self._ended_early(self.steps.error)
        # fal answers at once, and without a word on its steps, where there is nothing to stream.
        await self._done(self.steps.output if self.steps.done or self.steps.output else output)

    async def _follow(self) -> None:
        """Go on after a server that ended: its stream is gone, and the steps that it wrote down can be asked for."""
        await self._gather(MaybeReceived("The server that followed the workflow ended while it ran."))

    async def _take(self, event: Any) -> None:
        if line := self.steps.taken(event):
            await self._record(state="running", output=self.steps.kept())
            await self._see(InProgress((Log(line),)))

    async def _broken(self, error: Exception) -> None:
        """Tell a refusal, which costs nothing, from a stream that broke off."""
        if isinstance(error, FalError) and is_refusal(error) and not self.steps.done:
            await self._record(state="failed", error=said(error))
            raise error
        if isinstance(error, GenerationFailed):
            await self._ended_early(error)
        if not isinstance(error, FalError):
            logger.error("Following %s failed.", self.job.job_id, exc_info=error)
        await self._gather(error if isinstance(error, MaybeReceived) else MaybeReceived(f"It broke off: {error}"))

    async def _gather(self, error: MaybeReceived) -> None:
        """Fetch what the steps made that were under way, and end with what there is.

        Raises:
            MaybeReceived: no step is known.
        """
        if not self.steps.done:
            lost = MaybeReceived(
                f"{error.message} It may have run and been paid for; it was not sent again.",
                retryable=False,
                hint="run_model with fresh: true runs it again, and pays again.",
            )
            await self._record(state="unknown", error=said(lost))
            raise lost
        async with anyio.create_task_group() as tasks:
            for step in self.steps.open:
                tasks.start_soon(self._fetch_step, step)
        error.hint = "The steps after these may have run as well. To run the workflow again is to pay again."
        await self._record(error=said(error))
        await self._done(self.steps.output or self.steps.kept())

    async def _fetch_step(self, step: Step) -> None:
        request = self._request_of(step.endpoint_id, step.request_id)
        try:
            with anyio.move_on_after(_LONGEST_STEP):
                await self._queue.follow(request, self._unheard)
                step.output = await self._queue.result(request)
        except FalError as error:
            # Its brothers may be there all the same.
            logger.info("A step of %s cannot be had (%s).", self.job.job_id, logs.kind_of(error))

    async def _unheard(self, status: object) -> None:
        await anyio.lowlevel.checkpoint()

    async def _ended_early(self, error: FalError) -> None:
        """Write down that it failed or was cancelled, and raise it. The steps before are paid for."""
        state = "cancelled" if self._is_dropped else "failed"
        has_run = any(step.output is not None for step in self.steps.done.values()) or bool(self.steps.open)
        await self._record(state=state, error=said(error), has_run=has_run, run_seconds=self._seconds())
        raise error

    async def _done(self, output: JsonObject | None) -> None:
        self.outcome = output or {}
        await self._record(state="completed", output=self.outcome, run_seconds=self._seconds(), position=None)

    def _seconds(self) -> float:
        return round(time.monotonic() - (self._began or time.monotonic()), 3)


def _cancelled() -> GenerationFailed:
    return GenerationFailed("The workflow was cancelled.", error_type="client_cancelled")
