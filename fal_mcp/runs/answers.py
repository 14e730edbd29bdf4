"""How a run stands, as an answer: its files where it is completed, its id and what to call where it is not."""

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from fal_mcp.errors import FalError, InvalidInput
from fal_mcp.jobs.job import Job
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.outputs import media, previews, saving, shortening
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs.call import Call

_POLL_AFTER = {"queued": 10, "running": 20}


async def outcome(job: Job, call: Call, *, save_to: str | None = None) -> Outcome:
    """How a job stands, as an answer: its files where it is completed, its id and what to call where it is not.

    Raises:
        FalError: it failed, or was cancelled.
    """
    if not job.is_over or _is_being_fetched(job, call):
        return _pending(job, call)
    output = await call.jobs.output(job)
    found = await shortening.aside(output, media.find, output)
    files = found[: media.MOST_FILES]
    saved, trouble = await _saved(files, job, output, call, save_to)
    told = shortening.named(files, job.job_id)
    short, parts = await shortening.aside(output, _within_budget, output, found, job.job_id)
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
        plain = shortening.without_data(output, media.find(output), job.job_id)
        return shortening.part(plain, number), shortening.parts(plain)

    return await shortening.aside(output, cut)


def _within_budget(output: dict[str, Any], found: tuple[Media, ...], job_id: str) -> tuple[Any, int]:
    """The output as it is told, and in how many parts all of it can be had; 0 where this is all of it."""
    plain = shortening.without_data(output, found, job_id)
    short, is_cut = shortening.shortened(plain)
    return short, shortening.parts(plain) if is_cut else 0


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
    await call.jobs.note(job, saved=saved)
    return saved, trouble


def _is_being_fetched(job: Job, call: Call) -> bool:
    """Whether the job is completed at fal, and whoever follows it has not got its result yet."""
    followed = call.jobs.standing(job)
    return job.state == "completed" and job.output is None and followed is not None and not followed.is_over


def _pending(job: Job, call: Call) -> Outcome:
    found = call.jobs.standing(job)
    poll = _POLL_AFTER.get(job.state, 10)
    place = f", {job.position} before it" if job.position else ""
    known = {"queued": f"waits in fal's queue{place}", "running": "is running", "intent": "is being submitted"}
    known["completed"] = "is completed at fal, and its result could not be fetched yet"
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


def cost_of(job: Job) -> dict[str, Any]:
    """What a job cost, as structured content has it."""
    note = job.price_note if job.billed is None else "billed by fal"
    return {"usd": job.cost, "is_estimate": job.billed is None, "note": note}


def costs(job: Job) -> str:
    """What a job cost, in words."""
    if job.billed is not None:
        return f"billed {job.billed:.4g} USD"
    return f"about {job.price:.4g} USD" if job.price is not None else f"cost not known ({job.price_note})"


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
