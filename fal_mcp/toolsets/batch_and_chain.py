"""Many runs at once, and runs that feed each other: one quote and one approval before anything is begun."""

import time
from dataclasses import replace
from typing import Any

from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import FalError, InvalidInput, MaybeReceived, ServiceFailed
from fal_mcp.jobs.job import Job, Order
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import many_runs, references
from fal_mcp.toolsets.get_model import endpoint_of
from fal_mcp.toolsets.many_runs import Run
from fal_mcp.toolsets.models import Models

MOST_RUNS = 50
MOST_STEPS = 10
_MOST_FILES = 4
_FILE_FACTS = ("kind", "content_type", "width", "height")


class BatchArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    arguments: list[JsonObject] = Field(
        min_length=1, max_length=MOST_RUNS, description="One entry a run; with count it is repeated."
    )
    count: int = Field(1, ge=1, le=MOST_RUNS, description="How often each entry is run.")


class Step(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    arguments: JsonObject = Field(description="Its arguments; $1.images[0].url, say, is what step 1 gave there.")


class ChainArguments(Arguments):
    steps: list[Step] = Field(min_length=1, max_length=MOST_STEPS)
    done: list[str] = Field(
        default_factory=list,
        max_length=MOST_STEPS,
        description="To go on: the job ids that the last answer gave.",
    )


def tools(models: Models) -> list[Tool]:
    """The tools for many runs."""

    async def batch(arguments: BatchArguments, call: Call) -> Outcome:
        return await _batch(models, arguments, call)

    async def chain(arguments: ChainArguments, call: Call) -> Outcome:
        return await _chain(models, arguments, call)

    return [
        from_function.tool(
            BatchArguments,
            batch,
            name="run_batch",
            title="Run a model many times",
            description="Runs one model up to 50 times at once, with one quote and one approval. Says what came of "
            "each.",
            effect="spends",
            key="user",
        ),
        from_function.tool(
            ChainArguments,
            chain,
            name="run_chain",
            title="Run models in a row",
            description="Runs models in a row, each fed from the results before it, priced as a whole first. Where a "
            "step fails or takes long, the answer says how to go on without paying again.",
            effect="spends",
            key="user",
        ),
    ]


async def _batch(models: Models, arguments: BatchArguments, call: Call) -> Outcome:
    endpoint = await endpoint_of(models, arguments.endpoint_id, call)
    call.fal().need_key()
    given = [entry for entry in arguments.arguments for _ in range(arguments.count)]
    if len(given) > MOST_RUNS:
        raise InvalidInput(
            f"This is {len(given)} runs; {MOST_RUNS} are the most at once.", hint="Make several batches."
        )
    checked = [models.prepared(endpoint, entry, f"run {number}").arguments for number, entry in enumerate(given, 1)]
    # What one batch wants twice is two; what a batch before wanted and nobody got an answer to is this one's.
    orders = [await many_runs.order(endpoint, entry, call, is_repeatable=False) for entry in checked]
    await many_runs.approved(orders, call)
    runs = [Run(endpoint, order) for order in orders]
    await many_runs.run(runs, call)
    return _told(endpoint, runs).with_notes(with_queue.unchecked(endpoint))


def _told(endpoint: Endpoint, runs: list[Run]) -> Outcome:
    items = [many_runs.row(run) for run in runs]
    lines = [_line(number, run, item) for number, (run, item) in enumerate(zip(runs, items, strict=True), 1)]
    # Once each: what to do next is mostly the same for all that failed.
    lines += dict.fromkeys(one_line(item["hint"], 300) for item in items if item.get("hint"))
    media = [item for run in runs if isinstance(run.answer, Outcome) for item in run.answer.media]
    usd, total = many_runs.total(runs)
    done = sum(item["status"] == "completed" for item in items)
    note = f"{done} of {len(items)} runs of {endpoint.endpoint_id} are completed; {total}."
    data = {
        "status": "completed" if done == len(items) else "partial",
        "endpoint_id": endpoint.endpoint_id,
        **_said_once(items),
        "usd": usd,
    }
    return Outcome(data=data, media=tuple(media), note="\n".join([note, *lines]), is_plain=True)


def _said_once(items: list[JsonObject]) -> JsonObject:
    """The rows, and before them what all the runs and all the files have in common."""
    files = [file for item in items for file in item.get("files", ())]
    every_run, every_file = _common(items, ("cost",)), _common(files, _FILE_FACTS)
    rows = [_without(item, every_run) for item in items]
    rows = [
        {**row, "files": [_without(file, every_file) for file in row["files"]]} if "files" in row else row
        for row in rows
    ]
    shared = {"every_run": every_run, "every_file": every_file}
    return {**{name: facts for name, facts in shared.items() if facts}, "items": rows}


def _common(rows: list[JsonObject], names: tuple[str, ...]) -> JsonObject:
    if len(rows) < 2:
        return {}
    first = rows[0]
    return {name: first[name] for name in names if name in first and all(row.get(name) == first[name] for row in rows)}


def _without(row: JsonObject, facts: JsonMapping) -> JsonObject:
    return {name: value for name, value in row.items() if name not in facts}


def _line(number: int, run: Run, item: JsonMapping) -> str:
    job_id = item.get("job_id")
    if not isinstance(run.answer, Outcome):
        job = f" (job {job_id})" if job_id else ""
        return f"{number}: failed{job}: {one_line(item['error'], 300)}"
    if item["status"] != "completed":
        return f"{number}: {item['status']}: call wait_for_job with {job_id!r}"
    media = run.answer.media
    more = f" and {len(media) - _MOST_FILES} more files, which get_job names" if len(media) > _MOST_FILES else ""
    files = ", ".join(file.url for file in media[:_MOST_FILES]) + more
    return f"{number}: {job_id}: {files or 'completed; get_job has its output'}"


async def _chain(models: Models, arguments: ChainArguments, call: Call) -> Outcome:
    call.fal().need_key()
    _check_references(arguments)
    endpoints = [await endpoint_of(models, step.endpoint_id, call) for step in arguments.steps]
    chain = _Chain(models, endpoints, arguments, call)
    last: Outcome | None = None
    for number in range(len(arguments.steps)):
        try:
            job = await chain.job(number)
            job = await call.jobs.wait(job, chain.seconds_left, call.tell, is_its_call=job.job_id in chain.begun)
            last = await answers.outcome(job, call, is_shown=False)
            if last.data["status"] != "completed":
                return _unfinished(last, number, [*chain.done, job.job_id])
            chain.outputs.append(await call.jobs.output(job))
        except FalError as error:
            raise _stopped(error, number, chain.done) from error
        chain.done.append(job.job_id)
    assert last is not None
    note = f"All {len(chain.done)} steps are completed. {last.note}"
    notes = tuple(f"{one.endpoint_id}: {one.unchecked}" for one in endpoints if one.unchecked)
    return replace(last, data={**last.data, "done": chain.done}, note=note).with_notes(notes)


class _Chain:
    """A chain under way: what is done, what came out, and what was approved for the steps to come."""

    def __init__(self, models: Models, endpoints: list[Endpoint], arguments: ChainArguments, call: Call) -> None:
        self._models = models
        self._call = call
        self._steps = arguments.steps
        self._given = arguments.done
        self._endpoints = endpoints
        self._deadline = time.monotonic() + call.wait
        self._approved: dict[int, float | None] = {}
        self.done: list[str] = []
        self.outputs: list[Any] = []
        self.begun: set[str] = set()

    @property
    def seconds_left(self) -> float:
        return max(self._deadline - time.monotonic(), 0)

    async def job(self, number: int) -> Job:
        """The job of a step, begun unless it is among those that are done."""
        if number < len(self._given):
            return await self._known(number)
        endpoint, call = self._endpoints[number], self._call
        filled = references.filled(self._steps[number].arguments, self.outputs)
        ready = self._models.prepared(endpoint, filled, f"run {number + 1}").arguments
        input_files.need_addresses(endpoint, ready, references.texts(self._steps[number].arguments), "an earlier step")
        order = await many_runs.order(endpoint, ready, call)
        await self._held(number, order)
        ready = await input_files.put_up(endpoint, order.arguments, call)
        started = await call.jobs.start(replace(order, arguments=ready))
        call.takes(started)
        if not started.is_joined:
            self.begun.add(started.job.job_id)
        return started.job

    async def _known(self, number: int) -> Job:
        job = await self._call.jobs.get(self._given[number], self._call.owner)
        wanted = self._endpoints[number].endpoint_id
        if job.endpoint_id != wanted:
            raise InvalidInput(
                f"{job.job_id!r} is a job of {job.endpoint_id!r}, and step {number + 1} runs {wanted!r}.",
                hint="Give the job ids of the steps in their order, as the last answer gave them.",
            )
        return job

    async def _held(self, number: int, order: Order) -> None:
        """Ask about all steps to come before the first, and again about what turns out to cost more than was said:
        what a step costs is known only with the results that it is fed with."""
        if number in self._approved:
            before = self._approved[number]
            if before is not None and order.price is not None and order.price <= before:
                return
        rest = [order, *[await self._guessed(later) for later in range(number + 1, len(self._steps))]]
        await many_runs.approved(rest, self._call)
        self._approved |= {number + place: one.price for place, one in enumerate(rest)}

    async def _guessed(self, number: int) -> Order:
        arguments = references.filled_as_known(self._steps[number].arguments, self.outputs)
        return await many_runs.order(self._endpoints[number], arguments, self._call)


def _stopped(error: FalError, number: int, done: list[str]) -> FalError:
    # What may be running is nothing to correct: with other arguments it would be paid for again.
    is_open = isinstance(error, (MaybeReceived, ServiceFailed))
    what = "Call run_chain again with the same steps and" if is_open else "Correct it and call run_chain again with"
    go_on = f" {what} done: {done} to go on from there." if done else ""
    return type(error)(
        f"Step {number + 1} {'is not known to have ended' if is_open else 'failed'}: {error.message}",
        status=error.status,
        request_id=error.request_id,
        error_type=error.error_type,
        hint=f"{error.hint}{go_on}",
        faults=error.faults,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )


def _unfinished(last: Outcome, number: int, done: list[str]) -> Outcome:
    note = f"Step {number + 1} is not over yet. Call run_chain again with the same steps and done: {done}."
    return Outcome(data={**last.data, "done": done, "next": note}, note=note, is_plain=True)


def _check_references(arguments: ChainArguments) -> None:
    if len(arguments.done) > len(arguments.steps):
        raise InvalidInput("There are more jobs in 'done' than steps.")
    for number, step in enumerate(arguments.steps, 1):
        for text, place in references.found_in(step.arguments):
            if not 1 <= place < number:
                raise InvalidInput(
                    f"Step {number} refers to {text!r}, and only the steps before it can be referred to.",
                    hint="Steps are numbered from 1. Nothing was begun.",
                )
