"""Paid work over MCP: bounded waits, cancels, the same call twice, budgets, approval. Both protocol eras."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "a red bicycle", "seed": 7, "image_size": {"width": 1000, "height": 1000}}
BOUND = 20
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"data": tmp_path / "data", **changes})
        return Client(app.build(chosen), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def test_a_long_run_answers_with_its_job_and_waiting_gives_its_result(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.2) as client:
            pending = await client.call_tool(TOOL, ARGUMENTS)
            job_id = pending.structured_content["job_id"]
            still = await client.call_tool("wait_for_job", {"job_id": job_id, "seconds": 0.1})
            (job,) = fal.jobs.values()
            job.release()
            done = await client.call_tool("wait_for_job", {"job_id": job_id})
            again = await client.call_tool("get_job", {"job_id": job_id})
    assert not pending.is_error and pending.structured_content["status"] == "in_progress"
    assert pending.structured_content["state"] == still.structured_content["state"] == "running"
    assert f"wait_for_job with job_id {job_id!r}" in text(pending)
    assert done.structured_content["output"]["seed"] == 7 and done.structured_content == again.structured_content
    assert len(fal.jobs) == 1


async def test_an_unknown_job_is_not_found(host: Host):
    async with host() as client:
        result = await client.call_tool("get_job", {"job_id": "job_" + "0" * 32})
    assert result.is_error and result.structured_content["error"]["kind"] == "NotFound"


async def test_a_failed_job_says_the_same_whenever_it_is_asked(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(failure=Failure(500, {"detail": "CUDA out of memory"})))
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await client.call_tool(TOOL, ARGUMENTS)
            listed = await client.call_tool("list_jobs", {"status": "failed"})
            (row,) = listed.structured_content["jobs"]
            second = await client.call_tool("get_job", {"job_id": row["job_id"]})
    assert first.is_error and second.is_error and "CUDA out of memory" in text(first)
    assert first.structured_content["error"]["message"] == second.structured_content["error"]["message"]


async def test_the_same_call_while_it_runs_joins_it_and_fresh_insists(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.2) as client:
            first = await client.call_tool(TOOL, ARGUMENTS)
            joined = await client.call_tool(TOOL, dict(reversed(ARGUMENTS.items())))
            fresh = await client.call_tool(
                "run_model", {"endpoint_id": ENDPOINT, "arguments": ARGUMENTS, "fresh": True}
            )
            other = await client.call_tool(TOOL, {**ARGUMENTS, "seed": 8})
    ids = [one.structured_content["job_id"] for one in (first, joined, fresh, other)]
    assert ids[0] == ids[1] and len(set(ids)) == 3 and len(fal.jobs) == 3
    assert "nothing was paid twice" in text(joined)


async def test_two_calls_that_leave_the_seed_to_chance_are_two(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.1) as client:
            await client.call_tool(TOOL, {"prompt": "x"})
            await client.call_tool(TOOL, {"prompt": "x"})
    assert len(fal.jobs) == 2


async def test_a_call_that_is_repeated_after_it_broke_off_gets_the_same_job(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, TOOL, {"prompt": "x"})
                    await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
                    await anyio.sleep(0.1)
                    scope.cancel()
            (job,) = fal.jobs.values()
            await fal.until(lambda: True)
            job.release()
            again = await client.call_tool(TOOL, {"prompt": "x"})
    assert not again.is_error and len(fal.jobs) == 1 and "paid twice" in text(again)


async def test_a_cancelled_call_cancels_at_fal_while_it_waits(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, TOOL, ARGUMENTS)
                    await fal.until(lambda: any(call.path.endswith("/stream") for call in fal.calls))
                    scope.cancel()
            await fal.until(lambda: all(job.cancelled for job in fal.jobs.values()))


async def test_cancel_job_says_what_fal_said(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.1) as client:
            pending = await client.call_tool(TOOL, ARGUMENTS)
            job_id = pending.structured_content["job_id"]
            cancelled = await client.call_tool("cancel_job", {"job_id": job_id})
            ended = await client.call_tool("wait_for_job", {"job_id": job_id})
            again = await client.call_tool("cancel_job", {"job_id": job_id})
    assert cancelled.structured_content["fal_said"] == "requested" and "costs nothing" in text(cancelled)
    assert ended.is_error and ended.structured_content["error"]["error_type"] == "client_cancelled"
    assert again.structured_content["fal_said"] == "already completed"


async def test_on_disconnect_cancel_stops_a_running_job_too(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(on_disconnect="cancel") as client:
            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, TOOL, ARGUMENTS)
                    await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
                    scope.cancel()
            await fal.until(lambda: all(job.cancelled for job in fal.jobs.values()))


async def test_what_a_run_would_cost_and_what_it_cost_are_said(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(daily_budget=1.0) as client:
            asked = {"endpoint_id": ENDPOINT, "arguments": ARGUMENTS, "count": 4}
            before = await client.call_tool("estimate_cost", asked)
            ran = await client.call_tool(TOOL, ARGUMENTS)
            listed = await client.call_tool("list_jobs", {})
    assert before.structured_content["usd"] == 0.1 and "1 USD are left of the day budget" in text(before)
    assert ran.structured_content["cost"]["usd"] == 0.025 and "about 0.025 USD" in text(ran)
    assert listed.structured_content["spent_today_usd"] == 0.025


@pytest.mark.parametrize("setting", ["max_cost", "session_budget", "daily_budget"])
async def test_a_call_over_a_limit_is_refused_before_anything_is_sent(fal: Emulator, host: Host, setting: str):
    with anyio.fail_after(BOUND):
        async with host(**{setting: 0.02}) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            unpriced = await client.call_tool("fal-ai_triposr", {"image_url": "https://e.x/a.png"})
    assert result.is_error and f"--{setting.replace('_', '-')} is 0.02 USD" in text(result)
    assert unpriced.is_error and "--allow-unpriced" in text(unpriced)
    assert fal.jobs == {}


async def test_calls_at_once_cannot_slip_under_a_budget_together(fal: Emulator, host: Host):
    results: list[types.CallToolResult] = []
    with anyio.fail_after(BOUND):
        async with host(session_budget=0.1) as client:

            async def one(seed: int) -> None:
                results.append(await client.call_tool(TOOL, {**ARGUMENTS, "seed": seed}))

            async with anyio.create_task_group() as tasks:
                for seed in range(20):
                    tasks.start_soon(one, seed)
    assert len(fal.jobs) == 4 == sum(not result.is_error for result in results)


@pytest.mark.parametrize(
    ("action", "content", "runs"),
    [("accept", {"approve": True}, 1), ("accept", {"approve": False}, 0), ("decline", None, 0), ("cancel", None, 0)],
)
async def test_the_user_is_asked_about_what_costs_more(fal: Emulator, host: Host, action: Any, content: Any, runs: int):
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action=action, content=content)

    with anyio.fail_after(BOUND):
        async with host(answer, approve_over=0.01) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert asked == ["Run fal-ai/flux/dev for about 0.025 USD (1 megapixel, at $0.025 per megapixel)?"]
    assert len(fal.jobs) == runs and result.is_error is (runs == 0)


async def test_a_client_that_cannot_ask_gets_the_price_and_the_setting(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(approve_over=0.01) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert result.is_error and "0.025 USD" in text(result) and "--approve-over" in text(result)
    assert fal.jobs == {}


async def test_a_lost_submit_is_found_in_fals_records_and_not_sent_again(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(submit_drop=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and result.structured_content["output"]["seed"] == 7
    assert len(fal.jobs) == 1


async def test_fal_is_asked_for_a_price_the_catalog_has_not(fal: Emulator, host: Host):
    """This account's price first, then what calls cost so far; what cannot be priced is said."""
    picture = {"image_url": "https://e.x/a.png"}
    fal.prices["fal-ai/triposr"] = (0.07, "requests")
    fal.prices["clarityai/crystal-upscaler"] = (0.001, "compute seconds")
    fal.past_prices["clarityai/crystal-upscaler"] = 0.02
    with anyio.fail_after(BOUND):
        async with host(max_cost=0.05) as client:
            over = await client.call_tool("fal-ai_triposr", picture)
            under = await client.call_tool("clarityai_crystal-upscaler", picture)
            asked = {"endpoint_id": "fal-ai/birefnet/v2", "arguments": picture}
            unknown = await client.call_tool("estimate_cost", asked)
    assert over.is_error and "0.07 USD" in text(over)
    assert under.structured_content["cost"]["usd"] == 0.02 and "on average" in under.structured_content["cost"]["note"]
    assert unknown.structured_content["usd"] is None and "cannot be priced" in text(unknown)


