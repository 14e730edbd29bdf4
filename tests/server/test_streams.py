"""Runs without the queue, and the queue's options, over MCP in both eras."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.server import app

LLM, FLUX = "nvidia/nemotron-3-nano-omni", "fal-ai/flux/dev"
BOUND = 20
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def run(endpoint_id: str, mode: str, **options: Any) -> dict[str, Any]:
    return {"endpoint_id": endpoint_id, "arguments": {"prompt": "hello"}, "mode": mode, **options}


async def test_text_is_told_as_it_comes_and_the_last_event_is_the_result(fal: Emulator, host: Host):
    fal.script(LLM, Script(step_seconds=0.01))
    said: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, message or ""))

    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_model", run(LLM, "stream"), progress_callback=hear)
            listed = await client.call_tool("list_jobs", {})
    assert not result.is_error and result.structured_content["output"]["output"]
    assert ("The emulator made") in [message for _, message in said]
    assert [value for value, _ in said] == sorted({value for value, _ in said})
    assert listed.structured_content["jobs"][0]["state"] == "completed" and fal.jobs == {}


async def test_a_stream_that_breaks_off_gives_what_came_and_says_so(fal: Emulator, host: Host):
    """What came is paid for. Text and data each say that it is not the whole."""
    fal.script(LLM, Script(drop_stream_after=4))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_model", run(LLM, "stream"))
    assert "after 4 events" in text(result) and "The emulator made this" in text(result)
    assert any("after 4 events" in note for note in result.structured_content["notes"])


async def test_a_fast_model_runs_synchronously_in_one_request(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_model", run(FLUX, "sync"))
    assert not result.is_error and result.structured_content["files"][0]["kind"] == "image"
    assert [(call.method, call.host_role) for call in fal.calls] == [("POST", "run")]


async def test_limits_hold_for_them_too(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(max_cost=0.001) as client:
            result = await client.call_tool("run_model", run(FLUX, "sync"))
    assert result.is_error and "--max-cost" in text(result)
    assert not any(call.host_role == "run" for call in fal.calls)


async def test_the_queues_options_go_where_fal_wants_them(fal: Emulator, host: Host):
    """Fact F2.2 and F5: headers, and the webhook in the query and never in the body."""
    hook = "https://example.com/hook?a=b"
    options = {"priority": "low", "start_timeout_s": 30, "keep_nothing": True, "webhook_url": hook}
    options |= {"keep_files_s": 3600, "no_retry": True, "runner_hint": "warm-7"}
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_model", run(FLUX, "queue", **options))
    (submit,) = [call for call in fal.calls if call.method == "POST"]
    assert not result.is_error and result.structured_content["job_id"]
    assert submit.headers["x-fal-queue-priority"] == "low" and submit.headers["x-fal-store-io"] == "0"
    assert submit.headers["x-fal-request-timeout"] == "30" and submit.headers["x-fal-no-retry"] == "1"
    assert submit.headers["x-fal-runner-hint"] == "warm-7"
    assert json.loads(submit.headers["x-fal-object-lifecycle-preference"]) == {"expiration_duration_seconds": 3600}
    assert submit.query == "fal_webhook=https%3A%2F%2Fexample.com%2Fhook%3Fa%3Db"
    assert json.loads(submit.body) == {"prompt": "hello"}


async def test_what_only_the_queue_has_is_not_silently_dropped_without_it(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_model", run(FLUX, "sync", priority="low"))
    assert result.is_error and "the queue's" in text(result) and fal.calls == []
