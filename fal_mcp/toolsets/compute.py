"""GPU machines: starting one with its price said first, and waiting until it can be logged into. Fact F9."""

import time
from collections.abc import Mapping
from typing import Any, Literal

import anyio
from pydantic import Field

from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.jobs.job import Job, Order, costs_nothing
from fal_mcp.jobs.kept_errors import said
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function, pages
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform

_H100_HOUR = 1.89
"""USD for each GPU, as published on 2026-05-25 (fact F11): the lowest price and no bound. The API names none."""
_GPUS: Mapping[str, int] = {"gpu_1x_h100_sxm5": 1, "gpu_8x_h100_sxm5": 8}
_POLL_SECONDS = 5.0
_MAY_RUN = (
    "It may run and cost money: list_instances shows it. Look there before you repeat it; the same call again within "
    "nine minutes starts no other one."
)
_AGAIN = " It is the one that was asked for before, whose start was not answered."
_REMEMBERED = 540.0
"""Seconds: fal gives its first answer to an idempotency key again for ten minutes, and its clock may be ahead."""
_LOOKED_BACK = 86_400.0
# "unknown" is a state too, and none that a machine ends in.
_COMING = frozenset({"init", "pending", "provisioning", "unknown"})


class CreateArguments(Arguments):
    instance_type: Literal["gpu_1x_h100_sxm5", "gpu_8x_h100_sxm5"] = Field(description="One H100, or eight.")
    ssh_key: str = Field(
        min_length=1, max_length=8000, pattern=r"^(ssh-|ecdsa-|sk-)", description="The public key that may log in."
    )
    sector: Literal["sector_1", "sector_2", "sector_3"] | None = Field(
        None, description="The InfiniBand network, for machines that work together; eight H100s only."
    )
    seconds: float = Field(50, ge=0, le=900, description="How long to wait until it is ready, at most.")


class WaitArguments(Arguments):
    id: str = Field(min_length=1, max_length=120, pattern=r"^[\w-]+$", description="The instance's id.")
    seconds: float = Field(50, ge=0, le=900, description="How long to wait, at most.")


def tools() -> list[Tool]:
    """The compute tools that are more than one request."""
    return [
        from_function.tool(
            CreateArguments,
            _create,
            name="create_instance",
            title="Start a GPU machine",
            description="Starts a machine of one or eight H100s, which costs by the hour until it is deleted: from "
            f"{_H100_HOUR:g} USD for each GPU. The user is asked first. Waits and gives the ssh command. Needs "
            "FAL_ADMIN_KEY.",
            effect="spends",
            key="admin",
        ),
        from_function.tool(
            WaitArguments,
            _wait,
            name="wait_for_instance",
            title="Wait for a GPU machine",
            description="Waits, with progress, until a machine is ready, and gives the ssh command. Needs "
            "FAL_ADMIN_KEY.",
            effect="reads",
            key="admin",
        ),
    ]


async def _create(arguments: CreateArguments, call: Call) -> Outcome:
    given = arguments.model_dump(exclude={"seconds"}, exclude_none=True)
    hourly = _H100_HOUR * _GPUS[arguments.instance_type]
    note = f"from {hourly:.4g} USD an hour until it is deleted; the first hour is counted"
    order = Order(f"compute/{arguments.instance_type}", given, call.owner, hourly, note, way="compute")
    job, is_again = await _begun(order, call)
    try:
        # By the row's own name, which outlives this server: asked for again with it, fal starts no second machine.
        instance = await _object("createComputeInstance", given, call, job.job_id)
    except FalError as error:
        # An answer that did not come says nothing of the machine: it may run, and every hour costs. Nor does a refusal
        # now say what became of it the first time.
        is_open = is_again or not costs_nothing(error)
        await call.jobs.note(job, state="unknown" if is_open else "failed", error=said(error))
        if is_open:
            error.retryable, error.hint = False, _MAY_RUN
        raise
    except BaseException:
        await call.jobs.note_at_the_end(job, state="unknown")
        raise
    await call.jobs.note(job, state="completed", output=instance)
    costs = f"It costs {note}: delete_instance ends that.{_AGAIN if is_again else ''}"
    try:
        return _told(await _ready(instance, arguments.seconds, call), costs)
    except FalError as error:
        # It runs and costs, whatever became of looking at it.
        return _told(instance, f"{error.message} {costs}")


