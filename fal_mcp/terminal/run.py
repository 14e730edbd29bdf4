"""`fal-mcp run`: a model at the command line, the same way as a tool call: checked, written down, saved.

A run is begun first and waited for afterwards, so that Ctrl-C ends the waiting and never the run.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from fal_mcp.config import Settings
from fal_mcp.errors import FalError, InvalidInput
from fal_mcp.json_values import JsonMapping, JsonObject, dumped, list_of, object_of, text_of
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.terminal import screen, session
from fal_mcp.terminal.arguments import arguments_of, batch_of
from fal_mcp.terminal.session import DONE, FAILED, UNFINISHED, WRONG, Session
from fal_mcp.terminal.words import for_people, money

__all__ = ["arguments_of", "batch_of"]

_LONG_SECONDS = 50.0
_AS_LONG_AS_IT_TAKES = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    endpoint_id: str
    pairs: list[str]
    batch: Path | None = None
    mode: str = "queue"
    as_json: bool = False
    is_detached: bool = False
    is_fresh: bool = False
    says_yes: bool = False


async def run(settings: Settings, wish: Wish, began: list[str]) -> int:
    """Run the model once or several times and show what comes out. `began` is told the ids of the jobs. Returns the
    exit code."""
    try:
        async with session.opened(settings, says_yes=wish.says_yes, title=wish.endpoint_id) as opened:
            opened.began = began
            outcomes = await _outcomes(opened, wish)
    except FalError as error:
        screen.trouble(error.message, *(f"  {fault}" for fault in error.faults if str(fault) not in error.message))
        screen.trouble("", error.hint)
        return WRONG if isinstance(error, InvalidInput) and error.faults else FAILED
    except (ValueError, OSError) as error:
        screen.trouble(f"The arguments cannot be read: {error}")
        return WRONG
    return report(outcomes, wish, settings)


async def _outcomes(opened: Session, wish: Wish) -> list[Outcome | FalError]:
    # What is typed is read by what the model takes: `steps=4` is a number where a number is wanted.
    models, way = opened.engine.tools.models, "stream" if wish.mode == "stream" else "run"
    endpoint = await models.endpoint(wish.endpoint_id, lambda: opened.engine.fal, way)
    given = arguments_of(wish.pairs, endpoint.input_schema)
    if wish.batch:
        return await _batch(opened, wish, batch_of(wish.batch, given))
    arguments = {"endpoint_id": wish.endpoint_id, "arguments": given, "mode": wish.mode, "fresh": wish.is_fresh}
    if wish.mode != "queue":
        return [await opened.use("run_model", arguments, wait=_AS_LONG_AS_IT_TAKES)]
    # Begun first, and its id told: from here on Ctrl-C can say what goes on.
    outcome = await opened.use("run_model", arguments, wait=0.0)
    return [outcome if wish.is_detached else await waited(opened, outcome)]


async def _batch(opened: Session, wish: Wish, sets: list[JsonObject]) -> list[Outcome | FalError]:
    outcome = await opened.use("run_batch", {"endpoint_id": wish.endpoint_id, "arguments": sets}, wait=0.0)
    every_run = object_of(outcome.data.get("every_run"))
    items = [{**every_run, **object_of(item)} for item in list_of(outcome.data.get("items"))]
    outcomes: list[Outcome | FalError] = [Outcome(data=item) for item in items]

    async def one(place: int, item: JsonMapping) -> None:
        outcomes[place] = await _waited_or_failed(opened, item)

    async with anyio.create_task_group() as tasks:
        for place, item in enumerate(items):
            if not wish.is_detached:
                tasks.start_soon(one, place, item)
    return outcomes


async def _waited_or_failed(opened: Session, item: JsonMapping) -> Outcome | FalError:
    if not item.get("job_id"):
        return FalError(text_of(item.get("error")) or "It was not begun.")
    try:
        return await waited(opened, Outcome(data={**item, "status": "in_progress"}))
    except FalError as error:
        return error


async def waited(opened: Session, outcome: Outcome) -> Outcome:
    """The outcome once its job is over, with the whole of its output.

    Raises:
        FalError: the job failed, or cannot be followed.
    """
    job_id, began_with = text_of(outcome.data.get("job_id")), outcome
    while job_id and outcome.data.get("status") == "in_progress":
        outcome = await opened.use("wait_for_job", {"job_id": job_id, "seconds": _LONG_SECONDS})
    if job_id and outcome.data.get("output_parts"):
        # Nobody's context is at stake here: the whole of it.
        job = await opened.engine.jobs.get(job_id, opened.engine.owner)
        outcome = replace(outcome, data={**outcome.data, "output": await opened.engine.jobs.output(job)})
    # What was put right in the arguments was said when the job began, and nobody has seen it yet.
    notes = [text_of(note) or "" for note in list_of(began_with.data.get("notes"))]
    return outcome if outcome is began_with else outcome.with_notes(tuple(filter(None, notes)))


def report(outcomes: list[Outcome | FalError], wish: Wish, settings: Settings) -> int:
    """Show what came of the runs, for people or for scripts. Returns the exit code."""
    if wish.as_json:
        data = [_data(outcome) for outcome in outcomes]
        screen.out().print(dumped({"items": data} if wish.batch else data[0], indent=1))
        return max(code_of(outcome, wish.is_detached) for outcome in outcomes)
    for number, outcome in enumerate(outcomes, 1):
        show(outcome, f"{number}: " if wish.batch else "")
    if wish.batch:
        _sum(outcomes)
    if settings.output_dir and any(paths(outcome) for outcome in outcomes) and screen.errors().is_terminal:
        screen.say(screen.errors(), "Beside each file, a note (.json) says how to make it again.", "dim")
    return max(code_of(outcome, wish.is_detached) for outcome in outcomes)


def show(outcome: Outcome | FalError, before: str = "", *, is_saved: bool = True) -> None:
    """Say what came out: where it is, and what it cost."""
    if isinstance(outcome, FalError):
        screen.trouble(f"{before}{outcome.message}", outcome.hint)
        return
    console = screen.out()
    if outcome.note:
        screen.say(console, before + for_people(outcome.note))
    elif before:
        screen.say(console, f"{before}{outcome.data.get('status')}  {outcome.data.get('job_id') or ''}")
    for item in outcome.media:
        console.print(item.url, style="cyan" if console.is_terminal else "")
    for text in texts(outcome):
        console.print(text)
    for url in unsaved(outcome) if is_saved else ():
        screen.trouble(f"Not saved: {url}")


def code_of(outcome: Outcome | FalError, is_detached: bool = False, *, is_saved: bool = True) -> int:
    """The exit code: whether what was asked for is there."""
    if isinstance(outcome, FalError):
        return FAILED
    status = outcome.data.get("status")
    if status in ("in_progress", "unknown"):
        return DONE if is_detached else UNFINISHED
    return DONE if status == "completed" and not (is_saved and unsaved(outcome)) else FAILED


def paths(outcome: Outcome | FalError) -> list[str]:
    """Where its files are on this disk."""
    files = [] if isinstance(outcome, FalError) else [object_of(file) for file in list_of(outcome.data.get("files"))]
    return [path for file in files if (path := text_of(file.get("path")))]


def unsaved(outcome: Outcome) -> list[str]:
    """The addresses of files that should have been saved and were not."""
    files = [object_of(file) for file in list_of(outcome.data.get("files"))]
    return [str(file.get("url"))[:200] for file in files if not file.get("path")]


def texts(outcome: Outcome) -> list[str]:
    """Text that the model wrote."""
    output = object_of(outcome.data.get("output"))
    return [text for name in ("output", "text") if (text := text_of(output.get(name)))]


def _data(outcome: Outcome | FalError) -> JsonObject:
    if isinstance(outcome, FalError):
        return {"status": "failed", "error": outcome.message, "request_id": outcome.request_id}
    return dict(outcome.data)


def _sum(outcomes: list[Outcome | FalError]) -> None:
    costs = [object_of(outcome.data.get("cost")).get("usd") for outcome in outcomes if isinstance(outcome, Outcome)]
    known = [cost for cost in costs if isinstance(cost, int | float)]
    failed = sum(isinstance(outcome, FalError) for outcome in outcomes)
    parts = [
        f"{len(outcomes)} runs",
        f"{failed} failed" if failed else "",
        f"about {money(sum(known))}" if known else "",
    ]
    unknown = len(costs) - len(known)
    parts.append(f"{unknown} whose price is not known" if unknown else "")
    screen.say(screen.out(), f"{', '.join(filter(None, parts))}.")


def interrupted(began: list[str]) -> None:
    """Say after Ctrl-C what goes on, and how to get at it."""
    console = screen.errors()
    if not began:
        screen.say(console, "Stopped. No job had been begun.")
    for job_id in began:
        screen.say(console, f"No longer waiting. The job {job_id} goes on at fal and is billed.")
        screen.say(
            console, f"For its result:\n  fal-mcp jobs wait {job_id}\nTo stop it:\n  fal-mcp jobs cancel {job_id}"
        )
