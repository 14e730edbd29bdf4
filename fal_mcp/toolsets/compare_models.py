"""One wish over several models: the same prompt, files, size and seed in each one's own arguments, and what came out
side by side in one picture."""

import math
from collections.abc import Sequence
from dataclasses import replace

import anyio
from pydantic import Field

from fal_mcp.catalog import wish, wished_size
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.fields import kinds_of
from fal_mcp.catalog.wish import Mapped, Wish
from fal_mcp.catalog.wished_size import Size
from fal_mcp.errors import FalError, Fault, InvalidInput
from fal_mcp.json_values import JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import comparison, many_runs
from fal_mcp.toolsets.comparison import Compared
from fal_mcp.toolsets.get_model import endpoint_of
from fal_mcp.toolsets.many_runs import Run
from fal_mcp.toolsets.models import Models

MOST = 8


class CompareArguments(Arguments):
    endpoint_ids: list[str] = Field(default_factory=list, max_length=MOST, description="2 to 8 models of one task.")
    prompt: str | None = Field(None, max_length=50_000)
    images: list[str] = Field(default_factory=list, max_length=20)
    video: str | None = Field(None, max_length=100_000_000)
    audio: str | None = Field(None, max_length=100_000_000)
    size: str | None = Field(None, pattern=wished_size.PATTERN, description="1024x768 or 16:9.")
    seconds: float | None = Field(None, ge=0.1, le=3600, description="Of film or sound.")
    seed: int | None = None
    negative_prompt: str | None = Field(None, max_length=50_000)
    count: int | None = Field(None, ge=1, le=4, description="Of each model.")
    own: dict[str, JsonObject] = Field(default_factory=dict, description="More arguments of one model, by its id.")
    job_ids: list[str] = Field(default_factory=list, max_length=MOST, description="Instead: jobs to compare, for free.")


def tools(models: Models) -> list[Tool]:
    """The tool that compares models."""

    async def compare(arguments: CompareArguments, call: Call) -> Outcome:
        if arguments.job_ids:
            return await _seen_again(arguments, call)
        return await _compared(models, arguments, call)

    return [
        from_function.tool(
            CompareArguments,
            compare,
            name="compare_models",
            title="Compare models",
            description="Runs one wish on several models at once, put into each one's own arguments, with one quote "
            "and one approval. Answers with a contact sheet and a table of time, cost, size and seed, and says what "
            "each could not be given.",
            effect="spends",
            key="user",
        )
    ]


async def _compared(models: Models, arguments: CompareArguments, call: Call) -> Outcome:
    endpoints = [await endpoint_of(models, one, call) for one in arguments.endpoint_ids]
    _check_are_of_one_task(endpoints)
    call.fal().need_key()
    wanted, own = _wish(arguments), await _own(models, arguments, endpoints, call)
    mapped = [wish.mapped(wanted, endpoint, own.get(endpoint.endpoint_id)) for endpoint in endpoints]
    ready = _prepared(models, endpoints, mapped)
    for endpoint, given in zip(endpoints, ready, strict=True):
        await input_files.check(endpoint, given, call)
    orders = [await many_runs.order(endpoint, given, call) for endpoint, given in zip(endpoints, ready, strict=True)]
    # Whoever gets a job that is paid for is not asked to pay for it: a host that gave up calls again.
    joins = [await call.jobs.repeated(order) is not None for order in orders]
    asks = call.jobs.limits.approve_over is not None
    await many_runs.approved([order for order, joined in zip(orders, joins, strict=True) if not joined], call)
    orders = [replace(order, is_only_joined=asks and is_joined) for order, is_joined in zip(orders, joins, strict=True)]
    runs = [Run(endpoint, order) for endpoint, order in zip(endpoints, orders, strict=True)]
    await many_runs.run(runs, call)
    rows = [Compared.of_run(run, given) for run, given in zip(runs, mapped, strict=True)]
    return await comparison.told(rows, _title(arguments), _about(arguments), call)


