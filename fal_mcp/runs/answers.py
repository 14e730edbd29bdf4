"""How a run stands, as an answer: its files where it is completed, its id and what to call where it is not.

Text and data each say all that the next step needs: hosts hand their models one of the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread

from fal_mcp import traces
from fal_mcp.errors import FalError, InvalidInput, ResultNotReady
from fal_mcp.jobs import kept_errors
from fal_mcp.jobs.job import FOLLOWED, Job
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.json_values import JsonMapping, JsonObject, dumped, number_of
from fal_mcp.outputs import media, previews, saving, shortening
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line

# Seconds; a hint for models that poll too fast, and pay for each look with their own tokens.
_POLL_AFTER = {"queued": 10, "running": 20}
_LONGEST_TIME = 10**9
_MACHINE = (
    "was asked for, and fal's answer was lost: the machine may run, and cost by the hour",
    "list_instances shows whether it runs, and delete_instance ends it. The same create_instance again within nine "
    "minutes of the first starts no second one.",
)
_WITHOUT_QUEUE = (
    "ran without fal's queue and broke off: it may be paid for, and counts as estimated",
    "There is nothing to wait for: fal keeps no result of it. To have one is to run it again, and to pay again.",
)
_WORDS = ("prompt", "text", "query", "lyrics", "script", "input")
_ABOUT = 80
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class _Saved:
    """Where the files of a job are on this disk, and what is to be said of that."""

    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


async def outcome(job: Job, call: Call, *, save_to: str | None = None, is_shown: bool = True) -> Outcome:
    """How a job stands, as an answer: its files where it is completed, its id and what to call where it is not.
    Previews are made where the call shows them, unless the answer is part of another that shows none.

    Raises:
        FalError: it failed, or was cancelled.
    """
    if job.state == "unknown" and job.way not in FOLLOWED:
        return _cut_off(job)
    if not job.is_over or _is_being_fetched(job, call):
        return _pending(job, call)
    output = await call.jobs.output(job)
    # All are found before some are told: a file's number must be the same in every answer about its job.
    all_files = await shortening.aside(output, media.find, output)
    files = media.told(all_files)
    saved = await _saved(files, job, output, call, save_to)
    short, parts = await shortening.aside(output, _within_budget, output, all_files, job.job_id, saved.paths)
    # After saving, which is owed to the user; pictures are only for the model, and have a few seconds.
    shown = await previews.of(files, call.fal()) if is_shown and call.shows_previews else previews.Seen()
    notes = [*saved.notes, *await shortening.aside(output, media.oddities, output), *shown.notes]
    notes += _limits(len(all_files), len(files), parts)
    if job.way == "workflow" and job.error:
        error = kept_errors.read(job.error, None)
        notes.append(f"It broke off, and this is what had come: {error.message} {error.hint or ''}".rstrip())
    if not all_files and not shortening.has_values(output):
        # Some models answer 200 with nothing; without a word the model would look for its files, or run it again.
        notes.append("The result is empty: no file and no value came out.")
    named = shortening.named(files, job.job_id)
    waited, ran = _seconds(job.queue_seconds), _seconds(job.run_seconds)
    data: JsonObject = {
        "status": "completed",
        "endpoint_id": job.endpoint_id,
        "request_id": job.request.request_id if job.request else None,
        "job_id": job.job_id,
        "output": short,
        **({"output_parts": parts} if parts else {}),
        "files": [about(item, saved.paths) for item in named],
        "timing": {"queue_s": waited, "run_s": ran},
        "cost": cost_of(job),
        **({"notes": notes} if notes else {}),
    }
    lines = [f"{job.endpoint_id} {_took(waited, ran)}; {costs(job)}; job_id {job.job_id}.", *notes]
    lines += [f"Saved as {path}" for path in saved.paths.values()]
    return Outcome(
        data=data,
        media=named,
        note="\n".join(lines),
        previews=shown.previews,
        echoed=_echoed(output, job.arguments or {}),
    )


def _limits(found: int, told: int, parts: int) -> list[str]:
    notes: list[str] = []
    if found > told:
        notes.append(f"{found:,} files came out; {told} of them are told here.")
    if parts:
        notes.append(f"Not all of the output is told here: get_job with part, 1 to {parts}, gives all of it.")
    return notes


def _took(waited: float | None, ran: float | None) -> str:
    took = "ran" if ran is None else f"ran for {ran:.1f} s"
    return f"{took} after {waited:.1f} s in the queue" if waited and waited >= 0.05 else took


def _seconds(value: float) -> float | None:
    """A time that a clock may have shown; None for one that only a service can name."""
    number = number_of(value)
    return number if number is not None and 0 <= number <= _LONGEST_TIME else None


def _echoed(output: JsonMapping, arguments: JsonMapping) -> frozenset[str]:
    texts = {name: value for name, value in output.items() if isinstance(value, str)}
    return frozenset(name for name, value in texts.items() if arguments.get(name) == value)


def about_arguments(arguments: JsonMapping | None, limit: int = _ABOUT) -> str:
    """What a job was asked for, in a few words: its prompt, or its first arguments; for telling jobs apart."""
    given = arguments or {}
    words = next((given[name] for name in _WORDS if isinstance(given.get(name), str) and given[name].strip()), None)
    if words is not None:
        return one_line(words[: limit * 4], limit)
    shown = [f"{name}: {dumped(value)[: limit * 2]}" for name, value in list(given.items())[:4]]
    return one_line(", ".join(shown), limit)


async def part(job: Job, number: int, jobs: Jobs) -> tuple[str, int]:
    """The `number`-th part of a completed job's whole output, from 1, and how many there are.

    Raises:
        FalError: the job is not completed, or fal has forgotten it.
    """
    if not job.is_over:
        raise InvalidInput(f"The job {job.job_id!r} is not over yet.", hint="wait_for_job waits for it.")
    output = await jobs.output(job)

    def cut() -> tuple[str, int]:
        # A file that was moved since stands in the parts as its bytes again: they are nowhere else.
        there = {name for name, path in (job.saved or {}).items() if saving.is_there(path)}
        plain = shortening.without_data(output, media.find(output), job.job_id, there)
        return shortening.parted(plain, number)

    return await shortening.aside(output, cut)


def _within_budget(
    output: JsonObject, files: tuple[Media, ...], job_id: str, saved: Mapping[str, str]
) -> tuple[Any, int]:
    """The output as it is told, and in how many parts all of it can be had; 0 where this is all of it."""
    # Labels first: addresses of a thousand characters would else use up the budget that values could have.
    short, is_cut = shortening.shortened(shortening.with_labels(output, media.told(files)))
    is_only_here = any(before.url != after.url and after.url not in saved for before, after in _renamed(files, job_id))
    if not is_cut and not is_only_here:
        return short, 0
    return short, shortening.parts(shortening.without_data(output, files, job_id, saved))


def _renamed(files: tuple[Media, ...], job_id: str) -> "zip[tuple[Media, Media]]":
    return zip(files, shortening.named(files, job_id), strict=True)


async def _saved(files: tuple[Media, ...], job: Job, output: JsonObject, call: Call, save_to: str | None) -> _Saved:
    """Where the files are on this disk, and what went wrong: a result that is paid for is never lost to a full disk."""
    # What came as bytes has no address: it is put where it can be found, whatever the settings.
    is_only_bytes = call.output is None
    trouble = ("This server saves no files: it has no --output-dir.",) if is_only_bytes and save_to else ()
    if not files or (is_only_bytes and not any(item.url.startswith("data:") for item in files)):
        return _Saved(notes=trouble)
    # Asked for again, a result is not saved again beside itself.
    if job.saved and await anyio.to_thread.run_sync(saving.are_there, job.saved):
        return _Saved(job.saved, trouble)
    try:
        folder, below = (call.kept, None) if call.output is None else (call.output, save_to)
        with traces.span("save", job_id=job.job_id, endpoint_id=job.endpoint_id):
            saved = await saving.save_all(files, job, output, call.fal(), folder, below, is_only_bytes=is_only_bytes)
    except FalError as error:
        return _Saved(notes=(f"It could not be saved: {error.message}",))
    # In the row, so that a later answer, or another server, neither fetches nor saves it again.
    if saved.paths:
        await call.jobs.note(job, saved=saved.paths)
    return _Saved(saved.paths, (*trouble, *saved.notes))


def _is_being_fetched(job: Job, call: Call) -> bool:
    """Whether the job is completed at fal, and whoever follows it has not got its result yet."""
    followed = call.jobs.standing(job)
    return job.state == "completed" and job.output is None and followed is not None and not followed.is_over


def _pending(job: Job, call: Call) -> Outcome:
    follower = call.jobs.standing(job)
    poll = _POLL_AFTER.get(job.state, 10)
    place = f", {job.position} before it" if job.position else ""
    known = {"queued": f"waits in fal's queue{place}", "running": "is running", "intent": "is being submitted"}
    known["waiting"] = f"waits here for its turn{place}, and nothing of it was sent yet"
    known["completed"] = "is completed at fal, and its result could not be fetched yet"
    stands = known.get(job.state, "was submitted, and fal's answer was lost; it is being looked for")
    data: JsonObject = {
        "status": "in_progress" if job.state != "unknown" else "unknown",
        "state": job.state,
        "endpoint_id": job.endpoint_id,
        "request_id": follower.request.request_id if follower and follower.request else None,
        "job_id": job.job_id,
        "queue_position": job.position,
        "poll_after_s": poll,
        "next": "It goes on by itself and is not to be run again: call wait_for_job with job_id "
        f"{job.job_id!r} for its result.",
        "cost": cost_of(job),
    }
    # Said, because waiting alone may not help: a key that was revoked, an account that is locked, no network.
    if follower and follower.hindrance:
        data["trouble"] = _hindrance(follower.hindrance)
    made = follower.made if follower else []
    if made:
        data["steps"] = made
    request = f"Request {data['request_id']}." if data["request_id"] else ""
    parts = [f"{job.endpoint_id} {stands}; {costs(job)}.", request, data.get("trouble", ""), data["next"]]
    note = " ".join(filter(None, parts))
    note = "\n".join([note, *(f"Step {line}" for line in made)])
    return Outcome(data=data, note=note, is_plain=True)


def _cut_off(job: Job) -> Outcome:
    """What went without the queue, and ended without a word: there is nothing to wait for."""
    stands, following = _MACHINE if job.way == "compute" else _WITHOUT_QUEUE
    data: JsonObject = {
        "status": "unknown",
        "state": job.state,
        "endpoint_id": job.endpoint_id,
        "request_id": job.request.request_id if job.request else None,
        "job_id": job.job_id,
        "next": following,
        "cost": cost_of(job),
    }
    note = f"{job.endpoint_id} {stands}; {costs(job)}; job_id {job.job_id}. {following}"
    return Outcome(data=data, note=note, is_plain=True)


def _hindrance(error: FalError) -> str:
    reason = one_line(error.message, _LONGEST_REASON)
    reason = reason if reason.endswith((".", "…")) else f"{reason}."
    return reason if isinstance(error, ResultNotReady) else f"How it stands could not be had just now: {reason}"


def cost_of(job: Job) -> JsonObject:
    """What a job cost, as structured content has it."""
    note = job.price_note if job.billed is None else "billed by fal"
    return {"usd": job.cost, "is_estimate": job.billed is None, "note": note}


def costs(job: Job) -> str:
    """What a job cost, in words."""
    if job.billed is not None:
        return f"billed {job.billed:.4g} USD"
    if job.price is None:
        return f"cost not known ({job.price_note})"
    # A model's price speaks for itself; what a machine costs needs its reason.
    return f"about {job.price:.4g} USD{f' ({job.price_note})' if job.per_second is not None else ''}"


def about(item: Media, saved: Mapping[str, str]) -> JsonObject:
    """A file as structured content has it; `saved` is where files are on this disk, by their URLs."""
    known = {
        "path": saved.get(item.url),
        "content_type": item.content_type,
        "width": item.width,
        "height": item.height,
        "size": item.size,
    }
    return {"url": item.url, "kind": item.kind, **{name: value for name, value in known.items() if value is not None}}
