"""Paid work after it was begun: wait, look, list, cancel; and what it would cost before."""

import time
from dataclasses import replace
from typing import Literal

from pydantic import Field

from fal_mcp.errors import InvalidInput
from fal_mcp.jobs import cost
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import own_apps
from fal_mcp.toolsets.discovery import endpoint_of
from fal_mcp.toolsets.models import Models

_LONGEST_WAIT = 55.0
_MOST_LOOKED_FOR = 4


class WaitArguments(Arguments):
    job_id: str = Field(min_length=1, max_length=80, description="As a run gave it.")
    seconds: float = Field(50, ge=0, le=_LONGEST_WAIT, description="How long to wait, at most.")


class GetArguments(Arguments):
    job_id: str = Field(min_length=1, max_length=80, description="As a run gave it.")


class LookArguments(GetArguments):
    part: int | None = Field(None, ge=1, le=100_000, description="This part of a long output's JSON instead.")


class ListArguments(Arguments):
    status: Literal["queued", "running", "completed", "failed", "cancelled", "unknown", "lost"] | None = Field(
        None, description="In this state."
    )
    endpoint_id: str | None = Field(None, max_length=200, description="Of this model.")
    since_hours: float = Field(24, ge=0, le=24 * 31, description="How far back to look.")
    limit: int = Field(20, ge=1, le=100, description="The newest first.")


class EstimateArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    arguments: JsonObject = Field(default_factory=dict, description="Its arguments.")
    count: int = Field(1, ge=1, le=1000, description="How many runs.")


def tools(models: Models) -> list[Tool]:
    """The job tools."""
    return [*_lookers(models), *_changers(models)]


def _lookers(models: Models) -> list[Tool]:
    """What waits for a job or looks at it."""

    async def get(arguments: LookArguments, call: Call) -> Outcome:
        return await _get(models, arguments, call)

    return [
        from_function.tool(
            WaitArguments,
            _wait,
            name="wait_for_job",
            title="Wait for a job",
            description="Waits for a run that answered with a job_id, and answers as the run would have. Free. Not "
            "over yet: call it again.",
            effect="reads",
            key="user",
            shows_media=True,
        ),
        from_function.tool(
            LookArguments,
            get,
            name="get_job",
            title="Look at a job",
            description="How a job stands now, or its result; a long output comes in parts. Free; does not wait.",
            effect="reads",
            key="user",
            shows_media=True,
        ),
        from_function.tool(
            ListArguments,
            _list,
            name="list_jobs",
            title="List jobs",
            description="The runs of the last day or longer, with state, cost and job_id.",
            effect="reads",
        ),
    ]


def _changers(models: Models) -> list[Tool]:
    """What ends a job, and what tells its cost before there is one."""

    async def estimate(arguments: EstimateArguments, call: Call) -> Outcome:
        return await _estimate(models, arguments, call)

    return [
        from_function.tool(
            GetArguments,
            _cancel,
            name="cancel_job",
            title="Cancel a job",
            description="Cancels a job at fal and says what fal answered. Queued, it costs nothing; running, it may be "
            "billed.",
            effect="destroys",
            key="user",
        ),
        from_function.tool(
            EstimateArguments,
            estimate,
            name="estimate_cost",
            title="Estimate a cost",
            description="What runs of a model would cost, and what of it cannot be told. Runs nothing.",
            effect="reads",
        ),
    ]


async def _wait(arguments: WaitArguments, call: Call) -> Outcome:
    job = await call.jobs.get(arguments.job_id, call.owner)
    job = await call.jobs.wait(job, min(arguments.seconds, call.wait), call.tell)
    return await _answered(job, call)


async def _answered(job: Job, call: Call) -> Outcome:
    answer = await answers.outcome(job, call)
    call.looked_at.append(job.job_id)
    return answer


async def _get(models: Models, arguments: LookArguments, call: Call) -> Outcome:
    if arguments.part is not None:
        return await _part(arguments.job_id, arguments.part, call)
    job = await call.jobs.billed(await call.jobs.get(arguments.job_id, call.owner))
    job = await own_apps.settled(models, job, call)
    answer = await _answered(job, call)
    # A few only: each is a request of its own.
    gone = [item.url for item in answer.media[:_MOST_LOOKED_FOR] if await call.fal().media.is_gone(item.url)]
    if not gone:
        return answer
    note = f"{answer.note}\n{len(gone)} of its files are gone from fal; their links are dead."
    return replace(answer, note=note, data={**answer.data, "gone": gone})


async def _part(job_id: str, number: int, call: Call) -> Outcome:
    text, count = await answers.part(await call.jobs.get(job_id, call.owner), number, call.jobs)
    if number > count:
        raise InvalidInput(f"The output of {job_id[:80]!r} has {count} parts, and no part {number}.")
    data = {"job_id": job_id, "part": number, "parts": count, "text": text}
    return Outcome(data=data, note=f"Part {number} of {count} of the output's JSON:\n{text}", is_plain=True)


