"""`fal-mcp jobs`: what was run from this machine; to look at, wait for, cancel and save."""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rich.text import Text

from fal_mcp.config import Settings
from fal_mcp.errors import FalError, InvalidInput, NotFound
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonObject, dumped, text_of
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.terminal import run, screen, session
from fal_mcp.terminal.session import DONE, FAILED, WRONG, Session
from fal_mcp.terminal.words import for_people, money
from fal_mcp.text import cut, one_line

_MOST_LOOKED_THROUGH = 1000
_SHORT_ID = 12
_WIDE = 100
_DAY = 86_400.0
_PROMPTS = ("prompt", "text", "script", "lyrics", "query")


async def listed(settings: Settings, limit: int, as_json: bool) -> int:
    """List the newest jobs, with what they were asked for and what they cost."""
    async with session.opened(settings) as opened:
        jobs = await _jobs(opened, limit)
    if as_json:
        screen.out().print(dumped([row(job) for job in jobs], indent=1))
        return DONE
    if not jobs:
        screen.say(screen.errors(), "No jobs yet. fal-mcp run MODEL prompt=… begins one.", "dim")
    for job in jobs:
        line(job)
    return DONE


async def look(settings: Settings, job_id: str, as_json: bool) -> int:
    """Say how a job stands, or what came out."""
    return await _about(settings, job_id, as_json, "get_job")


async def wait(settings: Settings, job_id: str, as_json: bool) -> int:
    """Wait for a job, and say what came out."""
    return await _about(settings, job_id, as_json, "wait_for_job")


async def save(settings: Settings, job_id: str, as_json: bool) -> int:
    """Save a job's files, waiting for it where it still runs."""
    return await _about(settings, job_id, as_json, "wait_for_job", is_saving=True)


async def cancel(settings: Settings, job_id: str, says_yes: bool) -> int:
    """Cancel a job at fal."""
    try:
        async with session.opened(settings, says_yes=says_yes) as opened:
            outcome = await opened.use("cancel_job", {"job_id": await full_id(opened, job_id)})
    except FalError as error:
        screen.trouble(error.message, error.hint)
        return FAILED
    screen.say(screen.out(), for_people(outcome.note))
    return DONE if outcome.data.get("fal_said") == "requested" else FAILED


async def accept(settings: Settings) -> int:
    """Open the budgets again after a damaged ledger was set aside."""
    async with session.opened(settings) as opened:
        aside = await opened.engine.jobs.ledger.accept()
    about = f"Budgets are open again. What was damaged is in {aside}." if aside else "Nothing was set aside."
    screen.say(screen.out(), about)
    return DONE


async def usage(settings: Settings, days: int, as_json: bool) -> int:
    """Say what was spent from this machine, by model."""
    since = time.time() - days * _DAY
    async with session.opened(settings) as opened:
        jobs = [job for job in await _jobs(opened, _MOST_LOOKED_THROUGH) if job.created >= since]
    rows = _by_model(jobs)
    if as_json:
        screen.out().print(dumped({"days": days, "models": rows, "usd": sum(row["usd"] for row in rows)}, indent=1))
        return DONE
    console = screen.out()
    for row in rows:
        unknown = f"  ({row['unpriced']} whose price is not known)" if row["unpriced"] else ""
        runs = f"{row['runs']:>4} {'run ' if row['runs'] == 1 else 'runs'}"
        screen.say(console, f"{money(row['usd']):>10}  {runs}  {row['endpoint_id']}{unknown}")
    total = money(sum(row["usd"] for row in rows))
    screen.say(console, f"{total:>10}  in {days} days, as far as is known here.")
    screen.say(screen.errors(), "fal's own figures: https://fal.ai/dashboard/usage", "dim")
    return DONE


async def full_id(opened: Session, typed: str) -> str:
    """The id that begins as typed.

    Raises:
        NotFound, InvalidInput: none does, or several do.
    """
    typed = typed.strip()
    ids = [job.job_id for job in await _jobs(opened, _MOST_LOOKED_THROUGH)]
    if typed in ids:
        return typed
    # `job_` is the same in all of them, so it need not be typed.
    matches = [each for each in ids if typed and each.removeprefix("job_").startswith(typed.removeprefix("job_"))]
    if len(matches) > 1:
        raise InvalidInput(f"{len(matches)} jobs have ids that begin with {typed!r}.", hint="Give more of it.")
    if not matches and len(typed) < 20:
        raise NotFound(f"There is no job {typed[:80]!r}.", hint="fal-mcp jobs lists the jobs there are.")
    # A whole id may be of a job older than those looked through.
    return matches[0] if matches else typed