async def test_what_fal_billed_takes_the_estimates_place_where_an_admin_key_allows(fal: Emulator, host: Host):
    fal.admin_keys.add("admin:key")
    fal.past_prices[ENDPOINT] = 0.021
    with anyio.fail_after(BOUND):
        async with host(admin_key="admin:key") as client:
            ran = await client.call_tool(TOOL, ARGUMENTS)
            later = await client.call_tool("get_job", {"job_id": ran.structured_content["job_id"]})
            listed = await client.call_tool("list_jobs", {})
    assert ran.structured_content["cost"]["usd"] == 0.025 and ran.structured_content["cost"]["is_estimate"]
    assert later.structured_content["cost"] == {"usd": 0.021, "is_estimate": False, "note": "billed by fal"}
    assert listed.structured_content["spent_today_usd"] == 0.021
    asked = [call for call in fal.calls if call.path.endswith("/billing-events")]
    assert [call.headers["authorization"] for call in asked] == ["Key admin:key"]
    assert all(call.headers.get("authorization") != "Key admin:key" for call in fal.calls if call not in asked)


async def test_a_link_that_died_is_said_to_be_dead(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, ARGUMENTS)
            job_id = ran.structured_content["job_id"]
            alive = await client.call_tool("get_job", {"job_id": job_id})
            fal.files.clear()
            dead = await client.call_tool("get_job", {"job_id": job_id})
    assert "gone" not in alive.structured_content
    assert dead.structured_content["gone"] == [ran.structured_content["files"][0]["url"]] and "dead" in text(dead)


@pytest.mark.parametrize("has_payloads", [True, False])
async def test_a_lost_submit_is_told_by_its_digest_where_arguments_are_not_kept(
    fal: Emulator, host: Host, has_payloads: bool
):
    """A request whose arguments fal does not tell is nobody's: it is never taken for ours."""
    fal.script(ENDPOINT, Script(submit_drop=True, keeps_payloads=has_payloads))
    with anyio.fail_after(BOUND):
        async with host(records_arguments=False) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert result.is_error is not has_payloads and len(fal.jobs) == 1
