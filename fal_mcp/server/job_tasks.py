"""A paid job of the ledger as an MCP task: what is left of a task after a restart."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from fal_mcp.errors import FalError, NotFound
from fal_mcp.jobs.job import Job
from fal_mcp.runs import answers
from fal_mcp.server import results, tasks

if TYPE_CHECKING:
    from fal_mcp.server.shared import Shared


def finder(shared: "Shared") -> Callable[[str], Awaitable[dict[str, Any] | None]]:
    """What reads a job as a task; None for an id that is no job of this owner's."""

    async def find(task_id: str) -> dict[str, Any] | None:
        try:
            job = await shared.jobs.get(task_id, shared.owner)
            job = await shared.jobs.wait(job, 0, _nobody)
        except NotFound:
            return None
        except FalError:
            job = await shared.jobs.get(task_id, shared.owner)
        return await _task(shared, job)

    return find


def canceller(shared: "Shared") -> Callable[[str], Awaitable[None]]:
    """What cancels the job behind a task, if there is one."""

    async def cancel(task_id: str) -> None:
        try:
            await shared.jobs.cancel(await shared.jobs.get(task_id, shared.owner))
        except FalError:
            # A task without a job, or one that fal cannot cancel: the task ends all the same.
            return

    return cancel


async def _task(shared: "Shared", job: Job) -> dict[str, Any]:
    if job.state == "cancelled":
        return tasks.described(job.job_id, "cancelled", job.created, job.updated)
    if not job.is_over:
        return tasks.described(job.job_id, "working", job.created, job.updated, job.state)
    call = shared.unheard()
    try:
        answer = results.render(await answers.outcome(job, call))
        shared.jobs.answering([job.job_id])
    except FalError as error:
        answer = results.fail(error)
    return tasks.described(job.job_id, "completed", job.created, job.updated, result=tasks.inlined(answer))


async def _nobody(_: Any) -> None:
    await anyio.lowlevel.checkpoint()
