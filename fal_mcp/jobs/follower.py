"""Follows one job from its submission to its end, for everyone who waits for it, and writes each change down.

Lives in the server's own task group: a call that is broken off takes nothing with it.
"""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from fal_mcp.client.queue import Completed, Queue, Queued, Request, Status
from fal_mcp.errors import FalError, GenerationFailed, MaybeReceived, NotRecorded, Unreachable
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger

_KEPT_STATUSES = 400
_CANCELLED = frozenset({"client_cancelled", "client_disconnected"})
_LONGEST_CANCEL = 10.0
_LOOKS = (0.0, 1.0, 3.0)
"""Seconds to wait before each look."""

logger = logging.getLogger("fal_mcp")
LookFor = Callable[[Job], Awaitable[Job]]


class Follower:
    """One job while this server follows it. `outcome` is its output, or what went wrong, once `is_over`."""

    def __init__(self, job: Job, queue: Queue, ledger: Ledger, look_for: LookFor) -> None:
        self.job = job
        self.request: Request | None = job.request
        self.waiting = 0
        self.is_over = False
        self.outcome: dict[str, Any] | FalError | None = None
        self.last: Status | None = None
        self._queue = queue
        self._ledger = ledger
        self._look_for = look_for
        self._statuses: deque[Status] = deque(maxlen=_KEPT_STATUSES)
        self._seen = 0
        self._changed = anyio.Event()
        self._over = anyio.Event()
        self._taken = anyio.Event()
        self._is_dropped = False
        self._started = time.monotonic()
        self._began: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether the model has begun: from here on it costs money."""
        return self._began is not None

    async def submit(self, order: Order) -> None:
        """Submit it, then follow it to its end. Never raises."""
        await self._guarded(self._submit(order))

    async def follow(self) -> None:
        """Follow a request that was submitted before. Never raises."""
        await self._guarded(self._follow())

    def drop(self) -> None:
        """Cancel it at fal as soon as there is something to cancel."""
        self._is_dropped = True

    async def cancel(self) -> str:
        """Ask fal to cancel it, and say what fal answered: requested, already completed, not found."""
        if self.request is None:
            self.drop()
            return "requested"
        return await self._queue.cancel(self.request)

    def has_news(self, seen: int) -> bool:
        """Whether there were more statuses than these."""
        return self._seen > seen

    async def news(self, seen: int) -> tuple[list[Status], int]:
        """The statuses after the first `seen`, as soon as there is one or it is over, and how many there were."""
        changed = self._changed
        if self._seen == seen and not self.is_over:
            await changed.wait()
        fresh = min(self._seen - seen, len(self._statuses))
        return list(self._statuses)[len(self._statuses) - fresh :], self._seen

    async def ended(self) -> None:
        """Wait until it is over."""
        await self._over.wait()

    async def taken(self) -> None:
        """Wait until fal has taken it, or it is over."""
        await self._taken.wait()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except FalError as error:
            self._failed(error)
        except Exception:
            logger.exception("Following %s failed.", self.job.job_id)
            self._failed(Unreachable("This server lost the job; its log has the details.", hint="Ask again."))
        finally:
            self.is_over = True
            self._over.set()
            self._taken.set()
            self._tell()

    async def _submit(self, order: Order) -> None:
        try:
            self.request = await self._queue.submit(
                order.endpoint_id, order.arguments, headers=order.headers, query=order.query
            )
        except MaybeReceived:
            self._record(state="unknown")
            self.request = await self._found()
            if self.request is None:
                raise
        except FalError as error:
            self._record(state="failed", error=said(error))
            raise
        else:
            self._accepted(self.request)
        if self._is_dropped:
            with anyio.move_on_after(_LONGEST_CANCEL, shield=True):
                await self._queue.cancel(self.request)
        await self._follow()

    async def _found(self) -> Request | None:
        """A submit was lost on the way: it is never sent again, but it can be looked for in fal's records."""
        for pause in _LOOKS:
            await anyio.sleep(pause)
            try:
                self.job = await self._look_for(self.job)
            except FalError as error:
                logger.info("fal's records could not be read: %s", error.message)
                return None
            if self.job.request is not None:
                return self.job.request
        return None

    def _accepted(self, request: Request) -> None:
        try:
            self._ledger.accepted(self.job.job_id, request)
        except NotRecorded as error:
            # It runs and is paid for: it is followed, whatever the disk says.
            logger.error("%s (request %s of %s)", error.message, request.request_id, request.endpoint_id)

    async def _follow(self) -> None:
        assert self.request is not None
        self._taken.set()
        last = await self._queue.follow(self.request, self._see)
        try:
            output = await self._queue.result(self.request)
        except FalError as error:
            error.request_id = error.request_id or self.request.request_id
            self._end(error, last)
            raise
        self._end(output, last)

    async def _see(self, status: Status) -> None:
        if not isinstance(status, Queued) and self._began is None:
            self._began = time.monotonic()
            self._record(state="running", position=None, queue_seconds=round(self._began - self._started, 3))
        elif isinstance(status, Queued) and status != self.last:
            self._record(position=status.position)
        self.last = status
        self._statuses.append(status)
        self._seen += 1
        self._tell()

    def _end(self, outcome: dict[str, Any] | FalError, last: Completed) -> None:
        began = self._began or time.monotonic()
        ran = last.seconds if last.seconds is not None else time.monotonic() - began
        columns: dict[str, Any] = {"run_seconds": round(ran, 3), "position": None}
        if isinstance(outcome, FalError):
            is_cancelled = outcome.error_type in _CANCELLED
            self._record(state="cancelled" if is_cancelled else "failed", error=said(outcome), **columns)
        else:
            self.outcome = outcome
            self._record(state="completed", output=outcome, **columns)

    def _failed(self, error: FalError) -> None:
        if self.request is not None:
            error.request_id = error.request_id or self.request.request_id
        self.outcome = error

    def _record(self, **columns: Any) -> None:
        try:
            self._ledger.change(self.job.job_id, **columns)
        except NotRecorded as error:
            logger.error("%s", error.message)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def said(error: FalError) -> dict[str, Any]:
    """An error as the ledger keeps it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "status": error.status,
        "error_type": error.error_type,
        "retryable": error.retryable,
    }


def read(kept: dict[str, Any] | None, request_id: str | None) -> FalError:
    """An error as it was kept."""
    about = kept or {}
    kinds: dict[str, type[FalError]] = {kind.__name__: kind for kind in _kinds(FalError)}
    return kinds.get(str(about.get("kind")), GenerationFailed)(
        str(about.get("message") or "The job failed."),
        hint=about.get("hint"),
        status=about.get("status"),
        error_type=about.get("error_type"),
        retryable=about.get("retryable"),
        request_id=request_id,
    )


def _kinds(kind: type[FalError]) -> list[type[FalError]]:
    return [kind, *(found for inner in kind.__subclasses__() for found in _kinds(inner))]
