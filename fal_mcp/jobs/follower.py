"""Follows one job from its submission to its end, for everyone who waits for it, and writes each change down.

Lives in the server's own task group: a call that is broken off takes nothing with it. Trouble on the way to fal is no
end of a job: only fal itself says that one failed.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import anyio

from fal_mcp import logs, traces
from fal_mcp.client.queue import Completed, InProgress, Queue, Queued, Request, Status
from fal_mcp.errors import FalError, GenerationFailed, NotFound, NotRecorded
from fal_mcp.jobs import by_time, doubts, rows
from fal_mcp.jobs.cost import is_on_fals_side
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.kept_errors import said
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.jobs.status_log import StatusLog
from fal_mcp.jobs.turns import Waiting
from fal_mcp.json_values import JsonObject

_CANCELLED = frozenset({"client_cancelled", "client_disconnected"})
_LONGEST_CANCEL = 10.0
_LOOKS = (0.0, 1.0, 3.0)
"""Seconds to wait before each look for a submit whose answer was lost. Later ones are the server's."""
_A_MOMENT = 0.03
"""Seconds for which what is nobody's to wait for is gathered before it is written."""
_LONGEST_WRITE = 0.25
"""Seconds for which an answer waits until the end of its job is written."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LONGEST_FETCH = 900.0
"""Seconds; a result that cannot be had by then is fetched when it is asked for."""

logger = logging.getLogger("fal_mcp")
LookFor = Callable[[Job, str | None], Awaitable[Job]]
Turn = Callable[[Job, Callable[[int], None]], Awaitable[None]]


class Follower:
    """One job while this server follows it. `outcome` is its output, or what went wrong, once `is_over`."""

    def __init__(
        self, job: Job, queue: Queue, ledger: Ledger, look_for: LookFor, turn: Turn, *, writes: bool = True
    ) -> None:
        self.job = job
        self.request: Request | None = job.request
        self.waiting = 0
        self.is_over = False
        self.outcome: JsonObject | FalError | None = None
        self.last: Status | Waiting | None = None
        self.hindrance: FalError | None = None
        """Why fal does not tell how the job stands, or does not hand out its result; None where nothing is amiss."""
        self.unwritten: JsonObject = {}
        """What could not be written down yet."""
        self._known: JsonObject = {}
        self._turn = anyio.Lock(fast_acquire=True)
        self._to_write = anyio.Event()
        self._queue = queue
        self._ledger = ledger
        self._look_for = look_for
        self._turn_of = turn
        self._writes = writes
        self.statuses = StatusLog()
        self._over = anyio.Event()
        self._taken = anyio.Event()
        self._is_dropped = False
        self._started = time.monotonic()
        self._began: float | None = None

    @property
    def made(self) -> list[str]:
        """A line on each step of a workflow that is done; a model has none."""
        return []

    @property
    def is_running(self) -> bool:
        """Whether the model has begun: from here on it costs money."""
        return self._began is not None

    async def submit(self, order: Order) -> None:
        """Submit it, then follow it to its end. Never raises."""
        await self._guarded(self._submit_in_turn(order))

    async def follow(self) -> None:
        """Follow a request that was submitted before. Never raises."""
        self._taken.set()
        await self._guarded(self._follow())

    async def cancel(self) -> str:
        """Ask fal to cancel it, and say what fal answered: requested, already completed, not found."""
        if self.request is None:
            # Cancelled as soon as there is something to cancel: a cancel that is forgotten here would be paid for.
            self._is_dropped = True
            return "requested"
        return await self._queue.cancel(self.request)

    async def ended(self) -> None:
        """Wait until it is over."""
        await self._over.wait()

    async def taken(self) -> None:
        """Wait until fal has taken it, or it is over."""
        await self._taken.wait()

    async def write(self) -> bool:
        """Write down what could not be written before; whether nothing is left."""
        # One after the other: what is older, and had to be put back, must not be written over what is newer.
        async with self._turn:
            # Taken at once: what comes while the disk is slow is added anew and not lost in between.
            columns, self.unwritten = self.unwritten, {}
            if not columns or not self._writes:
                return True
            is_written = False
            try:
                # Where another server took it over, its word counts; whoever waits here still wants the result.
                self._writes = await self._ledger.record(self.job.job_id, self.job.fence, **columns)
                is_written = True
            except NotRecorded as error:
                # What is paid for is followed and handed out whatever the disk says, and written when that is mended.
                logger.error("%s (%s, job %s)", error.message, ", ".join(columns), self.job.job_id)
            finally:
                # Also where it was broken off. What came meanwhile is newer, and wins.
                if not is_written:
                    self.unwritten = {**columns, **self.unwritten}
            return is_written

    def standing(self, job: Job) -> Job:
        """This job, whose row was read before, as it stands now."""
        output = self.outcome if self.is_over and isinstance(self.outcome, dict) else job.output
        known = {name: value for name, value in self._known.items() if name not in rows.REQUEST}
        return replace(job, **{**known, "output": output, "request": self.request or job.request})

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._write_soon)
                await self._tried(work)
                await self._write_the_end()
                # Before the group ends: what still writes cannot be broken off.
                self._tell_the_end()
                self._tasks.cancel_scope.cancel()
        finally:
            self._tell_the_end()

    async def _write_the_end(self) -> None:
        """Have the end in the ledger before anybody hears of it, where the disk is not slow: no answer waits for that,
        and a server that is killed before has a job that goes on, and whose end its next start finds at fal."""
        is_tried = anyio.Event()

        async def write() -> None:
            await self.write()
            is_tried.set()

        self._tasks.start_soon(write)
        with anyio.move_on_after(_LONGEST_WRITE):
            await is_tried.wait()

    def _tell_the_end(self) -> None:
        self.is_over = True
        self._over.set()
        self._taken.set()
        self.statuses.ring()

    async def _tried(self, work: Awaitable[None]) -> None:
        try:
            await work
        except FalError as error:
            self._failed(error)
        except Exception:
            # A fault of this program: the job goes on at fal, and the next who asks follows it anew.
            logger.exception("Following %s failed.", self.job.job_id)
            self._failed(doubts.out_of_sight(self.job.job_id))

    async def _submit_in_turn(self, order: Order) -> None:
        if self.job.state == "waiting":
            await self._turn_of(self.job, self._see_place)
            self.job = replace(self.job, state="intent")
            self._known |= {"state": "intent", "position": None}
        await self._submit(order)

    async def _submit(self, order: Order) -> None:
        try:
            with self._span("submit"):
                request = await self._queue.submit(
                    order.endpoint_id, order.arguments, headers=order.headers, query=order.query
                )
        except Exception as error:
            # Only what is proven not to run is written down as failed: that counts as nothing and may be sent again.
            if isinstance(error, FalError) and doubts.is_refusal(error):
                await self._record(state="failed", error=said(error))
                raise
            request = await self._found(error)
            self._taken.set()
        else:
            self._add({"state": "queued", **rows.request_columns(request)})
            # Begun now and not waited for: while the disk writes, fal is asked how it stands.
            self._tasks.start_soon(self._write_taken)
        self.request = request
        if self._is_dropped:
            await self._drop(request)
        await self._follow()

    async def _write_taken(self) -> None:
        await self.write()
        # Told to nobody before: whoever hears of the request can find it again.
        self._taken.set()

    async def _drop(self, request: Request) -> None:
        with anyio.move_on_after(_LONGEST_CANCEL, shield=True):
            try:
                await self._queue.cancel(request)
            except FalError as error:
                logger.info("%s could not be cancelled: %s", self.job.job_id, error.message)

    async def _found(self, error: Exception) -> Request:
        """A submit was lost on the way: it is never sent again, but it can be looked for in fal's records.

        Raises:
            MaybeReceived: it is not there, or not yet.
        """
        if not isinstance(error, FalError):
            logger.error("Submitting %s failed.", self.job.job_id, exc_info=error)
        lost = doubts.lost(error, self.job.job_id)
        await self._record(state="unknown", error=said(lost))
        # fal's records may show a request a little later than it was taken.
        for pause in _LOOKS:
            await anyio.sleep(pause)
            try:
                self.job = await self._look_for(self.job, lost.request_id)
            except FalError as trouble:
                logger.info("fal's records could not be read: %s", trouble.message)
            if self.job.request is not None:
                # With the state, although it is written already: who waits is told by what was noted here.
                await self._record(state=self.job.state, error=None)
                return self.job.request
        raise lost from error

    async def _follow(self) -> None:
        assert self.request is not None
        with self._span("follow"):
            last = await self._last(self.request)
            # Fetched even where nobody waits: fal forgets results after a time, and what is in the ledger stays.
            output = await self._fetched(self.request, last)
        self.outcome = output
        self._end(last, state="completed", output=output)

    async def _last(self, request: Request) -> Completed:
        """The last status, whatever stands in the way for however long.

        Raises:
            NotFound: fal does not know the request.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._queue.follow(request, self._see, self._hindered)
            except NotFound as error:
                await self._record(state="lost", position=None, error=said(doubts.not_known(error, self.job.job_id)))
                raise doubts.not_known(error, self.job.job_id) from error
            except Exception as error:
                # Whatever it was: the job runs on at fal, and is paid for whether it is looked at or not.
                logger.info("The status of %s cannot be had (%s).", self.job.job_id, logs.kind_of(error))
                self._hindered(error)
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _fetched(self, request: Request, last: Completed) -> JsonObject:
        """A completed job's output, whatever stands in the way.

        Raises:
            GenerationFailed: fal says that the job failed, or was cancelled.
            ResultNotReady: it could not be had for long; fal has it.
        """
        pause, deadline, is_told = _FIRST_PAUSE, time.monotonic() + _LONGEST_FETCH, False
        while True:
            try:
                return await self._queue.result(request)
            except GenerationFailed as error:
                self._end_failed(error, last)
                raise
            except Exception as error:
                # The status said already that it failed; a result that cannot be had on top of that changes nothing.
                if last.error is not None:
                    self._end_failed(last.error, last)
                    raise last.error from error
                # Once: from here on it is known to be completed, and another server need not look for its end.
                if not is_told:
                    self._end(last, state="completed")
                    await self.write()
                    is_told = True
                self._hindered(error)
                self.statuses.ring()
                if time.monotonic() > deadline:
                    raise doubts.not_fetched(error, self.job.job_id) from error
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _hindered(self, error: Exception) -> None:
        self.hindrance = error if isinstance(error, FalError) else doubts.out_of_sight(self.job.job_id)

    async def _see(self, status: Status) -> None:
        self.hindrance = None
        # Whether anybody waits or not: from here on a cancel may be billed, and a server that takes over must know.
        if isinstance(status, InProgress) and self._began is None:
            self._began = time.monotonic()
            self._note(state="running", position=None, queue_seconds=round(self._began - self._started, 3))
        elif isinstance(status, Queued) and status != self.last:
            self._note(position=status.position)
        self._show(status)

    def _see_place(self, place: int) -> None:
        if self.last != Waiting(place):
            self._known |= {"position": place}
            self._show(Waiting(place))

    def _show(self, status: Status | Waiting) -> None:
        self.last = status
        self.statuses.add(status)

    def _end_failed(self, error: FalError, last: Completed) -> None:
        assert self.request is not None
        error.request_id = error.request_id or self.request.request_id
        state = "cancelled" if error.error_type in _CANCELLED else "failed"
        has_begun = self.job.has_run or self._began is not None or (last.seconds or 0) > 0
        # That a result was waited for is no sign of a run; how fal speaks of a failure is.
        has_run = has_begun and not (state == "failed" and is_on_fals_side(error.status))
        self._end(last, state=state, error=said(error), has_run=has_run)

    def _end(self, last: Completed, **columns: object) -> None:
        began = self._began or time.monotonic()
        # fal's own figure is what its bill goes by; ours has the way and the polls in it.
        ran = last.seconds if last.seconds is not None else time.monotonic() - began
        if self._began is not None or (last.seconds or 0) > 0:
            columns.setdefault("has_run", True)
        elif columns["state"] == "completed":
            # It was never seen to run, so that all of its time is counted as waiting.
            columns["queue_seconds"] = round(time.monotonic() - self._started, 3)
        # By fal's own figure alone: a job that was taken over may have run for longer than it was seen to.
        columns |= by_time.settled(self.job, last.seconds or 0.0, self._ledger.now())
        # The moment too: what was known before an answer went out must not look as if it came after it.
        self._add({"run_seconds": round(ran, 3), "position": None, "updated": self._ledger.now(), **columns})

    def _span(self, name: str) -> AbstractContextManager[None]:
        return traces.span(name, self.job.trace, job_id=self.job.job_id, endpoint_id=self.job.endpoint_id)

    def _failed(self, error: FalError) -> None:
        if self.request is not None:
            error.request_id = error.request_id or self.request.request_id
        self.outcome = error

    async def _record(self, **columns: object) -> None:
        self._add(columns)
        await self.write()

    def _note(self, **columns: object) -> None:
        """Have this written down in a moment, with whatever comes until then."""
        self._add(columns)
        self._to_write.set()

    def _add(self, columns: JsonObject) -> None:
        self.unwritten |= columns
        self._known |= columns

    async def _write_soon(self) -> None:
        while True:
            await self._to_write.wait()
            # What is over in a moment is written once.
            await anyio.sleep(_A_MOMENT)
            self._to_write = anyio.Event()
            await self.write()