async def _list(arguments: ListArguments, call: Call) -> Outcome:
    found = await call.jobs.ledger.listed(
        call.owner,
        state=arguments.status,
        endpoint_id=arguments.endpoint_id,
        since=time.time() - arguments.since_hours * 3600,
        limit=arguments.limit,
    )
    lines = [_line(job) for job in found] or ["There are no such jobs."]
    now = time.time()
    total = await call.jobs.ledger.spent(call.owner, cost.midnight(now))
    lines.append(f"Today's jobs cost about {total:.4g} USD, as far as their prices are known.")
    data = {"jobs": [_row(job) for job in found], "spent_today_usd": round(total, 6)}
    return Outcome(data=data, note="\n".join(lines), is_plain=True)


_NO_JOB = {
    "compute": "A machine is no job: list_instances shows whether it runs, and delete_instance ends it.",
    "realtime": "Nothing of it is in fal's queue; realtime_close ends a session.",
}


async def _cancel(arguments: GetArguments, call: Call) -> Outcome:
    job = await call.jobs.get(arguments.job_id, call.owner)
    if job.is_over:
        said, note = "already completed", f"It is over already: {job.state}. There was nothing to cancel."
    else:
        said = await call.jobs.cancel(job)
        note = {
            "requested": "fal took the cancellation. "
            + (
                "It was running and may be billed." if job.state == "running" else "It had not begun and costs nothing."
            ),
            "withdrawn": "It still waited here for its turn: nothing of it was sent, and it costs nothing.",
            "already completed": "fal says it is completed already; it is billed, and get_job has its result.",
            "not found": _NO_JOB.get(job.way, "fal does not know this request."),
        }[said]
    data = {"job_id": job.job_id, "state": job.state, "fal_said": said}
    return Outcome(data=data, note=note, is_plain=True)


async def _estimate(models: Models, arguments: EstimateArguments, call: Call) -> Outcome:
    endpoint = await endpoint_of(models, arguments.endpoint_id, call, is_described=True)
    quoted = await call.prices.quote(endpoint, arguments.arguments, call.fal())
    amount = cost.dollars(cost.micro(None if quoted.amount is None else quoted.amount * arguments.count))
    runs = f"{arguments.count} runs" if arguments.count > 1 else "One run"
    told = f"about {amount:.4g} USD ({quoted.note})" if amount is not None else f"cannot be priced: {quoted.note}"
    typical = None if quoted.typical is None else quoted.typical * arguments.count
    if typical is not None:
        told = f"about {typical:.4g} USD, {quoted.note}"
    left = await _left(call)
    budgets = "".join(
        f" {money:.4g} USD are left of the {name} budget." for name, money in left.items() if money is not None
    )
    data: JsonObject = {"endpoint_id": endpoint.endpoint_id, "usd": amount, "note": quoted.note, "left_usd": left}
    if typical is not None:
        # A number to hold against a limit, and one to expect, are two.
        data |= {"estimated_usd": typical, "is_bounded": amount is not None}
    outcome = Outcome(data=data, note=f"{runs} of {endpoint.endpoint_id}: {told}.{budgets}", is_plain=True)
    if start := await own_apps.cold_start(endpoint, call):
        outcome = outcome.with_notes((start,))
    # A price may be asked about of what is misspelt.
    near = f"{endpoint.unchecked}. {models.hint(endpoint.endpoint_id)}"
    return outcome.with_notes((near,)) if endpoint.unchecked else outcome


async def _left(call: Call) -> dict[str, float | None]:
    limits = call.jobs.limits
    if limits.session is None and limits.day is None:
        return {"session": None, "day": None}
    spent = await call.jobs.ledger.spent_now(call.owner)
    return {"session": cost.left(limits.session, spent.session), "day": cost.left(limits.day, spent.day)}


def _line(job: Job) -> str:
    ago = max(time.time() - job.created, 0)
    since = f"{ago / 3600:.0f} h" if ago > 5400 else f"{ago / 60:.0f} min"
    about = "" if job.billed is not None else "about "
    cost = f"{about}{job.cost:.4g} USD" if job.cost is not None else "cost not known"
    lost = f": {one_line(str(job.error.get('message')), 120)}" if job.error else ""
    asked = answers.about_arguments(job.arguments)
    return " | ".join(
        [job.job_id, job.endpoint_id, f"{job.state}{lost}", f"{since} ago", cost, *([asked] if asked else [])]
    )


def _row(job: Job) -> JsonObject:
    return {
        "job_id": job.job_id,
        "endpoint_id": job.endpoint_id,
        "about": answers.about_arguments(job.arguments),
        "state": job.state,
        "created": round(job.created, 3),
        "usd": job.cost,
        "request_id": job.request.request_id if job.request else None,
    }
