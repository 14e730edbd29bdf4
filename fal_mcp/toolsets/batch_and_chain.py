"""Many runs at once, and runs that feed each other: one quote and one approval before anything is begun."""

import re
import time
from collections.abc import Mapping
from typing import Any, cast

import anyio
from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import BudgetExceeded, FalError, InvalidInput
from fal_mcp.jobs.job import Order
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs import answers, input_files, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.discovery import endpoint_of
from fal_mcp.toolsets.models import Models

MOST_RUNS = 50
MOST_STEPS = 10
_REFERENCE = re.compile(r"\$(\d+)((?:\.[A-Za-z0-9_-]+|\[\d+\])+)")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")


class BatchArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id, such as fal-ai/flux/dev.")
    arguments: list[dict[str, Any]] = Field(
        min_length=1, max_length=MOST_RUNS, description="The arguments of each run; one entry with count repeats it."
    )
    count: int = Field(1, ge=1, le=MOST_RUNS, description="How often each entry is run.")


class Step(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    arguments: dict[str, Any] = Field(
        description="Its arguments; a value such as $1.images[0].url is what step 1 gave there."
    )


class ChainArguments(Arguments):
    steps: list[Step] = Field(min_length=1, max_length=MOST_STEPS, description="The steps, the first one first.")
    done: list[str] = Field(
        default_factory=list,
        max_length=MOST_STEPS,
        description="To go on with a chain: the job ids of its first steps, as the last answer gave them.",
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
            description="Runs one model up to 50 times at once, with one quote and one approval for all of it. Says "
            "item by item what came out, what failed, and what still runs.",
            effect="spends",
            key="user",
        ),
        from_function.tool(
            ChainArguments,
            chain,
            name="run_chain",
            title="Run models one after another",
            description="Runs models in a row, each fed from the results before it, priced as a whole first. Where a "
            "step fails or takes long, the answer says how to go on from there without paying for the rest again.",
            effect="spends",
            key="user",
        ),
    ]


async def _batch(models: Models, arguments: BatchArguments, call: Call) -> Outcome:
    endpoint = endpoint_of(models, arguments.endpoint_id)
    call.fal().need_key()
    given = [entry for entry in arguments.arguments for _ in range(arguments.count)]
    if len(given) > MOST_RUNS:
        raise InvalidInput(
            f"This is {len(given)} runs; {MOST_RUNS} are the most at once.", hint="Make several batches."
        )
    checked = [models.prepared(endpoint, entry, f"run {number}").arguments for number, entry in enumerate(given, 1)]
    ready = [await input_files.put_up(endpoint, entry, call) for entry in checked]
    orders = [await _order(endpoint, entry, call, is_fresh=True) for entry in ready]
    await _approved(orders, call)
    results: list[Outcome | FalError] = [FalError("It was not begun.") for _ in orders]
    deadline = time.monotonic() + call.wait

    async def run(place: int, order: Order) -> None:
        try:
            started = call.jobs.start(order)
            job = await call.jobs.wait(started.job, max(deadline - time.monotonic(), 0), call.tell)
            results[place] = await answers.outcome(job, call)
        except FalError as error:
            results[place] = error

    async with anyio.create_task_group() as tasks:
        for place, order in enumerate(orders):
            tasks.start_soon(run, place, order)
    return _told(endpoint, orders, results)


async def _order(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call, **options: Any) -> Order:
    quoted = await with_queue.quote(endpoint, arguments, call)
    return with_queue.order_of(endpoint, arguments, call.owner, quoted, **options)


def _told(endpoint: Endpoint, orders: list[Order], results: list[Outcome | FalError]) -> Outcome:
    lines: list[str] = []
    items: list[dict[str, Any]] = []
    media: list[Media] = []
    for number, answer in enumerate(results, 1):
        if isinstance(answer, FalError):
            lines.append(f"{number}: failed: {one_line(answer.message, 200)}")
            items.append({"status": "failed", "error": answer.message, "request_id": answer.request_id})
            continue
        data = dict(answer.data)
        media.extend(answer.media)
        where = ", ".join(item.url for item in answer.media[:4]) or f"call wait_for_job with {data['job_id']!r}"
        lines.append(f"{number}: {data['status']}: {where}")
        items.append({key: data.get(key) for key in ("status", "job_id", "request_id", "files", "cost")})
    known = [order.price for order in orders if order.price is not None]
    unknown = len(orders) - len(known)
    total = f"about {sum(known):.4g} USD" + (f", and {unknown} whose price is not known" if unknown else "")
    done = sum(item["status"] == "completed" for item in items)
    note = f"{done} of {len(items)} runs of {endpoint.endpoint_id} are completed; {total}."
    data = {"status": "completed" if done == len(items) else "partial", "items": items, "usd": round(sum(known), 6)}
    return Outcome(data=data, media=tuple(media), note="\n".join([note, *lines]), is_plain=True)


