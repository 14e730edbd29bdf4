"""The account's own apps beside fal's models: which of them a search means, and what is said of one."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import anyio

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.words import plain, spelled_out, words
from fal_mcp.client.endpoint_id import app_of
from fal_mcp.errors import FalError
from fal_mcp.jobs import by_time
from fal_mcp.jobs.job import Job, Way
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, number_of, object_of, text_of
from fal_mcp.runs.call import Call
from fal_mcp.runs.own_apps import OWN
from fal_mcp.text import one_line
from fal_mcp.toolsets.models import Models

_MOST = 5
_LONGEST = 5.0
_EMPTY = frozenset("a an the of for with to in on and or that which app apps model models tool".split())
_TIMED: tuple[Way, ...] = ("queue", "sync", "stream")
"""What is run and over, and not held open."""
_OWN = frozenset({"my", "mine", "own", "our"})


def about(endpoint: Endpoint) -> JsonObject | None:
    """What is told of whose app it is; None where it is not known to be the account's own."""
    app = object_of(endpoint.metadata.get(OWN))
    if not app:
        return None
    told = {"environment": "environment", "auth": "auth_mode", "machine": "machine_type", "updated": "updated_at"}
    return {name: one_line(str(value), 60) for name, key in told.items() if (value := text_of(app.get(key)))}


def sentence(endpoint: Endpoint) -> str:
    """The same in words, such as `your own app (main, private, GPU-H100)`; empty where it is not."""
    told = about(endpoint)
    if told is None:
        return ""
    return f"your own app ({', '.join(told[name] for name in ('environment', 'auth', 'machine') if name in told)})"


async def meant(models: Models, query: str, call: Call) -> list[Endpoint]:
    """The account's own endpoints that a query means, the likeliest first; at most five. Never raises a FalError."""
    await models.resolution.look(call.fal())
    asked = [word for word in words(spelled_out(plain(query))) if word not in _EMPTY]
    wanted = {word for word in asked if word not in _OWN}
    scores = {one: _fits(one, wanted, len(wanted) < len(asked)) for one in models.resolution.own_ids()}
    best = sorted((one for one in scores if scores[one]), key=lambda one: (-scores[one], one))
    return [endpoint async for endpoint in _read(models, best[:_MOST], call)]


def _fits(endpoint_id: str, wanted: set[str], is_own_meant: bool) -> float:
    named = set(words(plain(endpoint_id)))
    if not wanted:
        return 1.0 if is_own_meant else 0.0
    # Half of the words at least: a single one in common is no sign that an app is meant.
    share = len(wanted & named) / len(wanted)
    return share if share >= (0.01 if is_own_meant else 0.5) else 0.0


async def _read(models: Models, ids: list[str], call: Call) -> AsyncGenerator[Endpoint]:
    for endpoint_id in ids:
        if not models.selection.allows(endpoint_id):
            continue
        try:
            endpoint = await models.resolution.endpoint(endpoint_id, call.fal())
        except FalError:
            # A health route, and the like: it is no model.
            continue
        if endpoint is not None and endpoint.way != "realtime":
            yield endpoint


async def now(endpoint: Endpoint, call: Call) -> JsonObject:
    """How its app stands: revision, when it was deployed, its queue and its runners, and what a start of one takes, as
    far as fal tells it."""
    answers: dict[str, JsonObject] = {}
    async with anyio.create_task_group() as tasks:
        # Beside the rest: it is kept, and then the prices need not be asked for after it.
        tasks.start_soon(call.prices.apps.of, endpoint, call.fal())
        await _asked(endpoint, ("revisions", "queue", "runners/history"), answers, call)
    facts = dict(_facts(answers))
    start = _start(endpoint, facts, call)
    return {**facts, "cold_start": start} if start else facts


async def cold_start(endpoint: Endpoint, call: Call) -> str:
    """That no runner is warm, in a sentence; empty where one is, or where it is no app of the account's."""
    if about(endpoint) is None:
        return ""
    answers: dict[str, JsonObject] = {}
    await _asked(endpoint, ("runners/history",), answers, call)
    return _start(endpoint, dict(_facts(answers)), call)


async def _asked(endpoint: Endpoint, names: Iterable[str], answers: dict[str, JsonObject], call: Call) -> None:
    app = app_of(endpoint.endpoint_id)

    async def ask(name: str) -> None:
        try:
            answers[name] = await call.fal().platform.call("GET", f"/serverless/apps/{app}/{name}")
        except FalError:
            # What cannot be told now is left out, and all else is told.
            return

    with anyio.move_on_after(_LONGEST):
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(ask, name)


def _start(endpoint: Endpoint, facts: JsonMapping, call: Call) -> str:
    runners = object_of(facts.get("runners"))
    if not runners or runners["running"] or runners["idle"]:
        return ""
    known = call.prices.apps.known(endpoint)
    seconds = known.times.start if known and known.times else None
    long = "a while: a runner has to start" if seconds is None else f"{seconds:.0f} s longer (p90 of past starts)"
    return f"No runner is warm: the first call may take {long}"


def _facts(answers: JsonMapping) -> Iterator[tuple[str, Any]]:
    revisions = [object_of(one) for one in list_of(object_of(answers.get("revisions")).get("revisions"))]
    current: JsonObject = next((one for one in revisions if one.get("is_current")), JsonObject())
    if revision := text_of(current.get("revision_id")):
        yield "revision", one_line(revision, 80)
    if deployed := text_of(current.get("created_at")):
        yield "deployed", one_line(deployed, 40)
    if (size := number_of(object_of(answers.get("queue")).get("queue_size"))) is not None:
        yield "queue", int(size)
    history = list_of(object_of(answers.get("runners/history")).get("history"))
    if history:
        last = object_of(history[-1])
        yield "runners", {state: int(number_of(last.get(state)) or 0) for state in ("running", "idle", "pending")}


def lines(told: JsonMapping) -> list[str]:
    """What `now` told, in a line."""
    runners = object_of(told.get("runners"))
    parts = [
        f"revision {told['revision']}" if "revision" in told else "",
        f"deployed {told['deployed']}" if "deployed" in told else "",
        f"{told['queue']} wait in its queue" if "queue" in told else "",
        f"runners: {', '.join(f'{count} {state}' for state, count in runners.items())}" if runners else "",
    ]
    known = [part for part in parts if part]
    start = told.get("cold_start")
    return [*([f"Now: {'; '.join(known)}"] if known else []), *([start] if start else [])]


async def settled(models: Models, job: Job, call: Call) -> Job:
    """The job at what its seconds cost by the rate that is known best now; as it was where it is none of an own app's.
    Never raises a FalError."""
    is_beyond = models.catalog.get(job.endpoint_id) is None and job.way in _TIMED
    if not is_beyond or job.state != "completed" or job.billed is not None:
        return job
    await models.resolution.look(call.fal())
    endpoint = models.resolution.known(job.endpoint_id)
    known = await call.prices.apps.of(endpoint, call.fal()) if endpoint else None
    if known is None or known.rate is None or known.rate.note == job.rate_note:
        return job
    job = replace(job, per_second=known.rate.usd, rate_note=known.rate.note)
    columns = by_time.settled(job, job.run_seconds, call.jobs.ledger.now())
    if columns:
        await call.jobs.note(job, per_second=job.per_second, rate_note=job.rate_note, **columns)
    return replace(job, **columns)
