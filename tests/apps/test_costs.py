"""What the account's own apps cost: estimated before, counted by their seconds after, held to limits where known."""

import re
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import unquote

import anyio
import httpx
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.emulator.script import Reply
from fal_mcp.json_values import JsonObject
from fal_mcp.server import app
from tests.apps import made
from tests.apps.test_own_apps import ADMIN
from tests.apps.test_resolution import asked, called

APP = "emulator/drawing"
RUN = {"endpoint_id": APP, "arguments": {"prompt": "x"}}
RATE = 0.0008
"""USD that the emulator bills for a second of one H100."""
Mode = Literal["auto", "legacy"]


@pytest.fixture
def drawing(fal: Emulator) -> Emulator:
    """An app that ran a hundred times, from 0.04 to 4 seconds, and was billed for twice as many."""
    fal.apps.clear()
    fal.admin_keys.add(ADMIN)
    fal.deploy(APP, made.document("Routes"))
    fal.own_apps.runs[APP] = [number / 25 for number in range(1, 101)]
    fal.own_apps.idle[APP] = sum(fal.own_apps.runs[APP])
    fal.script(APP, Script(steps=2, step_seconds=0.05))
    return fal


def host(settings: Settings, mode: Mode = "auto", **changes: Any) -> Client:
    return Client(app.build(replace(settings, admin_key=ADMIN, **changes)), mode=mode)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_run_is_estimated_by_what_the_account_was_billed(drawing: Emulator, settings: Settings, mode: Mode):
    async with host(settings, mode) as client:
        text, data = await called(client, "estimate_cost", **RUN)
        card, about = await called(client, "get_model", endpoint_id=APP)
    # A second of running was billed as two.
    assert data["estimated_usd"] == pytest.approx(2 * RATE * 2.04, rel=1e-3)
    assert data["usd"] == pytest.approx(2 * RATE * 4.0) and data["is_bounded"]
    said = "estimated: GPU-H100 at $0.0016 a second of running (as billed to this account), typically for 2.04 s (p95"
    assert said in text and said in card and about["price"]["estimated_usd"] == pytest.approx(data["estimated_usd"])


async def test_two_gpus_are_paid_twice(drawing: Emulator, settings: Settings):
    """How many an app has is told nowhere; that they were billed is."""
    drawing.own_apps.gpus[APP] = 2
    async with host(settings) as client:
        _, data = await called(client, "estimate_cost", **RUN)
    assert data["usd"] == pytest.approx(4 * RATE * 4.0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_without_the_accounts_rate_it_is_shown_and_counts_as_unpriced(
    drawing: Emulator, settings: Settings, mode: Mode
):
    async with host(settings, mode, max_cost=100.0) as client:
        drawing.platform_replies["serverlessGetUsage"] = Reply(403, {"error": {"type": "x", "message": "No admin."}})
        text, data = await called(client, "estimate_cost", **RUN)
        assert data["usd"] is None and data["estimated_usd"] == pytest.approx(2.04 * 1.89 / 3600, rel=1e-2)
        assert "at from $0.000525 a second for each GPU" in text and "counts it as unpriced: its bill cannot" in text
        text, data = await called(client, "run_model", **RUN)
    assert data["is_error"] and "about $0.00107, estimated" in text and not drawing.jobs


async def test_a_limit_counts_the_longest_run_and_then_what_it_came_to(drawing: Emulator, settings: Settings):
    async with host(settings, max_cost=2 * RATE * 4.0) as client:
        text, data = await called(client, "run_model", **RUN)
        assert data["status"] == "completed", text
        # It ran 0.1 s.
        assert data["cost"]["usd"] == pytest.approx(2 * RATE * 0.1) and data["cost"]["is_estimate"]
        assert "estimated: it ran 0.1 s; GPU-H100 at $0.0016 a second" in text
        _, jobs = await called(client, "list_jobs")
    assert jobs["spent_today_usd"] == pytest.approx(2 * RATE * 0.1)
    async with host(settings, max_cost=2 * RATE * 3.9) as client:
        text, data = await called(client, "run_model", **RUN)
    assert data["is_error"] and "--max-cost" in text and len(drawing.jobs) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": {}}, "no run of it is known since its last deploy, in 30 days at most, so no estimate"),
        ({"runs": {APP: [1.0] * 19}}, "it ran only 19 times"),
        ({"analytics": Reply(403, {"error": {"type": "x", "message": "Not yours."}})}, "cannot be read (Not yours"),
        ({"analytics": Reply(200, {})}, "so no estimate"),
        ({"analytics": Reply(200, [])}, "its run times cannot be read"),
        ({"analytics": Reply(200, {"summary": "x"})}, "so no estimate"),
        ({"usage": Reply(200, {"summary": [], "has_more": True, "next_cursor": "x"})}, "its bill cannot be read"),
    ],
)
async def test_what_cannot_be_told_is_said_and_refused(
    drawing: Emulator, settings: Settings, change: JsonObject, said: str
):
    drawing.own_apps.runs = change.get("runs", drawing.own_apps.runs)
    for name in ("analytics", "usage"):
        if reply := change.get(name):
            drawing.platform_replies[f"serverlessGet{name.capitalize()}"] = reply
    async with host(settings, max_cost=100.0) as client:
        text, data = await called(client, "estimate_cost", **RUN)
        assert data["usd"] is None and said in text, text
        text, data = await called(client, "run_model", **RUN)
        assert data["is_error"] and said in text and not drawing.jobs, text


