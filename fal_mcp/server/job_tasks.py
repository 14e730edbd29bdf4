"""A paid job of the ledger as an MCP task: what is left of a task after a restart."""

from collections.abc import Awaitable, Callable

import anyio.lowlevel

from fal_mcp.engine import Engine
from fal_mcp.errors import FalError, NotFound
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonObject
from fal_mcp.runs import answers
from fal_mcp.server import results, tasks


def finder(engine: Engine) -> Callable[[str], Awaitable[JsonObject | None]]:
    """What reads a job as a task; None for an id that is no job of this owner's."""

    async def find(task_id: str) -> JsonObject | None:
        try:
            job = await engine.jobs.of_task(task_id, engine.owner)
            # Not to wait: it is picked up again if its server is gone, so that asking about a task makes it go on.
            job = await engine.jobs.wait(job, 0, _nobody)
        except NotFound:
            return None
        except FalError:
            job = await engine.jobs.of_task(task_id, engine.owner)
        return await _task(engine, task_id, job)

    return find


def canceller(engine: Engine) -> Callable[[str], Awaitable[None]]:
    """What cancels the job behind a task, if there is one."""

    async def cancel(task_id: str) -> None:
        try:
            await engine.jobs.cancel(await engine.jobs.of_task(task_id, engine.owner))
        except FalError:
            # A task without a job, or one that fal cannot cancel: the task ends all the same.
            return

    return cancel


async def _task(engine: Engine, task_id: str, job: Job) -> JsonObject:
    if job.state == "cancelled":
        return tasks.described(task_id, "cancelled", job.created, job.updated)
    if not job.is_over:
        return tasks.described(task_id, "working", job.created, job.updated, job.state)
    call = engine.unheard()
    try:
        outcome = await answers.outcome(job, call)
        # Over at fal, and its result on the way here: a task that is called completed is asked about no more.
        if outcome.data.get("status") == "in_progress":
            return tasks.described(task_id, "working", job.created, job.updated, job.state)
        answer = results.render(outcome)
        # The client has the result with this: a call again would be a wish for another.
        engine.jobs.answering([job.job_id])
    except FalError as error:
        answer = results.fail(error)
    return tasks.described(task_id, "completed", job.created, job.updated, result=tasks.inlined(answer))


async def _nobody(_: object) -> None:
    await anyio.lowlevel.checkpoint()
