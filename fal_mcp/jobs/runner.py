"""One paid job from its submission to its result, with progress, and cancelled at fal where that still helps."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio

from fal_mcp.client.queue import Completed, Queue, Queued, Request, Status
from fal_mcp.errors import FalError
from fal_mcp.jobs.progress import Progress, Report

HEARTBEAT = 5.0
"""Seconds. Hosts that reset their clock on progress need it well before their shortest limit."""
_LONGEST_GOODBYE = 5.0

Tell = Callable[[Report], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is over: what came out, and how long it waited and ran, in seconds."""

    request_id: str
    output: dict[str, Any]
    queue_seconds: float
    run_seconds: float


async def run(queue: Queue, endpoint_id: str, arguments: dict[str, Any], tell: Tell) -> Finished:
    """Submit, follow and fetch.

    Cancelled from outside, it cancels the request at fal while that waits in the queue. One that runs is left to
    finish: its money is spent, and a host's time-out looks just like a person's cancel (facts/mcp §4.3).

    Raises:
        FalError: with the request id from the moment there is one.
    """
    started = time.monotonic()
    watch = _Watch(Progress(), tell, started)
    await watch.begin()
    request = await _submit(queue, endpoint_id, arguments)
    try:
        last = await _follow(queue, request, watch)
        output = await _result(queue, request, last)
    except anyio.get_cancelled_exc_class():
        if not watch.is_running:
            await _give_up(queue, request)
        raise
    except FalError as error:
        error.request_id = error.request_id or request.request_id
        raise
    return _finished(request, output, watch, last)


class _Watch:
    """Turns statuses into reports, and remembers when the model began."""

    def __init__(self, progress: Progress, tell: Tell, started: float) -> None:
        self._progress = progress
        self._tell = tell
        self.started = started
        self.began: float | None = None

    @property
    def is_running(self) -> bool:
        return self.began is not None

    async def begin(self) -> None:
        await self._tell(self._progress.begin())

    async def see(self, status: Status) -> None:
        if not isinstance(status, Queued) and self.began is None:
            self.began = time.monotonic()
        if report := self._progress.after(status):
            await self._tell(report)

    async def beat(self) -> None:
        await self._tell(self._progress.beat(time.monotonic() - self.started))


async def _submit(queue: Queue, endpoint_id: str, arguments: dict[str, Any]) -> Request:
    submitted: list[Request] = []
    # Broken off half-way, a submit may or may not be paid for; a moment's wait tells, and then it can be cancelled.
    with anyio.CancelScope(shield=True):
        submitted.append(await queue.submit(endpoint_id, arguments))
    return submitted[0]


async def _follow(queue: Queue, request: Request, watch: _Watch) -> Completed:
    ended: list[Completed | FalError] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_beat, watch)
        try:
            ended.append(await queue.follow(request, watch.see))
        except FalError as error:
            # Raised below, so that it does not arrive wrapped in the task group's.
            ended.append(error)
        tasks.cancel_scope.cancel()
    if isinstance(ended[0], FalError):
        raise ended[0]
    return ended[0]


async def _beat(watch: _Watch) -> None:
    while True:
        await anyio.sleep(HEARTBEAT - 0.5)
        await watch.beat()


async def _result(queue: Queue, request: Request, last: Completed) -> dict[str, Any]:
    try:
        return await queue.result(request)
    except FalError as error:
        # The result's answer names the argument; the status's word is kept where the answer says less.
        if last.error is not None and not error.faults and not error.message:
            raise last.error from error
        raise


async def _give_up(queue: Queue, request: Request) -> None:
    with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
        try:
            await queue.cancel(request)
        except FalError:
            # Whoever asked is gone; a request that cannot be cancelled runs on, as it would have.
            return


def _finished(request: Request, output: dict[str, Any], watch: _Watch, last: Completed) -> Finished:
    now = time.monotonic()
    began = watch.began or now
    measured = now - began
    return Finished(
        request_id=request.request_id,
        output=output,
        queue_seconds=round(began - watch.started, 3),
        run_seconds=round(last.seconds if last.seconds is not None else measured, 3),
    )
