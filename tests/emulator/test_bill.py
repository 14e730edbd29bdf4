"""The emulator's bill: what fal takes money for, and how much, by what came out."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
import websockets

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Reply, Script
from tests.conftest import KEY, UNKNOWN_KEY

FLUX, BANANA, VEO, SPEECH = (
    "fal-ai/flux/dev",
    "fal-ai/nano-banana",
    "fal-ai/veo3",
    "fal-ai/elevenlabs/tts/eleven-v3",
)
BOUND = 10
AUTH = {"authorization": f"Key {KEY}"}


@pytest.fixture
async def web() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers=AUTH, trust_env=False) as client:
        yield client


async def submit(web: httpx.AsyncClient, settings: Settings, endpoint_id: str, arguments: dict[str, Any]) -> Any:
    return (await web.post(f"{settings.hosts.queue}/{endpoint_id}", json=arguments)).json()


@pytest.mark.parametrize(
    ("endpoint_id", "arguments", "amount"),
    [
        (FLUX, {"prompt": "a cat", "image_size": {"width": 1000, "height": 1000}}, 0.025),
        (FLUX, {"prompt": "a cat", "image_size": "square_hd"}, 0.0262144),
        (FLUX, {"prompt": "a cat", "image_size": "square_hd", "num_images": 4}, 0.1048576),
        (FLUX, {"prompt": "a cat"}, 0.0196608),
        (BANANA, {"prompt": "a cat"}, 0.0398),
        (BANANA, {"prompt": "a cat", "num_images": 3}, 0.1194),
        ("fal-ai/bytedance/seedream/v4/text-to-image", {"prompt": "a cat", "num_images": 2, "max_images": 3}, 0.18),
        (VEO, {"prompt": "a cat", "duration": "6s"}, 2.4),
        (VEO, {"prompt": "a cat"}, 3.2),
        ("fal-ai/ovi", {"prompt": "a cat"}, 0.2),
    ],
)
async def test_a_completed_job_costs_its_price_times_what_came_out(
    fal: Emulator,
    settings: Settings,
    web: httpx.AsyncClient,
    endpoint_id: str,
    arguments: dict[str, Any],
    amount: float,
):
    with anyio.fail_after(BOUND):
        job = await submit(web, settings, endpoint_id, arguments)
        await fal.until(lambda: len(fal.bill) == 1)
    (charge,) = fal.bill
    assert (charge.request_id, charge.endpoint_id, charge.reason) == (job["request_id"], endpoint_id, "completed")
    assert charge.amount == pytest.approx(amount) and fal.total == charge.amount


async def test_a_price_of_this_account_wins_over_the_catalogs_and_an_unknown_one_is_not_invented(
    fal: Emulator, settings: Settings, web: httpx.AsyncClient
):
    fal.prices[FLUX] = (1.0, "images")
    fal.prices[BANANA] = (1.0, "compute seconds")
    with anyio.fail_after(BOUND):
        await submit(web, settings, FLUX, {"prompt": "a cat", "num_images": 2})
        await submit(web, settings, BANANA, {"prompt": "a cat"})
        await fal.until(lambda: len(fal.bill) == 2)
    assert [charge.amount for charge in fal.bill] == [2.0, None] and fal.total == 2.0


@pytest.mark.parametrize(
    ("script", "is_cancelled", "reason", "is_billed"),
    [
        (Script(), False, "completed", True),
        (Script(failure=Failure(500)), False, "failed on fal's side", False),
        (Script(failure=Failure(422, {"detail": "no"})), False, "refused", False),
        (Script(hold_in_queue=True), True, "cancelled in the queue", False),
        (Script(hold_running=True), True, "cancelled while it ran", True),
    ],
)
async def test_what_a_model_worked_on_is_billed_and_nothing_else(
    fal: Emulator,
    settings: Settings,
    web: httpx.AsyncClient,
    script: Script,
    is_cancelled: bool,
    reason: str,
    is_billed: bool,
):
    fal.script(BANANA, script)
    with anyio.fail_after(BOUND):
        job = await submit(web, settings, BANANA, {"prompt": "a cat"})
        if is_cancelled:
            state = "IN_PROGRESS" if script.hold_running else "IN_QUEUE"
            await fal.until(lambda: fal.jobs[job["request_id"]].state == state)
            await web.put(job["cancel_url"])
        await fal.until(lambda: len(fal.bill) == 1)
    (charge,) = fal.bill
    assert (charge.reason, charge.amount) == (reason, 0.0398 if is_billed else 0.0)


async def test_what_never_became_a_job_is_not_on_the_bill(fal: Emulator, settings: Settings, web: httpx.AsyncClient):
    await web.post(f"{settings.hosts.queue}/{BANANA}", json={}, headers={"authorization": f"Key {UNKNOWN_KEY}"})
    await submit(web, settings, "fal-ai/no-such-model", {"prompt": "a cat"})
    fal.script(BANANA, Script(submit=Reply(503, {"detail": "no"})))
    await submit(web, settings, BANANA, {"prompt": "a cat"})
    assert fal.bill == []


@pytest.mark.parametrize(
    ("path", "script", "reason", "amount"),
    [
        ("", Script(), "completed", 0.0398),
        ("/stream", Script(), "completed", 0.0398),
        ("/stream", Script(drop_stream_after=2), "broken off", 0.0398),
        ("", Script(failure=Failure(503)), "failed on fal's side", 0.0),
        ("/stream", Script(failure=Failure(422, {"detail": "no"})), "refused", 0.0),
    ],
)
async def test_runs_without_the_queue_are_billed_too(
    fal: Emulator, settings: Settings, web: httpx.AsyncClient, path: str, script: Script, reason: str, amount: float
):
    fal.script(BANANA, script)
    try:
        await web.post(f"{settings.hosts.run}/{BANANA}{path}", json={"prompt": "a cat"})
    except httpx.TransportError:
        assert script.drop_stream_after
    assert [(charge.reason, charge.amount) for charge in fal.bill] == [(reason, amount)]


async def test_arguments_that_are_refused_at_once_cost_nothing(
    fal: Emulator, settings: Settings, web: httpx.AsyncClient
):
    answer = await web.post(f"{settings.hosts.run}/{BANANA}", json={})
    assert answer.status_code == 422 and [(one.reason, one.amount) for one in fal.bill] == [("refused", 0.0)]


async def test_each_realtime_input_that_is_answered_is_billed(fal: Emulator, settings: Settings):
    url = settings.hosts.run.replace("http", "ws", 1)
    with anyio.fail_after(BOUND):
        async with websockets.connect(f"{url}/{BANANA}/realtime", additional_headers=AUTH, proxy=None) as line:
            for _ in range(2):
                await line.send('{"prompt": "a cat"}')
                await line.recv()
                await line.recv()
    assert [(charge.reason, charge.amount) for charge in fal.bill] == [("completed", 0.0398)] * 2


async def test_the_billing_events_are_the_bill(fal: Emulator, settings: Settings, web: httpx.AsyncClient):
    admin = "44444444-2222-4333-8444-555555555555:admin"
    fal.admin_keys.add(admin)
    fal.script(VEO, Script(failure=Failure(500)))
    with anyio.fail_after(BOUND):
        jobs = [await submit(web, settings, one, {"prompt": "a cat"}) for one in (BANANA, VEO)]
        await fal.until(lambda: len(fal.bill) == 2)
    await web.post(f"{settings.hosts.run}/{BANANA}", json={"prompt": "a cat", "num_images": 2})
    asked: dict[str, Any] = {"limit": 100}
    headers = {"authorization": f"Key {admin}"}
    events = (await web.get(f"{settings.hosts.api}/v1/models/billing-events", params=asked, headers=headers)).json()
    costs = {event["request_id"]: event["cost_total"] for event in events["billing_events"]}
    billed = {charge.request_id: charge.amount for charge in fal.bill if charge.amount}
    assert len(billed) == 2 and {name: costs[name] for name in billed} == billed
    assert jobs[1]["request_id"] not in costs
