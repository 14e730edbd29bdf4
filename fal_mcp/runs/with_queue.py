"""A run through fal's queue: asked about where money says so, begun or joined, and waited for."""

from collections.abc import Mapping
from dataclasses import replace

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.price import Quote
from fal_mcp.jobs import cost
from fal_mcp.jobs.job import Job, Order
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import answers, input_files
from fal_mcp.runs.call import Call

_BY_THE_BILL = "its cost is the least that it can be; get_job tells it by the account's own bill"
_RANDOM = ("seed", "noise_seed")


async def run_endpoint(
    endpoint: Endpoint,
    arguments: JsonMapping,
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
    quoted = await quote(endpoint, arguments, call)
    order = order_of(endpoint, arguments, call, quoted, is_fresh=is_fresh, headers=headers, query=query)
    order = await ready(endpoint, order, call)
    started = await call.jobs.start(order)
    call.takes(started)
    seconds = call.wait if wait is None else min(wait, call.wait)
    # A call that only joined must not cancel what another one began.
    job = await call.jobs.wait(started.job, seconds, call.tell, is_its_call=not started.is_joined)
    answer = await answers.outcome(job, call, save_to=save_to)
    notes = (*((_joined(job),) if started.is_joined else ()), *unchecked(endpoint), *better_told(endpoint, call))
    return answer.with_notes(notes)


def unchecked(endpoint: Endpoint) -> tuple[str, ...]:
    """What an answer says of an endpoint whose arguments nobody checked."""
    return (endpoint.unchecked,) if endpoint.unchecked else ()


def better_told(endpoint: Endpoint, call: Call) -> tuple[str, ...]:
    """Who tells what a run cost, where its answer goes by a list price and the account's bill can be read."""
    known = call.prices.apps.known(endpoint)
    is_by_list = known is not None and known.rate is not None and not known.rate.is_bound
    return (_BY_THE_BILL,) if is_by_list and call.fal().requests.can_be_billed else ()


async def ready(endpoint: Endpoint, order: Order, call: Call) -> Order:
    """The order with its files on fal's CDN. They leave this machine only after the question about money: what is
    private is not put on a public host for a run that nobody wants to pay for.

    Raises:
        BudgetExceeded: it is over a limit, or the user did not approve.
        FalError: a file cannot be used or uploaded.
    """
    # Looked up before the user is asked: whoever gets a job that is paid for is not asked to pay for it.
    is_joined = await call.jobs.repeated(order) is not None
    if not is_joined:
        await call.jobs.check([order])
        await approved(order, call)
    arguments = await input_files.put_up(endpoint, order.arguments, call)
    # The order's digest changes with the addresses of its files; those are the same for the same file, so that it still
    # joins.
    return replace(order, arguments=arguments, is_only_joined=is_joined and call.jobs.limits.approve_over is not None)


async def quote(endpoint: Endpoint, arguments: JsonMapping, call: Call) -> Quote:
    """What a call is thought to cost. fal is asked only where a limit makes it matter."""
    limits = call.jobs.limits
    if limits.are_set or limits.approve_over is not None:
        return _sound(await call.prices.quote(endpoint, arguments, call.fal()))
    return _sound(await call.prices.known(endpoint, arguments))


def order_of(endpoint: Endpoint, arguments: JsonMapping, call: Call, quoted: Quote, **options: object) -> Order:
    """What is to be run, with what it is thought to cost."""
    # A model that draws at random without being given a seed: two calls of it are two wishes, and the second one is no
    # mistake.
    random = [name for name in _RANDOM if name in endpoint.input_schema.get("properties", {})]
    is_repeatable = not random or any(arguments.get(name) is not None for name in random)
    known: JsonObject = {"is_repeatable": is_repeatable, **_way(endpoint, options), **options}
    return Order(
        endpoint_id=endpoint.endpoint_id,
        arguments=dict(arguments),
        owner=call.owner,
        price=quoted.amount,
        price_note=quoted.reason,
        per_second=quoted.per_second,
        rate_note=quoted.rate_note,
        call_id=call.call_id,
        connection=call.connection,
        came=call.came,
        **known,
    )


def _way(endpoint: Endpoint, options: JsonMapping) -> JsonObject:
    # Only its stream tells of a workflow's steps. What asks something of the queue goes through the queue.
    if not endpoint.is_workflow or options.get("headers") or options.get("query"):
        return {}
    return {"way": "workflow", "steps": len(endpoint.steps)}


def _sound(quoted: Quote) -> Quote:
    """A quote that is money: one that is negative or not finite would lift every limit, and is none."""
    if quoted.amount is None or cost.micro(quoted.amount) is not None:
        return quoted
    return replace(quoted, amount=None, note=f"{quoted.note}, which comes to no price")


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
    # Written so that NaN asks: every comparison with it is false.
    elif order.price is not None and not order.price <= limit:
        await call.approve(f"Run {order.endpoint_id} for about {order.price:.4g} USD ({order.price_note})?")


def _joined(job: Job) -> str:
    return (
        f"the same was asked for a moment ago, so this is that job, and nothing was paid twice; run_model with fresh: "
        f"true runs {job.endpoint_id} again"
    )
