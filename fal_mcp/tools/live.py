"""Runs over a realtime connection: inputs in a row, or one at a time in a session; each checked and paid for as any
other run is."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import FalError, RequestRejected
from fal_mcp.jobs.follower import said
from fal_mcp.jobs.job import Job, Order, costs_nothing
from fal_mcp.jobs.progress import Report
from fal_mcp.jobs.sessions import Input, Session
from fal_mcp.text import one_line
from fal_mcp.tools import files, from_endpoint, kept, media, previews, saving, whole
from fal_mcp.tools.tool import Call, Media, Outcome

_LONGEST_LINE = 400
_SUM = "the sum of its inputs, as far as their prices are known"


@dataclass(slots=True)
class Came:
    """What came of a run so far, and what ended it before its end."""

    outputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    files: dict[str, Media] = field(default_factory=dict[str, Media])
    """By their addresses, each once."""
    saved: dict[str, str] = field(default_factory=dict[str, str])
    """Where those that came as bytes are, by their addresses."""
    stopped: FalError | None = None

    async def take(self, endpoint_id: str, arguments: Mapping[str, Any], answer: Mapping[str, Any], call: Call) -> None:
        """Add an answer, its files written down."""
        output, written = await kept.keep(answer, call.kept, saving.stem_of(endpoint_id, arguments, answer))
        self.outputs.append(output)
        self.files |= {item.url: item for item in (*written.values(), *media.find(output))}
        self.saved |= {item.url: path for path, item in written.items()}


async def run(endpoint: Endpoint, inputs: Sequence[Mapping[str, Any]], call: Call, seconds: float) -> Outcome:
    """Send all inputs in their order and answer with all outputs, as far as they came within so many seconds.

    Raises:
        FalError: nothing came.
    """
    call.fal().need_key()
    ready = [await files.put_up(endpoint, one, call) for one in inputs]
    order = await _order_of_all(endpoint, ready, call)
    await from_endpoint.approved(order, call)
    job = call.jobs.ledger.begin(order, call.jobs.limits)
    came, began = Came(), time.monotonic()
    try:
        await _converse(endpoint, ready, call, seconds, came)
    except FalError as error:
        came.stopped = error
    except BaseException:
        call.jobs.note(job, state="unknown", price=_paid(job, came, len(ready), 1))
        raise
    ran = round(time.monotonic() - began, 3)
    return await _told(_noted(job, came, len(ready), ran, call), came, len(ready), call)


async def opened(endpoint: Endpoint, call: Call, idle: float, max_buffering: int | None = None) -> Session:
    """A session that is ready for inputs. What it costs is decided input by input.

    Raises:
        FalError: as for `Sessions.open`.
    """
    call.fal().need_key()
    order = Order(endpoint.endpoint_id, {"realtime": "session"}, call.owner, 0.0, _SUM)
    return await call.sessions().open(order, idle, max_buffering)


async def sent(
    endpoint: Endpoint, session: Session, arguments: Mapping[str, Any], call: Call, seconds: float, newest_wins: bool
) -> Outcome:
    """One input's answer, or that a newer input took its place.

    Raises:
        FalError: as for `Sessions.send`.
    """
    ready = await files.put_up(endpoint, arguments, call)
    order = from_endpoint.order_of(endpoint, ready, call.owner, await from_endpoint.quote(endpoint, ready, call))
    await from_endpoint.approved(order, call)
    answer = await call.sessions().send(session, Input(order, seconds, newest_wins))
    data: dict[str, Any] = {"session_id": session.session_id, "job_id": session.job.job_id}
    if answer is None:
        note = "A newer input took its place: it was not sent and costs nothing."
        return Outcome(data={"status": "replaced", **data, "outputs": []}, note=note, is_plain=True)
    came = Came()
    await came.take(endpoint.endpoint_id, ready, answer, call)
    price = f"about {order.price:.4g} USD" if order.price is not None else f"cost not known ({order.price_note})"
    data |= {"cost": {"usd": order.price, "is_estimate": True, "note": order.price_note}}
    return await _outcome(f"{endpoint.endpoint_id} answered; {price}.", {"status": "completed", **data}, came, call)


async def _order_of_all(endpoint: Endpoint, inputs: Sequence[Mapping[str, Any]], call: Call) -> Order:
    one = await from_endpoint.quote(endpoint, inputs[0], call)
    order = from_endpoint.order_of(endpoint, {"realtime": list(inputs)}, call.owner, one)
    if one.amount is None or len(inputs) == 1:
        return order
    note = f"{one.note}, times {len(inputs)} inputs"
    return replace(order, price=round(one.amount * len(inputs), 6), price_note=note)


async def _converse(
    endpoint: Endpoint, inputs: Sequence[Mapping[str, Any]], call: Call, seconds: float, came: Came
) -> None:
    await call.say("connecting")
    async with call.fal().realtime.opened(endpoint.endpoint_id) as line:
        deadline = time.monotonic() + seconds
        for number, arguments in enumerate(inputs, 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise RequestRejected(f"{seconds:g} seconds were over before input {number} was sent.", hint="")
            await came.take(endpoint.endpoint_id, arguments, await line.ask(arguments, left), call)
            await call.tell(Report(float(number), float(len(inputs)), f"{number} of {len(inputs)}"))


def _noted(job: Job, came: Came, count: int, ran: float, call: Call) -> Job:
    """The job as it ended, written down.

    Raises:
        FalError: nothing came of it.
    """
    lost = came.stopped is not None and not costs_nothing(came.stopped)
    price = _paid(job, came, count, int(lost))
    if came.stopped is not None and not came.outputs:
        state = "unknown" if lost else "failed"
        call.jobs.note(job, state=state, error=said(came.stopped), run_seconds=ran, price=price)
        raise came.stopped
    columns: dict[str, Any] = {"state": "completed", "run_seconds": ran, "price": price}
    call.jobs.note(job, output={"outputs": came.outputs}, **columns)
    return replace(job, **columns)


def _paid(job: Job, came: Came, count: int, lost: int) -> float | None:
    """What the answers that came cost, and those that may be paid for besides."""
    return None if job.price is None else round(job.price * (len(came.outputs) + lost) / count, 6)


async def _told(job: Job, came: Came, count: int, call: Call) -> Outcome:
    stopped = came.stopped
    data: dict[str, Any] = {
        "status": "partial" if stopped else "completed",
        "endpoint_id": job.endpoint_id,
        "job_id": job.job_id,
        "timing": {"run_s": job.run_seconds},
        "cost": from_endpoint.cost_of(job),
        **({"error": stopped.message} if stopped else {}),
    }
    note = (
        f"{len(came.outputs)} of {count} inputs of {job.endpoint_id} were answered in {job.run_seconds:.1f} s; "
        f"{from_endpoint.costs(job)}."
    )
    why = f"\n{stopped.message} {stopped.hint}".rstrip() if stopped else ""
    return await _outcome(note + why, data, came, call)


async def _outcome(note: str, data: Mapping[str, Any], came: Came, call: Call) -> Outcome:
    found = tuple(came.files.values())[: media.MOST_FILES]
    outputs, is_cut = whole.shortened(came.outputs)
    lines = [_line(number, output) for number, output in enumerate(outputs, 1)]
    if is_cut:
        lines.append(f"Not all of it is told here; get_job with job_id {data['job_id']!r} and part gives the rest.")
    told = {**data, "outputs": outputs, "files": [from_endpoint.about(item, came.saved) for item in found]}
    shown = await previews.of(found, call.fal()) if call.shows_previews else previews.Seen()
    return Outcome(data=told, media=found, note="\n".join([note, *lines]), previews=shown.previews, is_plain=True)


def _line(number: int, output: Mapping[str, Any]) -> str:
    return f"{number}: {one_line(json.dumps(output, ensure_ascii=False), _LONGEST_LINE)}"
