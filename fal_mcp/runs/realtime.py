"""Runs over a realtime connection: inputs in a row, or one at a time in a session; each checked and paid for as any
other run is."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.price import Quote
from fal_mcp.errors import FalError, MaybeReceived, NotWritable, RequestRejected
from fal_mcp.jobs.job import Job, Order, costs_nothing
from fal_mcp.jobs.kept_errors import said
from fal_mcp.jobs.progress import Report
from fal_mcp.jobs.sessions import Input, Session
from fal_mcp.json_values import JsonMapping, JsonObject, dumped
from fal_mcp.outputs import inline_bytes, media, previews, saving, shortening
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs import answers, input_files, with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line

_LONGEST_LINE = 400
_ROOM = 20_000
"""Characters of all outputs together, in the text; each has a line of at least so many as above."""
_SUM = "the sum of its inputs, as far as their prices are known"


@dataclass(slots=True)
class Came:
    """What came of a run so far, and what ended it before its end."""

    prices: tuple[float, ...] = ()
    """What each input costs, in their order; none where one of them is not known."""
    outputs: list[JsonObject] = field(default_factory=list[JsonObject])
    files: dict[str, Media] = field(default_factory=dict[str, Media])
    """By their addresses, each once."""
    saved: dict[str, str] = field(default_factory=dict[str, str])
    """Where those that came as bytes are, by their addresses."""
    stopped: FalError | None = None

    async def take(self, endpoint_id: str, arguments: JsonMapping, answer: JsonMapping, call: Call) -> None:
        """Add an answer, its files written down."""
        output, written = await inline_bytes.keep(answer, call.kept, saving.stem_of(endpoint_id, arguments, answer))
        self.outputs.append(output)
        files = await shortening.aside(output, media.find, output)
        self.files |= {item.url: item for item in (*written.values(), *files)}
        self.saved |= {item.url: path for path, item in written.items()}


async def run(endpoint: Endpoint, inputs: Sequence[JsonMapping], call: Call, seconds: float) -> Outcome:
    """Send all inputs in their order and answer with all outputs, as far as they came within so many seconds.

    Raises:
        FalError: nothing came.
    """
    call.fal().need_key()
    # Priced, held to the limits and approved as one: approved one by one, a user would say yes to a run of unknown
    # length.
    quoted, prices = await _quoted(endpoint, inputs, call)
    order = with_queue.order_of(endpoint, {"realtime": list(inputs)}, call, quoted, way="realtime")
    await call.jobs.check([order])
    await with_queue.approved(order, call)
    ready = [await input_files.put_up(endpoint, given, call) for given in inputs]
    # After the files are up: a row for what could not be sent would count as paid.
    job = await call.jobs.ledger.begin(replace(order, arguments={"realtime": ready}), call.jobs.limits)
    came, began = Came(prices), time.monotonic()
    try:
        await _converse(endpoint, ready, call, seconds, came)
    except FalError as error:
        came.stopped = error
    # A host that hangs up: the answers that came are in no other place than this call, and are paid for.
    except BaseException:
        await _broken_off(job, came, len(ready), call)
        raise
    ran = round(time.monotonic() - began, 3)
    return await _told(await _noted(job, came, ran, call), came, len(ready), call)


async def opened(endpoint: Endpoint, call: Call, idle: float, max_buffering: int | None = None) -> Session:
    """A session that is ready for inputs. What it costs is decided input by input.

    Raises:
        FalError: as for `Sessions.open`.
    """
    call.fal().need_key()
    order = Order(
        endpoint.endpoint_id, {"realtime": "session"}, call.owner, 0.0, _SUM, way="realtime", connection=call.connection
    )
    return await call.sessions().open(order, idle, max_buffering)


async def sent(
    endpoint: Endpoint, session: Session, arguments: JsonMapping, call: Call, seconds: float, newest_wins: bool
) -> Outcome:
    """One input's answer, or that a newer input took its place.

    Raises:
        FalError: as for `Sessions.send`.
    """
    quoted = await with_queue.quote(endpoint, arguments, call)
    order = with_queue.order_of(endpoint, arguments, call, quoted, way="realtime")
    await call.jobs.check([order])
    await with_queue.approved(order, call)
    ready = await input_files.put_up(endpoint, arguments, call)
    answer = await call.sessions().send(session, Input(replace(order, arguments=ready), seconds, newest_wins))
    data: JsonObject = {"session_id": session.session_id, "job_id": session.job.job_id}
    if answer is None:
        note = "A newer input took its place: it was not sent and costs nothing."
        return Outcome(data={"status": "replaced", **data, "outputs": []}, note=note, is_plain=True)
    came = Came()
    await came.take(endpoint.endpoint_id, ready, answer, call)
    price = f"about {order.price:.4g} USD" if order.price is not None else f"cost not known ({order.price_note})"
    data |= {"cost": {"usd": order.price, "is_estimate": True, "note": order.price_note}}
    outcome, is_cut = await _outcome(
        f"{endpoint.endpoint_id} answered; {price}; session_id {session.session_id}.",
        {"status": "completed", **data},
        came,
        call,
    )
    if not is_cut:
        return outcome
    # A session's row grows with its inputs and keeps none of its answers: they are streams of pictures.
    return await _kept_whole(outcome, came, saving.stem_of(endpoint.endpoint_id, ready, answer), call)


async def _quoted(endpoint: Endpoint, inputs: Sequence[JsonMapping], call: Call) -> tuple[Quote, tuple[float, ...]]:
    """What all inputs cost, and each of them; where one's price is not known, neither is."""
    prices: list[float] = []
    for number, arguments in enumerate(inputs, 1):
        quoted = await with_queue.quote(endpoint, arguments, call)
        if len(inputs) == 1:
            return quoted, () if quoted.amount is None else (quoted.amount,)
        if quoted.amount is None:
            return replace(quoted, note=f"input {number}: {quoted.note}"), ()
        prices.append(quoted.amount)
    # Added exactly: hundreds of cents as doubles drift by more than the ledger's unit.
    return Quote(math.fsum(prices), f"{len(inputs)} inputs, each by its own arguments"), tuple(prices)


