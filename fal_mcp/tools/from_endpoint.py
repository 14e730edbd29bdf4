"""An endpoint as a tool: its text, its arguments, and the run of it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio.to_thread

from fal_mcp.catalog import price
from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.catalog.price import Quote
from fal_mcp.errors import FalError, InvalidInput
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.text import cut, one_line
from fal_mcp.tools import files as local
from fal_mcp.tools import media, previews, saving, whole
from fal_mcp.tools.tool import Call, Media, Outcome, Tool

T = TypeVar("T")
LONGEST_DESCRIPTION = 1000
_LONGEST_SENTENCE = 400
_MOST_FILE_ARGUMENTS = 4
_POLL_AFTER = {"queued": 10, "running": 20}
_RANDOM = ("seed", "noise_seed")


def tool(endpoint: Endpoint) -> Tool:
    """The typed tool of one model."""

    async def run(arguments: Mapping[str, Any], call: Call) -> Outcome:
        return await run_endpoint(endpoint, arguments, call)

    return Tool(
        name=tool_name(endpoint.endpoint_id),
        title=cut(endpoint.title, 120),
        description=describe(endpoint),
        input_schema=endpoint.input_schema,
        effect="spends",
        key="user",
        run=run,
        metadata={"fal/endpoint_id": endpoint.endpoint_id},
        shows_media=True,
    )


async def run_endpoint(
    endpoint: Endpoint,
    arguments: Mapping[str, Any],
    call: Call,
    *,
    is_fresh: bool = False,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    wait: float | None = None,
    save_to: str | None = None,
) -> Outcome:
    """Run an endpoint for one call: ask where money says so, begin, wait as long as the call may, answer.

    Raises:
        FalError: it was refused, or failed.
    """
    # Opening the way to fal is what finds a missing key, before anything is written down.
    call.fal().need_key()
    arguments = await local.put_up(endpoint, arguments, call)
    quoted = await quote(endpoint, arguments, call)
    order = order_of(endpoint, arguments, call.owner, quoted, is_fresh=is_fresh, headers=headers, query=query)
    await approved(order, call)
    started = call.jobs.start(order)
    call.began(started.job.job_id)
    job = await call.jobs.wait(started.job, call.wait if wait is None else min(wait, call.wait), call.tell)
    answer = await outcome(job, call, save_to=save_to)
    return answer.with_notes((_joined(job),)) if started.is_joined else answer


async def quote(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call) -> Quote:
    """What a call is thought to cost. fal is asked only where a limit makes it matter."""
    limits = call.jobs.limits
    if limits.are_set or limits.approve_over is not None:
        return await call.prices.quote(endpoint, arguments, call.fal())
    return price.quote(endpoint, arguments)


def order_of(endpoint: Endpoint, arguments: Mapping[str, Any], owner: str, quoted: Quote, **options: Any) -> Order:
    """What is to be run, with what it is thought to cost."""
    random = [name for name in _RANDOM if name in endpoint.input_schema.get("properties", {})]
    return Order(
        endpoint_id=endpoint.endpoint_id,
        arguments=dict(arguments),
        owner=owner,
        price=quoted.amount,
        price_note=quoted.note,
        is_repeatable=not random or any(arguments.get(name) is not None for name in random),
        **options,
    )


async def outcome(job: Job, call: Call, *, save_to: str | None = None) -> Outcome:
    """How a job stands, as an answer: its files where it is completed, its id and what to call where it is not.

    Raises:
        FalError: it failed, or was cancelled.
    """
    if not job.is_over:
        return _pending(job, call)
    output = await call.jobs.output(job)
    found = await aside(output, media.find, output)
    files = found[: media.MOST_FILES]
    saved, trouble = await _saved(files, job, output, call, save_to)
    told = whole.named(files, job.job_id)
    short, parts = await aside(output, _within_budget, output, found, job.job_id)
    waited, ran = job.queue_seconds, job.run_seconds
    data: dict[str, Any] = {
        "status": "completed",
        "endpoint_id": job.endpoint_id,
        "request_id": job.request.request_id if job.request else None,
        "job_id": job.job_id,
        "output": short,
        **({"output_parts": parts} if parts else {}),
        "files": [about(item, saved) for item in told],
        "timing": {"queue_s": waited, "run_s": ran},
        "cost": cost_of(job),
    }
    lines = [f"{job.endpoint_id} ran for {ran:.1f} s after {waited:.1f} s in the queue; {costs(job)}.", trouble]
    lines += [f"Saved as {path}" for path in saved.values()]
    if len(found) > len(files):
        lines.append(f"{len(found):,} files came out; {len(files)} of them are told here.")
    if parts:
        lines.append(f"Not all of the output is told here: get_job with part, 1 to {parts}, gives all of it.")
    shown = await previews.of(files, call.fal()) if call.shows_previews else previews.Seen()
    lines += shown.notes
    return Outcome(data=data, media=told, note="\n".join(filter(None, lines)), previews=shown.previews)


async def part(job: Job, number: int, jobs: Jobs) -> tuple[str, int]:
    """The `number`-th part of a completed job's whole output, from 1, and how many there are.

    Raises:
        FalError: the job is not completed, or fal has forgotten it.
    """
    if not job.is_over:
        raise InvalidInput(f"The job {job.job_id!r} is not over yet.", hint="wait_for_job waits for it.")
    output = await jobs.output(job)

    def cut() -> tuple[str, int]:
        plain = whole.without_data(output, media.find(output), job.job_id)
        return whole.part(plain, number), whole.parts(plain)

    return await aside(output, cut)


async def aside(output: Any, work: Callable[..., T], *arguments: Any) -> T:
    """Work on a large output in a thread, so that no other call waits for it."""
    if whole.is_large(output):
        return await anyio.to_thread.run_sync(work, *arguments)
    return work(*arguments)


def _within_budget(output: dict[str, Any], found: tuple[Media, ...], job_id: str) -> tuple[Any, int]:
    """The output as it is told, and in how many parts all of it can be had; 0 where this is all of it."""
    plain = whole.without_data(output, found, job_id)
    short, is_cut = whole.shortened(plain)
    return short, whole.parts(plain) if is_cut else 0


async def _saved(
    found: tuple[Media, ...], job: Job, output: dict[str, Any], call: Call, save_to: str | None
) -> tuple[dict[str, str], str]:
    """Where the files are on this disk, and what went wrong: a result that is paid for is never lost to a full disk."""
    # What came as bytes has no address: it is put where it can be found, whatever the settings.
    is_only_bytes = call.output is None
    trouble = "This server saves no files: it has no --output-dir." if is_only_bytes and save_to else ""
    if not found or (is_only_bytes and not any(item.url.startswith("data:") for item in found)):
        return {}, trouble
    # Asked for again, a result is not saved again beside itself.
    if job.saved and await anyio.to_thread.run_sync(saving.are_there, job.saved):
        return job.saved, trouble
    try:
        folder, below = (call.kept, None) if call.output is None else (call.output, save_to)
        saved = await saving.save_all(found, job, output, call.fal(), folder, below, is_only_bytes=is_only_bytes)
    except FalError as error:
        return {}, f"It could not be saved: {error.message}"
    call.jobs.note(job, saved=saved)
    return saved, trouble


def describe(endpoint: Endpoint) -> str:
    """What the tool is for, what it costs and takes, in at most 1,000 characters."""
    about = one_line(endpoint.description, _LONGEST_SENTENCE)
    lines = [f"{about or endpoint.title} [{endpoint.category}: {endpoint.endpoint_id}]", _cost(endpoint)]
    if endpoint.files:
        shown = ", ".join(_position(argument.path) for argument in endpoint.files[:_MOST_FILE_ARGUMENTS])
        more = ", …" if len(endpoint.files) > _MOST_FILE_ARGUMENTS else ""
        lines.append(f"Files go in as an https URL, a path, or fal://jobs/{{job_id}}/files/1: {shown}{more}.")
    if endpoint.is_training:
        lines.append("Trains a model; it does not generate.")
    return cut("\n".join(lines), LONGEST_DESCRIPTION)


async def approved(order: Order, call: Call) -> None:
    """Ask the user where the settings say so.

    Raises:
        BudgetExceeded: they did not approve.
    """
    limit = call.jobs.limits.approve_over
    if limit is None:
        return
    if order.price is None and not call.jobs.limits.allow_unpriced:
        await call.approve(f"Run {order.endpoint_id}? What it costs is not known: {order.price_note}.")
    elif order.price is not None and order.price > limit:
        await call.approve(f"Run {order.endpoint_id} for about {order.price:.4g} USD ({order.price_note})?")


def _pending(job: Job, call: Call) -> Outcome:
    found = call.jobs.standing(job)
    poll = _POLL_AFTER.get(job.state, 10)
    place = f", {job.position} before it" if job.position else ""
    known = {"queued": f"waits in fal's queue{place}", "running": "is running", "intent": "is being submitted"}
    stands = known.get(job.state, "was submitted, and fal's answer was lost; it is being looked for")
    data: dict[str, Any] = {
        "status": "in_progress" if job.state != "unknown" else "unknown",
        "state": job.state,
        "endpoint_id": job.endpoint_id,
        "request_id": found.request.request_id if found and found.request else None,
        "job_id": job.job_id,
        "queue_position": job.position,
        "poll_after_s": poll,
        "cost": cost_of(job),
    }
    request = f" Request {data['request_id']}." if data["request_id"] else ""
    note = (
        f"{job.endpoint_id} {stands}; {costs(job)}.{request} It goes on by itself and is not to be run again: call "
        f"wait_for_job with job_id {job.job_id!r} for its result."
    )
    return Outcome(data=data, note=note, is_plain=True)


def _joined(job: Job) -> str:
    return (
        f"the same was asked for a moment ago, so this is that job, and nothing was paid twice; run_model with fresh: "
        f"true runs {job.endpoint_id} again"
    )


def cost_of(job: Job) -> dict[str, Any]:
    """What a job cost, as structured content has it."""
    note = job.price_note if job.billed is None else "billed by fal"
    return {"usd": job.cost, "is_estimate": job.billed is None, "note": note}


def costs(job: Job) -> str:
    """What a job cost, in words."""
    if job.billed is not None:
        return f"billed {job.billed:.4g} USD"
    return f"about {job.price:.4g} USD" if job.price is not None else f"cost not known ({job.price_note})"


def _cost(endpoint: Endpoint) -> str:
    priced = f"Costs {endpoint.price}" if endpoint.price else "Costs money; the price is on the model's page at fal.ai"
    seconds = f"; takes about {endpoint.typical_seconds:.0f} s" if endpoint.typical_seconds else ""
    return f"{priced}{seconds}."


def _position(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


def about(item: Media, saved: Mapping[str, str]) -> dict[str, Any]:
    """A file as structured content has it; `saved` is where files are on this disk, by their URLs."""
    return {
        "url": item.url,
        **({"path": saved[item.url]} if item.url in saved else {}),
        "kind": item.kind,
        "content_type": item.content_type,
        "width": item.width,
        "height": item.height,
        "size": item.size,
    }
