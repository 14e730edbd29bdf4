"""Runs without the queue: synchronous, or streamed with what comes told as progress. fal keeps nothing of them."""

import time
from dataclasses import replace

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.client.stream import pictures_in, text_of
from fal_mcp.errors import FalError, MaybeReceived
from fal_mcp.jobs import by_time
from fal_mcp.jobs.job import Job, costs_nothing
from fal_mcp.jobs.kept_errors import said
from fal_mcp.json_values import JsonMapping, JsonObject, object_of
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line

_TAIL = 200
_ANSWERED_ANEW = (
    "the same was run a moment ago and its answer did not arrive, so this is its result, and nothing was paid twice"
)


async def run(
    endpoint: Endpoint, arguments: JsonMapping, call: Call, *, is_streamed: bool, save_to: str | None = None
) -> Outcome:
    """Run it and answer with the last that came. It is written down and held to the limits like any other.

    Raises:
        FalError: it was refused, or failed, or broke off; the message says how far it came.
    """
    call.fal().need_key()
    quoted = await with_queue.quote(endpoint, arguments, call)
    order = with_queue.order_of(endpoint, arguments, call, quoted, way="stream" if is_streamed else "sync")
    order = await with_queue.ready(endpoint, order, call)
    started = await call.jobs.started(order)
    call.takes(started)
    if started.is_joined:
        answer = await answers.outcome(started.job, call, save_to=save_to)
        return answer.with_notes((_ANSWERED_ANEW,))
    # fal's answer without the queue has no times of its own.
    began = time.monotonic()
    try:
        output = await (_streamed if is_streamed else _at_once)(endpoint, order.arguments, call)
    # The row is there since before it was sent: each way out of here has to write what became of it.
    except Exception as error:
        return await _ended(started.job, error, time.monotonic() - began, call, save_to)
    except BaseException:
        # Broken off, it may have run.
        await call.jobs.note_at_the_end(started.job, state="unknown")
        raise
    columns: JsonObject = {"output": output, "run_seconds": round(time.monotonic() - began, 3)}
    answer = await _told(started.job, columns, call, save_to)
    return answer.with_notes((*with_queue.unchecked(endpoint), *with_queue.better_told(endpoint, call)))


async def _ended(job: Job, error: Exception, seconds: float, call: Call, save_to: str | None) -> Outcome:
    """What came of a run that ended in an error: the part of a stream that came is paid for, and handed out."""
    if not isinstance(error, FalError):
        await call.jobs.note(job, state="unknown")
        raise error
    if isinstance(error, MaybeReceived) and (partial := object_of(error.partial)):
        columns: JsonObject = {"output": partial, "run_seconds": round(seconds, 3), "error": said(error)}
        answer = await _told(job, columns, call, save_to)
        return answer.with_notes((f"it broke off, and this is what had come: {error.message}",))
    # Proven to be refused or failed; all else stays as estimated, because nobody can look up its result later.
    if costs_nothing(error):
        await call.jobs.note(job, state="failed", error=said(error))
        raise error
    await call.jobs.note(job, state="unknown", error=said(error))
    raise await call.jobs.looked_up(job, error)


async def _told(job: Job, columns: JsonObject, call: Call, save_to: str | None) -> Outcome:
    columns |= by_time.settled(job, columns["run_seconds"], call.jobs.ledger.now())
    await call.jobs.note(job, state="completed", **columns)
    return await answers.outcome(replace(job, state="completed", **columns), call, save_to=save_to)


async def _at_once(endpoint: Endpoint, arguments: JsonMapping, call: Call) -> JsonObject:
    await call.say("running")
    return await call.fal().synchronous.run(endpoint.endpoint_id, arguments)


async def _streamed(endpoint: Endpoint, arguments: JsonMapping, call: Call) -> JsonObject:
    async def seen(event: object) -> None:
        count = pictures_in(event)
        tail = text_of(event)[-_TAIL:]
        await call.say(one_line(tail, _TAIL) if tail else f"{count} pictures so far" if count else "running")

    return await call.fal().streaming.run(endpoint.endpoint_id, arguments, seen)