async def _converse(endpoint: Endpoint, inputs: Sequence[JsonMapping], call: Call, seconds: float, came: Came) -> None:
    await call.say("connecting")
    deadline = time.monotonic() + seconds
    async with call.fal().realtime(endpoint.endpoint_id) as line:
        for number, arguments in enumerate(inputs, 1):
            # Looked at before sending: what cannot be answered in time would be paid for and thrown away.
            left = deadline - time.monotonic()
            if left <= 0:
                late = f"{seconds:g} seconds were over before input {number} was sent."
                raise RequestRejected(late, hint="Send what is left in another call.")
            await came.take(endpoint.endpoint_id, arguments, await line.ask(arguments, left), call)
            await call.tell(Report(float(number), float(len(inputs)), f"{number} of {len(inputs)}"))


async def _broken_off(job: Job, came: Came, count: int, call: Call) -> None:
    """Write down what came before the call was broken off; what was under way then may be paid for."""
    # One more than came: the input that was under way may be on the bill.
    price = _paid(job, came, 1)
    if not came.outputs:
        return await call.jobs.note_at_the_end(job, state="unknown", price=price)
    error = MaybeReceived(f"The call was broken off after {len(came.outputs)} of {count} inputs were answered.")
    columns: JsonObject = {"output": {"outputs": came.outputs}, "error": said(error), "price": price}
    await call.jobs.note_at_the_end(job, state="completed", **columns)


async def _noted(job: Job, came: Came, ran: float, call: Call) -> Job:
    """The job as it ended, written down.

    Raises:
        FalError: nothing came of it.
    """
    lost = came.stopped is not None and not costs_nothing(came.stopped)
    price = _paid(job, came, int(lost))
    if came.stopped is not None and not came.outputs:
        state = "unknown" if lost else "failed"
        await call.jobs.note(job, state=state, error=said(came.stopped), run_seconds=ran, price=price)
        raise came.stopped
    columns: JsonObject = {"state": "completed", "run_seconds": ran, "price": price}
    await call.jobs.note(job, output={"outputs": came.outputs}, **columns)
    return replace(job, **columns)


def _paid(job: Job, came: Came, lost: int) -> float | None:
    """What the answers that came cost, and those that may be paid for besides."""
    return None if job.price is None else math.fsum(came.prices[: len(came.outputs) + lost])


async def _told(job: Job, came: Came, count: int, call: Call) -> Outcome:
    stopped = came.stopped
    data: JsonObject = {
        "status": "partial" if stopped else "completed",
        "endpoint_id": job.endpoint_id,
        "job_id": job.job_id,
        "timing": {"run_s": job.run_seconds},
        "cost": answers.cost_of(job),
        **({"error": _why(stopped)} if stopped else {}),
    }
    note = (
        f"{len(came.outputs)} of {count} inputs of {job.endpoint_id} were answered in {job.run_seconds:.1f} s; "
        f"{answers.costs(job)}; job_id {job.job_id}."
    )
    outcome, is_cut = await _outcome(f"{note}\n{_why(stopped)}" if stopped else note, data, came, call)
    rest = f"Not all of it is told here; get_job with job_id {job.job_id!r} and part gives the rest."
    return outcome.with_notes((rest,)) if is_cut else outcome


def _why(stopped: FalError) -> str:
    return f"{stopped.message} {stopped.hint}".rstrip()


async def _kept_whole(outcome: Outcome, came: Came, stem: str, call: Call) -> Outcome:
    """The same, and where all of the answer is: the ledger has none of a session's."""
    try:
        path = str(await inline_bytes.written(came.outputs[0], call.kept, stem))
    except NotWritable as error:
        return outcome.with_notes((f"Not all of it is told here, and it is not kept: {error.message}",))
    whole = replace(outcome, data={**outcome.data, "output_path": path})
    return whole.with_notes((f"Not all of it is told here; all of it is in {path}",))


async def _outcome(note: str, data: JsonMapping, came: Came, call: Call) -> tuple[Outcome, bool]:
    """The answer, and whether anything was left out of its text or its data."""
    found = media.told(tuple(came.files.values()))
    outputs, is_cut = await shortening.aside(came.outputs, shortening.shortened, came.outputs)
    lines = [_line(number, output, len(outputs)) for number, output in enumerate(outputs, 1)]
    told = {**data, "outputs": outputs, "files": [answers.about(item, came.saved) for item in found]}
    shown = await previews.of(found, call.fal()) if call.shows_previews else previews.Seen()
    notes = (*await shortening.aside(came.outputs, media.oddities, came.outputs), *shown.notes)
    if len(came.files) > len(found):
        notes = (*notes, f"{len(came.files):,} files came out; {len(found)} of them are told here.")
    text = "\n".join([note, *lines])
    outcome = Outcome(data=told, media=found, note=text, previews=shown.previews, is_plain=True)
    return outcome.with_notes(notes), is_cut or any(line.endswith("…") for line in lines)


def _line(number: int, output: object, count: int) -> str:
    return f"{number}: {one_line(dumped(output), max(_ROOM // count, _LONGEST_LINE))}"