async def _seen_again(arguments: CompareArguments, call: Call) -> Outcome:
    """The same answer about jobs that are there: costs nothing."""
    if len(set(arguments.job_ids)) < 2 or arguments.endpoint_ids:
        raise InvalidInput("Two jobs or more are compared, without endpoint_ids.", hint="Give either of the two.")
    jobs = [await call.jobs.get(job_id, call.owner) for job_id in dict.fromkeys(arguments.job_ids)]
    rows: list[Compared | None] = [None] * len(jobs)

    async def look(number: int) -> None:
        job = jobs[number]
        try:
            job = await call.jobs.wait(job, call.wait, call.tell)
            answer: Outcome | FalError = await answers.outcome(job, call, is_shown=False)
        except FalError as error:
            answer = error
        call.looked_at.append(job.job_id)
        rows[number] = Compared(job.endpoint_id, job.job_id, job.arguments or {}, answer)

    async with anyio.create_task_group() as tasks:
        for number in range(len(jobs)):
            tasks.start_soon(look, number)
    title = arguments.prompt or answers.about_arguments(jobs[0].arguments, 200)
    return await comparison.told([row for row in rows if row], title, "", call)


def _check_are_of_one_task(endpoints: Sequence[Endpoint]) -> None:
    """What makes films is not compared with what makes sounds.

    Raises:
        InvalidInput: nothing was sent.
    """
    ids = [endpoint.endpoint_id for endpoint in endpoints]
    if not 2 <= len(set(ids)) == len(ids):
        raise InvalidInput(
            "Two to eight different models are compared.",
            hint="search_models finds models of one task; run_batch runs one model many times.",
        )
    made = {endpoint.endpoint_id: kinds_of(endpoint.category)[1] for endpoint in endpoints}
    if len({kind for kind in made.values() if kind}) > 1:
        told = "; ".join(f"{endpoint_id}: {kind or 'anything'}" for endpoint_id, kind in made.items())
        raise InvalidInput(
            f"They do not make the same kind of thing ({told}). Nothing was sent.", hint="Compare models of one task."
        )


def _wish(arguments: CompareArguments) -> Wish:
    files = [("image", url) for url in arguments.images]
    files += [(kind, url) for kind, url in (("video", arguments.video), ("audio", arguments.audio)) if url]
    return Wish(
        prompt=arguments.prompt,
        files=tuple(files),
        size=Size.read(arguments.size) if arguments.size else None,
        seconds=arguments.seconds,
        seed=arguments.seed,
        negative_prompt=arguments.negative_prompt,
        count=arguments.count,
    )


async def _own(
    models: Models, arguments: CompareArguments, endpoints: Sequence[Endpoint], call: Call
) -> dict[str, JsonObject]:
    """What was given for one model alone, by its id."""
    own = {(await endpoint_of(models, name, call)).endpoint_id: given for name, given in arguments.own.items()}
    compared = {endpoint.endpoint_id for endpoint in endpoints}
    if strangers := own.keys() - compared:
        raise InvalidInput(f"'own' has arguments of {sorted(strangers)[0]!r}, which is not among the compared models.")
    return own


def _prepared(models: Models, endpoints: Sequence[Endpoint], mapped: Sequence[Mapped]) -> list[JsonObject]:
    """The arguments of each, as it takes them.

    Raises:
        InvalidInput: with what each that cannot be run wants; nothing was sent.
    """
    ready: list[JsonObject] = []
    faults: list[Fault] = []
    for endpoint, given in zip(endpoints, mapped, strict=True):
        try:
            ready.append(models.prepared(endpoint, given.arguments, repr(endpoint.endpoint_id)).arguments)
        except InvalidInput as error:
            faults += [Fault(f"{endpoint.endpoint_id} {fault.path}", fault.message) for fault in error.faults]
    if faults:
        raise InvalidInput(
            f"This wish does not do for all of them; nothing was sent or paid: {'; '.join(map(str, faults))}",
            hint="Give what is missing in 'own', under the model's id, or leave the model out. get_model shows what "
            "it takes.",
            faults=tuple(faults),
        )
    return ready


def _title(arguments: CompareArguments) -> str:
    return one_line(arguments.prompt or "", 400)


def _about(arguments: CompareArguments) -> str:
    """What they had in common, in a few words."""
    seconds = arguments.seconds
    facts = [
        arguments.size or "",
        f"{seconds:g} s" if seconds is not None and math.isfinite(seconds) else "",
        f"seed {arguments.seed}" if arguments.seed is not None else "",
    ]
    return " · ".join(filter(None, facts))
