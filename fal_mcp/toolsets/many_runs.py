"""Runs that belong together: one quote and one approval for all of them, begun at once, each a job of its own."""

import logging
import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.jobs import cost
from fal_mcp.jobs.job import Job, Order
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files, with_queue
from fal_mcp.runs.call import Call

# What a run's row tells; the rest is get_job's, by its job id.
_TOLD = ("status", "job_id", "files", "cost")
logger = logging.getLogger("fal_mcp")


class Run:
    """One of the runs. Whatever goes wrong with it is its own: it is said, and its brothers go on."""

    def __init__(self, endpoint: Endpoint, order: Order) -> None:
        self.endpoint = endpoint
        self.order = order
        self.job: Job | None = None
        self.answer: Outcome | FalError | None = None

    @property
    def job_id(self) -> str | None:
        return self.job.job_id if self.job else None

    async def put_up(self, call: Call) -> None:
        """Put its files on fal's CDN."""
        with self._alone():
            ready = await input_files.put_up(self.endpoint, self.order.arguments, call)
            self.order = replace(self.order, arguments=ready)

    async def run(self, call: Call, deadline: float) -> None:
        """Begin it and wait for it, until `deadline` by `time.monotonic`."""
        if self.answer is not None:
            return
        with self._alone():
            started = await call.jobs.start(self.order)
            self.job = started.job
            call.takes(started)
            seconds = max(deadline - time.monotonic(), 0)
            self.job = await call.jobs.wait(started.job, seconds, call.tell, is_its_call=not started.is_joined)
            self.answer = await answers.outcome(self.job, call, is_shown=False)

    @contextmanager
    def _alone(self) -> Generator[None]:
        try:
            yield
        except FalError as error:
            self.answer = error
        except Exception:
            logger.exception("A run of several failed (job %s).", self.job_id)
            self.answer = ServiceFailed("It failed inside this server; its log has the details.", retryable=False)


async def order(endpoint: Endpoint, arguments: JsonMapping, call: Call, **options: Any) -> Order:
    """What is to be run, with what it is thought to cost."""
    quoted = await with_queue.quote(endpoint, arguments, call)
    return with_queue.order_of(endpoint, arguments, call, quoted, **options)


async def approved(orders: Sequence[Order], call: Call) -> None:
    """Refuse the whole where the whole is over a limit, and ask once about the whole.

    Raises:
        BudgetExceeded, NotRecorded: nothing was begun.
    """
    limits = call.jobs.limits
    await call.jobs.check(list(orders))
    if limits.approve_over is None:
        return
    unknown = [one for one in orders if one.price is None]
    usd = math.fsum(one.price or 0.0 for one in orders)
    if usd > limits.approve_over or (unknown and not limits.allow_unpriced):
        more = f" and {len(unknown)} runs whose price is not known" if unknown else ""
        await call.approve(f"Run {len(orders)} jobs on fal for about {usd:.4g} USD{more}{_each(orders)}?")


async def run(runs: Sequence[Run], call: Call) -> None:
    """Begin them all, and wait for them as long as the call may."""
    deadline = time.monotonic() + call.wait
    # One after the other: a file that several runs take goes up once.
    for one in runs:
        await one.put_up(call)
    # All at once, as fal queues what is too many; the waiting is bounded by the call's own.
    async with anyio.create_task_group() as tasks:
        for one in runs:
            tasks.start_soon(one.run, call, deadline)


def total(runs: Sequence[Run]) -> tuple[float | None, str]:
    """What they cost together in USD as far as that is known, and the words for it."""
    # What is billed by its time comes to something else than was thought, once it has run.
    prices = [run.job.price if run.job else run.order.price for run in runs]
    known = [price for price in prices if price is not None]
    unknown = len(runs) - len(known)
    usd = cost.dollars(sum(cost.micro(price) or 0 for price in known))
    return usd, f"about {usd:.4g} USD" + (f", and {unknown} whose price is not known" if unknown else "")


def row(run: Run) -> JsonObject:
    """How a run stands, in a few facts."""
    answer = run.answer
    if isinstance(answer, Outcome):
        names = _TOLD if answer.data["status"] == "completed" else (*_TOLD, "request_id")
        return {name: value for name in names if (value := answer.data.get(name)) not in (None, [])}
    # A run that is begun is told by its job, whatever became of looking at it.
    error = answer or FalError("It was not begun.")
    faults = "; ".join(f"{fault.path}: {fault.message}" for fault in error.faults)
    facts = {
        "status": "failed",
        "error": f"{error.message} {faults}".strip(),
        "job_id": run.job_id,
        "request_id": error.request_id,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return {**known, "retryable": error.retryable, "hint": error.hint}


def _each(orders: Sequence[Order]) -> str:
    """What each of several models costs; nothing where all are of one."""
    if len({one.endpoint_id for one in orders}) < 2:
        return ""
    prices = ["not known" if one.price is None else f"{one.price:.4g}" for one in orders]
    return f" ({', '.join(f'{one.endpoint_id} {price}' for one, price in zip(orders, prices, strict=True))})"
