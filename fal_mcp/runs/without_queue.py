"""Runs without the queue: synchronous, or streamed with what comes told as progress. fal keeps nothing of them."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.client.stream import pictures_in, text_of
from fal_mcp.errors import FalError, MaybeReceived
from fal_mcp.jobs.follower import said
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line

_TAIL = 200


async def run(
    endpoint: Endpoint, arguments: Mapping[str, Any], call: Call, *, is_streamed: bool, save_to: str | None = None
) -> Outcome:
    """Run it and answer with the last that came. It is written down and held to the limits like any other.

    Raises:
        FalError: it was refused, or failed, or broke off; the message says how far it came.
    """
    call.fal().need_key()
    ready = await input_files.put_up(endpoint, arguments, call)
    order = with_queue.order_of(endpoint, ready, call.owner, await with_queue.quote(endpoint, ready, call))
    await with_queue.approved(order, call)
    job = call.jobs.ledger.begin(order, call.jobs.limits)
    began = time.monotonic()
    try:
        output = await (_streamed(endpoint, ready, call) if is_streamed else _at_once(endpoint, ready, call))
    except BaseException as error:
        # Broken off, it may have run; refused or failed, it cost nothing.
        is_known = isinstance(error, FalError) and not isinstance(error, MaybeReceived)
        about = said(error) if isinstance(error, FalError) else None
        call.jobs.note(job, state="failed" if is_known else "unknown", error=about)
        raise
    seconds = round(time.monotonic() - began, 3)
    call.jobs.note(job, state="completed", output=output, run_seconds=seconds)
    done = replace(job, state="completed", output=output, run_seconds=seconds)
    return await answers.outcome(done, call, save_to=save_to)


async def _at_once(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call) -> dict[str, Any]:
    await call.say("running")
    return await call.fal().run.run(endpoint.endpoint_id, arguments)


async def _streamed(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call) -> dict[str, Any]:
    async def seen(event: Any) -> None:
        count = pictures_in(event)
        tail = text_of(event)[-_TAIL:]
        await call.say(one_line(tail, _TAIL) if tail else f"{count} pictures so far" if count else "running")

    return await call.fal().stream.run(endpoint.endpoint_id, arguments, seen)
