"""Workflows over MCP, in both eras: typed, priced step by step, told step by step, and made of a chain that worked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.emulator import Emulator, Failure, Reply, Script
from fal_mcp.server import app

BOUND = 60
SETS = (*TOOLSETS, *MORE_TOOLSETS)
STEPS: list[dict[str, Any]] = [
    {"endpoint_id": "fal-ai/flux/dev", "arguments": {"prompt": "a lighthouse", "image_size": "square_hd"}},
    {"endpoint_id": "fal-ai/birefnet/v2", "arguments": {"image_url": "$1.images[0].url"}},
    {"endpoint_id": "clarityai/crystal-upscaler", "arguments": {"image_url": "$2.image.url"}},
    {
        "endpoint_id": "fal-ai/nano-banana-pro/edit",
        "arguments": {"prompt": "at night", "image_urls": ["$3.images[0].url"]},
    },
    {
        "endpoint_id": "fal-ai/wan-25-preview/image-to-video",
        "arguments": {"prompt": "waves", "image_url": "$4.images[0].url", "duration": "5"},
    },
]
NODES = ["flux-dev", "birefnet-v2", "crystal-upscaler", "nano-banana-pro-edit", "wan-25-preview-image-to-video"]
PRICES = {
    "fal-ai/birefnet/v2": (0.01, "images"),
    "clarityai/crystal-upscaler": (0.02, "images"),
    "fal-ai/nano-banana-pro/edit": (0.15, "images"),
}
GIVEN = {"prompt": "a pier", "prompt_4": "in fog", "prompt_5": "gulls"}
TOTAL = 0.026215 + 0.01 + 0.02 + 0.15 + 0.25
TOOL = "workflows_emulator_harbour"
ID = "workflows/emulator/harbour"
RUN = {"username": "emulator", "workflow_name": "harbour", "arguments": GIVEN}
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, fal: Emulator, settings: Settings, tmp_path: Path) -> Host:
    fal.prices.update(PRICES)

    def client(asked: Any = None, **changes: Any) -> Client:
        chosen = {"toolsets": SETS, "listed": ("search",), "data": tmp_path / "data", **changes}
        return Client(
            app.build(replace(settings, **chosen)), mode=request.param, elicitation_callback=asked or _agreed([])
        )

    return client


def _agreed(questions: list[str]) -> Any:
    async def agree(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        questions.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    return agree


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def _kept(client: Client, name: str = "harbour", **more: Any) -> types.CallToolResult:
    result = await client.call_tool("create_workflow", {"name": name, "title": "A harbour", "steps": STEPS, **more})
    assert not result.is_error, text(result)
    return result


async def test_a_chain_that_worked_is_kept_and_called(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            worked = await client.call_tool("run_chain", {"steps": STEPS})
            made = await _kept(client)
            typed, by_name = (made.structured_content[name] for name in ("call", "or_call"))
            first = await client.call_tool(typed["tool"], typed["arguments"])
            result = await client.call_tool(by_name["tool"], by_name["arguments"])
    assert not first.is_error, text(first)
    assert not worked.is_error, text(worked)
    assert made.structured_content["tool"] == TOOL and TOOL in text(made)
    assert made.structured_content["call"]["arguments"]["prompt"] == "a lighthouse" and "a lighthouse" in text(made)
    assert not result.is_error, text(result)
    assert result.structured_content["endpoint_id"] == "workflows/emulator/harbour"
    assert [file["kind"] for file in result.structured_content["files"]] == ["video"]
    assert [job.endpoint_id for job in fal.jobs.values()] == [step["endpoint_id"] for step in STEPS] * 3


async def test_five_steps_are_typed_priced_and_told_one_by_one(fal: Emulator, host: Host):
    lines: list[tuple[float, str]] = []
    questions: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        lines.append((progress, message or ""))

    with anyio.fail_after(BOUND):
        async with host(_agreed(questions), approve_over=0.4) as client:
            await _kept(client)
            wrong = await client.call_tool(TOOL, {**GIVEN, "prompt": 7})
            priced = await client.call_tool("estimate_cost", {"endpoint_id": ID, "arguments": GIVEN})
            read = await client.call_tool("get_model", {"endpoint_id": ID})
            result = await client.call_tool(TOOL, GIVEN, progress_callback=hear)
            jobs = await client.call_tool("list_jobs", {})
    assert wrong.is_error and "$.prompt" in text(wrong)
    assert priced.structured_content["usd"] == pytest.approx(TOTAL) and all(node in text(priced) for node in NODES)
    assert set(read.structured_content["arguments"]["properties"]) == set(GIVEN)
    assert not result.is_error, text(result)
    assert result.structured_content["cost"]["usd"] == pytest.approx(TOTAL)
    assert jobs.structured_content["spent_today_usd"] == pytest.approx(TOTAL)
    # What the user is asked names each step with its price.
    assert len(questions) == 1 and all(node in questions[0] for node in NODES)
    told = "\n".join(message for _, message in lines)
    for number, node in enumerate(NODES, 1):
        assert f"{number} of 5: {node}" in told
    for number, job in enumerate(list(fal.jobs.values())[:-1], 1):
        url = json.dumps(job.output).partition('"url": "')[2].partition('"')[0]
        assert f"{number} of 5: {NODES[number - 1]} is done: {url}"[:150] in told
    numbers = [number for number, _ in lines]
    assert numbers == sorted(set(numbers))


async def test_a_workflow_over_a_limit_is_not_sent(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(max_cost=0.4) as client:
            await _kept(client)
            refused = await client.call_tool("run_workflow", RUN)
    assert refused.is_error and "--max-cost" in text(refused) and fal.jobs == {}
    assert "nano-banana-pro-edit" in text(refused)


async def test_a_step_whose_price_nobody_knows_makes_the_whole_unpriced(fal: Emulator, host: Host):
    del fal.prices["fal-ai/birefnet/v2"]
    with anyio.fail_after(BOUND):
        async with host(max_cost=9.0) as client:
            await _kept(client)
            refused = await client.call_tool("run_workflow", RUN)
    assert refused.is_error and fal.jobs == {}
    assert "1 of its 5 steps is not known (birefnet-v2" in text(refused) and "the others come to" in text(refused)


async def test_a_run_that_takes_long_goes_on_by_itself_and_tells_what_is_done(fal: Emulator, host: Host):
    fal.script(STEPS[3]["endpoint_id"], Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=1.0) as client:
            await _kept(client)
            first = await client.call_tool("run_workflow", RUN)
            again = await client.call_tool("run_workflow", RUN)
            list(fal.jobs.values())[3].release()
            data = first.structured_content
            result = await client.call_tool("wait_for_job", {"job_id": data["job_id"]})
    assert data["status"] == "in_progress" and "wait_for_job" in text(first)
    assert [line.partition(":")[0] for line in data["steps"]] == NODES[:3]
    assert all(line in text(first) for line in data["steps"])
    # The same again while it runs is the same run.
    assert again.structured_content["job_id"] == data["job_id"]
    assert not result.is_error, text(result)
    assert result.structured_content["status"] == "completed" and len(fal.jobs) == 5


async def test_a_step_that_fails_is_named_and_what_was_made_before_is_told(fal: Emulator, host: Host):
    fal.script(STEPS[2]["endpoint_id"], Script(failure=Failure(422, {"detail": [{"msg": "too small"}]})))
    with anyio.fail_after(BOUND):
        async with host() as client:
            await _kept(client)
            result = await client.call_tool("run_model", {"endpoint_id": ID, "arguments": GIVEN})
            jobs = await client.call_tool("list_jobs", {})
    url = next(iter(fal.jobs.values())).output["images"][0]["url"]
    assert result.is_error and "3 of 5: crystal-upscaler failed" in text(result) and "too small" in text(result)
    assert url in text(result) and url in json.dumps(result.structured_content)
    assert jobs.structured_content["jobs"][0]["state"] == "failed" and len(fal.jobs) == 3


async def test_a_stream_that_breaks_off_is_not_paid_again_and_its_steps_are_had(fal: Emulator, host: Host):
    fal.script("workflows/emulator/harbour", Script(drop_stream_after=3))
    with anyio.fail_after(BOUND):
        async with host() as client:
            await _kept(client)
            result = await client.call_tool("run_workflow", RUN)
    assert not result.is_error, text(result)
    assert "broke off" in text(result) and "pay again" in text(result)
    # The second step was submitted when the line broke: what it made is fetched from the queue.
    made = [row["step"] for row in result.structured_content["output"]["steps"] if row.get("output")]
    assert made == NODES[:2] and len(fal.jobs) == 2


async def test_a_server_that_ends_loses_no_step(fal: Emulator, host: Host):
    fal.script(STEPS[1]["endpoint_id"], Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=1.0) as client:
            await _kept(client)
            first = await client.call_tool("run_workflow", RUN)
        fal.release()
        for job in fal.jobs.values():
            job.release()
        async with host() as client:
            result = await client.call_tool("wait_for_job", {"job_id": first.structured_content["job_id"]})
    assert not result.is_error, text(result)
    made = [row["step"] for row in result.structured_content["output"]["steps"] if row.get("output")]
    assert made == NODES[:2]


async def test_a_run_is_cancelled_with_the_step_that_runs(fal: Emulator, host: Host):
    fal.script(STEPS[1]["endpoint_id"], Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=1.0) as client:
            await _kept(client)
            first = await client.call_tool("run_workflow", RUN)
            job_id = first.structured_content["job_id"]
            cancelled = await client.call_tool("cancel_job", {"job_id": job_id})
            after = await client.call_tool("wait_for_job", {"job_id": job_id})
    assert not cancelled.is_error, text(cancelled)
    assert after.is_error and "cancelled" in text(after)
    assert [job.cancelled for job in fal.jobs.values()] == [False, True]


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ({"nodes": {"a": {"type": "run", "app": "x/y", "depends": ["b"]}, "b": {"depends": ["a"]}}}, "circle"),
        ({"nodes": 7, "schema": "none"}, ""),
        ({"nodes": {"a": 7, "b": {"type": "loop"}}, "schema": {"input": {"prompt": 7}}}, ""),
        ({"nodes": {"a": {"type": "run", "app": "nobody/nothing", "input": {}}}, "schema": {"input": []}}, ""),
        ({"nodes": {f"n{i}": {"type": "run", "app": "fal-ai/flux/dev"} for i in range(10_000)}}, ""),
    ],
)
async def test_odd_documents_run_unchecked_or_are_refused_with_a_sentence(
    fal: Emulator, host: Host, contents: Any, sentence: str
):
    odd = {"name": "odd", "title": "Odd", "user_nickname": "emulator", "contents": contents}
    fal.workflows["odd"] = {**fal.workflows["lighthouse"], **odd}
    with anyio.fail_after(BOUND):
        async with host() as client:
            asked = {"username": "emulator", "workflow_name": "odd", "arguments": {"prompt": "x"}}
            result = await client.call_tool("run_workflow", asked)
    assert "inside this server" not in text(result)
    if sentence:
        assert result.is_error and sentence in text(result)
        assert not [call for call in fal.calls if call.host_role == "run"]
    else:
        assert [call for call in fal.calls if call.host_role == "run"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "either steps or contents"),
        ({"steps": [{"endpoint_id": "fal-ai/flux/dev", "arguments": {"prompt": "$2.x"}}]}, "only the steps before"),
        ({"steps": STEPS[:1], "inputs": {"wish": "3.prompt"}}, "cannot lead to"),
    ],
)
async def test_a_chain_that_cannot_be_kept_is_refused(fal: Emulator, host: Host, arguments: Any, sentence: str):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("create_workflow", {"name": "no", "title": "No", **arguments})
    assert result.is_error and sentence in text(result) and "no" not in fal.workflows


async def test_own_workflows_are_listed_with_what_is_the_accounts_own(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(listed=("mine",)) as client:
            await _kept(client)
        # Few tools besides: the list comes in pages.
        async with host(listed=("mine",), toolsets=TOOLSETS) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools[TOOL].input_schema["properties"]) == set(GIVEN)
    assert "its 5 steps cost together" in (tools[TOOL].description or "")
    assert "workflows_emulator_lighthouse" in tools


@pytest.mark.parametrize(
    "told", [{}, {"workflow": {}}, {"workflow": {"name": "harbour"}}, {"workflow": {"user_nickname": 7}}]
)
async def test_what_fal_does_not_say_of_a_kept_workflow_is_not_made_up(fal: Emulator, host: Host, told: Any):
    """It is kept, and that is what was asked for; under whose name is told by the list."""
    fal.platform_replies["createWorkflow"] = Reply(200, told)
    with anyio.fail_after(BOUND):
        async with host() as client:
            made = await _kept(client)
    assert "workflows//" not in text(made) and "workflows//" not in json.dumps(made.structured_content)
    assert "list_workflows" in text(made) and "list_workflows" in json.dumps(made.structured_content)