async def _about(settings: Settings, job_id: str, as_json: bool, tool: str, *, is_saving: bool = False) -> int:
    try:
        async with session.opened(settings, title=cut(job_id, _SHORT_ID)) as opened:
            whole = await full_id(opened, job_id)
            outcome = await opened.use(tool, {"job_id": whole})
            if tool == "wait_for_job":
                outcome = await run.waited(opened, outcome)
    except FalError as error:
        screen.trouble(error.message, error.hint)
        return WRONG if isinstance(error, InvalidInput) else FAILED
    return _told(outcome, as_json, is_saving, is_saved=settings.output_dir is not None)


def _told(outcome: Outcome, as_json: bool, is_saving: bool, *, is_saved: bool) -> int:
    if as_json:
        screen.out().print(dumped(dict(outcome.data), indent=1))
    else:
        run.show(outcome, is_saved=is_saved)
    if is_saving and not run.paths(outcome) and outcome.data.get("status") == "completed":
        screen.trouble("There was nothing to save.")
        return FAILED
    return run.code_of(outcome, is_saved=is_saved)


async def _jobs(opened: Session, limit: int) -> list[Job]:
    if opened.settings.key is None:
        screen.say(screen.errors(), "Jobs are kept by key, and no key is set here.", "yellow")
    return await opened.engine.jobs.ledger.listed(opened.engine.owner, limit=limit)


def row(job: Job) -> JsonObject:
    """A job as scripts have it."""
    return {
        "job_id": job.job_id,
        "endpoint_id": job.endpoint_id,
        "state": job.state,
        "created": datetime.fromtimestamp(job.created).astimezone().isoformat(timespec="seconds"),
        "prompt": _prompt(job),
        "usd": job.cost,
        "request_id": job.request.request_id if job.request else None,
        "saved": list((job.saved or {}).values()),
    }


def without_words(job: Job) -> Job:
    """The same job without anything that was said to the model; file names are made of it too."""
    return replace(job, arguments=None, saved=None)


def line(job: Job, owner: str | None = None) -> None:
    """Print a job as one line, or as two where the terminal is narrow; with whose it is where that is given."""
    console = screen.out()
    prompt = one_line(_prompt(job) or "", 200)
    if not console.is_terminal:
        # In a pipe: whole ids and tabs, for whatever reads it.
        whose = () if owner is None else (job.owner,)
        screen.columns(job.job_id, job.state, _stamp(job), money(job.cost), job.endpoint_id, *whose, prompt)
        return
    about = "  ".join(filter(None, (owner, prompt)))
    width = console.width
    cost = money(job.cost) if job.cost is not None else "-"
    stamp = f"{_stamp(job)}  " if width >= _WIDE else ""
    first = f"{stamp}{job.job_id.removeprefix('job_')[:_SHORT_ID]}  {job.state:<9}  {cost:>7}  {job.endpoint_id}"
    shown = Text(cut(f"{first}  {about}" if stamp else first, width))
    shown.highlight_words([job.state], _style(job))
    console.print(shown)
    if not stamp:
        console.print(cut(f"  {_stamp(job)}  {about}", width), style="dim")


def _style(job: Job) -> str:
    return {"completed": "green", "failed": "red", "cancelled": "dim", "unknown": "yellow"}.get(job.state, "cyan")


def _stamp(job: Job) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))


def _prompt(job: Job) -> str | None:
    arguments = job.arguments or {}
    return next((text for name in _PROMPTS if (text := text_of(arguments.get(name)))), None)


def _by_model(found: Iterable[Job]) -> list[JsonObject]:
    rows: dict[str, JsonObject] = {}
    for job in found:
        # fal refused it, or it was withdrawn before it was sent: nothing ran.
        if job.request is None and job.is_free:
            continue
        row = rows.setdefault(job.endpoint_id, {"endpoint_id": job.endpoint_id, "runs": 0, "usd": 0.0, "unpriced": 0})
        row["runs"] += 1
        row["usd"] = round(row["usd"] + (job.cost or 0.0), 6)
        row["unpriced"] += job.cost is None
    return sorted(rows.values(), key=lambda row: -row["usd"])