async def _chain(models: Models, arguments: ChainArguments, call: Call) -> Outcome:
    call.fal().need_key()
    endpoints = [endpoint_of(models, step.endpoint_id) for step in arguments.steps]
    _check_references(arguments)
    rest = range(len(arguments.done), len(arguments.steps))
    orders = [await _order(endpoints[n], arguments.steps[n].arguments, call) for n in rest]
    await _approved(orders, call)
    deadline = time.monotonic() + call.wait
    done: list[str] = []
    outputs: list[Any] = []
    last: Outcome | None = None
    for number, step in enumerate(arguments.steps):
        seconds = max(deadline - time.monotonic(), 0)
        try:
            if number < len(arguments.done):
                job = call.jobs.get(arguments.done[number], call.owner)
            else:
                filled = models.prepared(
                    endpoints[number], _filled(step.arguments, outputs), f"run {number + 1}"
                ).arguments
                filled = await input_files.put_up(endpoints[number], filled, call)
                job = call.jobs.start(await _order(endpoints[number], filled, call)).job
            job = await call.jobs.wait(job, seconds, call.tell)
            last = await answers.outcome(job, call)
        except FalError as error:
            raise _stopped(error, number, done) from error
        if not job.is_over:
            return _unfinished(last, number, [*done, job.job_id])
        done.append(job.job_id)
        outputs.append(await call.jobs.output(job))
    assert last is not None
    note = f"All {len(done)} steps are completed. {last.note}"
    return Outcome(data={**last.data, "done": done}, media=last.media, note=note)


def _stopped(error: FalError, number: int, done: list[str]) -> FalError:
    go_on = f" Correct it and call run_chain again with done: {done} to go on from there." if done else ""
    return type(error)(
        f"Step {number + 1} failed: {error.message}",
        status=error.status,
        request_id=error.request_id,
        hint=f"{error.hint}{go_on}",
        faults=error.faults,
        retryable=error.retryable,
    )


def _unfinished(last: Outcome, number: int, done: list[str]) -> Outcome:
    note = f"Step {number + 1} is not over yet. Call run_chain again with the same steps and done: {done}."
    return Outcome(data={**last.data, "done": done}, note=note, is_plain=True)


def _check_references(arguments: ChainArguments) -> None:
    if len(arguments.done) > len(arguments.steps):
        raise InvalidInput("There are more jobs in 'done' than steps.")
    for number, step in enumerate(arguments.steps, 1):
        for text in _texts(step.arguments):
            found = _REFERENCE.fullmatch(text)
            if found and not 1 <= int(found[1]) < number:
                raise InvalidInput(
                    f"Step {number} refers to {text!r}, and only the steps before it can be referred to.",
                    hint="Steps are numbered from 1. Nothing was begun.",
                )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = list(cast(Mapping[str, Any], value).values()) if isinstance(value, Mapping) else value
    return [text for item in cast(list[Any], inner) for text in _texts(item)] if isinstance(inner, list) else []


def _filled(value: Any, outputs: list[Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, outputs) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_filled(item, outputs) for item in cast(list[Any], value)]
    if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
        return _looked_up(outputs[int(found[1]) - 1], found[2], value)
    return value


def _looked_up(output: Any, path: str, reference: str) -> Any:
    for name, index in _STEP.findall(path):
        try:
            output = output[name] if name else output[int(index)]
        except (KeyError, IndexError, TypeError) as error:
            known = ", ".join(cast(dict[str, Any], output)) if isinstance(output, dict) else type(output).__name__
            raise InvalidInput(f"{reference!r} leads nowhere: there is {one_line(known, 200)}.") from error
    return output


async def _approved(orders: list[Order], call: Call) -> None:
    """Refuse the whole where the whole is over a limit, and ask once about the whole."""
    limits, ledger = call.jobs.limits, call.jobs.ledger
    unknown = [order for order in orders if order.price is None]
    total = sum(order.price or 0.0 for order in orders)
    spent = {"--session-budget": (limits.session, ledger.spent(0, ledger.session))}
    spent["--daily-budget"] = (limits.day, ledger.spent(time.time() // 86_400 * 86_400))
    for setting, (limit, before) in spent.items():
        if limit is not None and before + total > limit + 1e-9:
            raise BudgetExceeded(
                f"All of it would cost about {total:.4g} USD; {before:.4g} USD are spent, and {setting} is "
                f"{limit:g} USD."
            )
    if limits.approve_over is None:
        return
    if total > limits.approve_over or (unknown and not limits.allow_unpriced):
        more = f" and {len(unknown)} runs whose price is not known" if unknown else ""
        await call.approve(f"Run {len(orders)} jobs on fal for about {total:.4g} USD{more}?")