async def test_a_deploy_makes_what_was_before_it_say_nothing(drawing: Emulator, settings: Settings):
    """It may have other machines now, or more of them."""
    drawing.apps[APP]["updated_at"] = "2026-11-20T12:00:00Z"
    server = app.build(replace(settings, admin_key=ADMIN))
    async with Client(server) as client:
        await called(client, "estimate_cost", **RUN)
        drawing.apps[APP]["updated_at"] = "2026-11-21T12:00:00Z"
        server.shared.deployed()
        await called(client, "estimate_cost", **RUN)
    periods = [one.query for one in drawing.calls if one.path.endswith(("/serverless/usage", "/serverless/analytics"))]
    starts = [re.search(r"start=([^T]+)T12:00:00Z", unquote(query)) for query in periods]
    assert [found and found[1] for found in starts] == ["2026-11-20"] * 2 + ["2026-11-21"] * 2
    assert all("bound_to_timeframe=false" in query for query in periods)


async def test_a_cold_start_is_named(drawing: Emulator, settings: Settings):
    drawing.own_apps.starts[APP] = 40.0
    async with host(settings) as client:
        for tool, given in (("estimate_cost", RUN), ("get_model", {"endpoint_id": APP})):
            text, _ = await called(client, tool, **given)
            assert "No runner is warm: the first call may take 40 s longer (p90 of past starts)" in text
        drawing.own_apps.warm.add(APP)
        text, _ = await called(client, "estimate_cost", **RUN)
        assert "No runner" not in text


async def test_a_cold_start_without_a_figure_has_none(drawing: Emulator, settings: Settings):
    async with host(settings) as client:
        text, _ = await called(client, "get_model", endpoint_id=APP)
    assert "No runner is warm: the first call may take a while: a runner has to start" in text


class Silent(httpx.AsyncHTTPTransport):
    """A way to fal on which reports of apps are never answered."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("/serverless/analytics", "/serverless/usage")):
            await anyio.sleep_forever()
        return await super().handle_async_request(request)


async def test_silence_about_costs_holds_an_estimate_up_for_five_seconds_and_a_run_not_at_all(
    drawing: Emulator, settings: Settings
):
    server = app.build(replace(settings, admin_key=ADMIN), Silent())
    async with Client(server) as client:
        await called(client, "search_models", query="my drawing app")
        _, data = await called(client, "run_model", **RUN)
        assert data["cost"]["usd"] == pytest.approx(0.1 * 1.89 / 3600, rel=0.02), "by the list price, asking nobody"
        began = anyio.current_time()
        text, _ = await called(client, "estimate_cost", **RUN)
        assert anyio.current_time() - began < 12 and "its run times did not come within 5 seconds" in text
        began = anyio.current_time()
        await called(client, "estimate_cost", **RUN)
        assert anyio.current_time() - began < 4, "once, not each time"


async def test_a_run_without_a_limit_asks_nothing_about_costs(drawing: Emulator, settings: Settings):
    async with host(settings) as client:
        await called(client, "run_model", **RUN)
    assert not [one for one in asked(drawing) if "serverless" in one]


@pytest.mark.parametrize("way", ["sync", "stream"])
async def test_a_run_without_the_queue_is_counted_by_its_seconds_too(drawing: Emulator, settings: Settings, way: str):
    async with host(settings, max_cost=1.0) as client:
        given: JsonObject = {**RUN, "mode": way}
        text, data = await called(client, "run_model", **given)
        assert not data["is_error"], text
        assert 0 < data["cost"]["usd"] < 1 and "estimated: it ran" in text