async def _begun(order: Order, call: Call) -> tuple[Job, bool]:
    """Ask the user, whatever the settings say: a machine costs until somebody ends it. The job, and whether it is an
    earlier one whose start was not answered."""
    ledger = call.jobs.ledger
    earlier = await _unanswered(order, call)
    ago = ledger.now() - earlier.created if earlier else 0.0
    is_again = earlier is not None and earlier.digest == order.digest and 0 <= ago < _REMEMBERED
    question = f"Start {order.endpoint_id.removeprefix('compute/')}, {order.price_note}?"
    if is_again:
        question += " It was asked for a moment ago, and fal did not answer; this starts no second one."
    elif earlier is not None:
        question += f" One that was asked for {max(ago, 0) / 60:.0f} minutes ago was not answered and may run already."
    await call.approve(question, way_out="Ask the user to start it at https://fal.ai/dashboard/compute.")
    if earlier is not None and is_again:
        return earlier, True
    return await ledger.begin(order, call.jobs.limits), False


async def _unanswered(order: Order, call: Call) -> Job | None:
    """The newest start of this owner's of such a machine of which nobody knows what became of it."""
    ledger = call.jobs.ledger
    since = ledger.now() - _LOOKED_BACK
    for job in await ledger.listed(order.owner, endpoint_id=order.endpoint_id, since=since):
        # Another call may be about to have its answer: what a server that lives has begun is none of ours.
        is_left = job.state == "intent" and job.session != ledger.session and await ledger.claim(job) is not None
        if job.state == "unknown" or is_left:
            return job
    return None


async def _wait(arguments: WaitArguments, call: Call) -> Outcome:
    instance = await _object("getComputeInstance", {"id": arguments.id}, call)
    return _told(await _ready(instance, arguments.seconds, call), "")


async def _ready(instance: JsonObject, seconds: float, call: Call) -> JsonObject:
    began = time.monotonic()
    # What is there when the time is up is the answer: the machine is begun either way.
    with anyio.move_on_after(min(seconds, call.wait)):
        # Ready may come before the address, and without that nobody can log in.
        while instance.get("status") in _COMING or (instance.get("status") == "ready" and not instance.get("ip")):
            await call.say(f"{instance['status']} ({time.monotonic() - began:.0f} s)")
            await anyio.sleep(_POLL_SECONDS)
            instance = await _object("getComputeInstance", {"id": instance["id"]}, call)
    return instance


async def _object(
    operation_id: str, arguments: JsonMapping, call: Call, idempotency_key: str | None = None
) -> JsonObject:
    operation = platform.operations()[operation_id]
    answer: Any = await pages.send(operation, arguments, call, idempotency_key=idempotency_key)
    if not isinstance(answer.get("id"), str):
        raise ServiceFailed("fal's answer names no instance.", hint="list_instances shows what there is.")
    return answer


def _told(instance: JsonObject, costs: str) -> Outcome:
    name, ip = one_line(instance["id"], 80), instance.get("ip")
    status = one_line(str(instance.get("status")), 40)
    if status == "ready" and isinstance(ip, str):
        # fal's API does not say whom to log in as.
        command = f"ssh ubuntu@{one_line(ip, 60)}"
        note = f"{name} is ready: {command} (fal names no user; try root if ubuntu is none)."
        return Outcome(data={**instance, "ssh": command}, note=f"{note} {costs}".strip(), is_plain=True)
    note = f"{name} is {status}; call wait_for_instance with its id." if status in _COMING else f"{name} is {status}."
    return Outcome(data=instance, note=f"{note} {costs}".strip(), is_plain=True)
