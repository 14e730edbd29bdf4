"""A run through fal's queue: asked about where money says so, begun or joined, and waited for."""

from collections.abc import Mapping
from typing import Any

from fal_mcp.catalog import price
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.price import Quote
from fal_mcp.jobs.job import Job, Order
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files
from fal_mcp.runs.call import Call

_RANDOM = ("seed", "noise_seed")


async def run_endpoint(
    endpoint: Endpoint,
    arguments: Mapping[str, Any],
    call: Call,
    *,
    is_fresh: bool = False,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    wait: float | None = None,
    save_to: str | None = None,
) -> Outcome:
    """Run an endpoint for one call: ask where money says so, begin, wait as long as the call may, answer.

    Raises:
        FalError: it was refused, or failed.
    """
    # Opening the way to fal is what finds a missing key, before anything is written down.
    call.fal().need_key()
    arguments = await input_files.put_up(endpoint, arguments, call)
    quoted = await quote(endpoint, arguments, call)
    order = order_of(endpoint, arguments, call.owner, quoted, is_fresh=is_fresh, headers=headers, query=query)
    await approved(order, call)
    started = call.jobs.start(order)
    call.began(started.job.job_id)
    job = await call.jobs.wait(started.job, call.wait if wait is None else min(wait, call.wait), call.tell)
    answer = await answers.outcome(job, call, save_to=save_to)
    return answer.with_notes((_joined(job),)) if started.is_joined else answer


async def quote(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call) -> Quote:
    """What a call is thought to cost. fal is asked only where a limit makes it matter."""
    limits = call.jobs.limits
    if limits.are_set or limits.approve_over is not None:
        return await call.prices.quote(endpoint, arguments, call.fal())
    return price.quote(endpoint, arguments)


def order_of(endpoint: Endpoint, arguments: Mapping[str, Any], owner: str, quoted: Quote, **options: Any) -> Order:
    """What is to be run, with what it is thought to cost."""
    random = [name for name in _RANDOM if name in endpoint.input_schema.get("properties", {})]
    return Order(
        endpoint_id=endpoint.endpoint_id,
        arguments=dict(arguments),
        owner=owner,
        price=quoted.amount,
        price_note=quoted.note,
        is_repeatable=not random or any(arguments.get(name) is not None for name in random),
        **options,
    )


async def approved(order: Order, call: Call) -> None:
    """Ask the user where the settings say so.

    Raises:
        BudgetExceeded: they did not approve.
    """
    limit = call.jobs.limits.approve_over
    if limit is None:
        return
    if order.price is None and not call.jobs.limits.allow_unpriced:
        await call.approve(f"Run {order.endpoint_id}? What it costs is not known: {order.price_note}.")
    elif order.price is not None and order.price > limit:
        await call.approve(f"Run {order.endpoint_id} for about {order.price:.4g} USD ({order.price_note})?")


def _joined(job: Job) -> str:
    return (
        f"the same was asked for a moment ago, so this is that job, and nothing was paid twice; run_model with fresh: "
        f"true runs {job.endpoint_id} again"
    )
