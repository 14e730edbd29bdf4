"""What is made once and costs, or is told once: fal's answer is lost at any moment, and the same call is made again."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Reply
from fal_mcp.server import app
from tests.server import cut_off
from tests.server.cut_off import Deaf, yes

BOUND = 60
MACHINE: dict[str, Any] = {"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA", "seconds": 0}
KEY: dict[str, Any] = {"alias": "laptop"}
CONTENTS: dict[str, Any] = {
    **{"name": "pier", "version": "0.1", "output": {"image": "$a.images.0.url"}, "schema": {"input": {}, "output": {}}},
    "nodes": {"a": {"id": "a", "type": "run", "app": "fal-ai/flux/dev", "depends": [], "input": {}}},
}
WORKFLOW: dict[str, Any] = {"name": "pier", "title": "A pier", "contents": CONTENTS}
UNPROVEN = {
    "500": Reply(500, {"error": {"type": "server_error", "message": "Something went wrong"}}),
    "502": Reply(502, b"<html>bad gateway</html>"),
    "a proxy's 403": Reply(403, b"<html>forbidden</html>"),
    "a redirect": Reply(302, b"", {"location": "https://example.com"}),
    "a page": Reply(200, b"<html>hello</html>"),
    "nothing": Reply(200, b""),
    "null": Reply(200, b"null"),
}


@pytest.fixture
def here(fal: Emulator, settings: Settings, tmp_path: Path) -> Settings:
    fal.admin_keys.add(cut_off.ADMIN)
    url = settings.hosts.queue.removesuffix("/queue")
    return replace(cut_off.settings(url, tmp_path / "data"), models=settings.models)


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("answer", UNPROVEN)
@pytest.mark.parametrize(
    ("tool", "operation", "arguments", "look"),
    [
        ("create_key", "createApiKey", KEY, "list_keys"),
        ("create_instance", "createComputeInstance", MACHINE, "list_instances"),
        ("create_workflow", "createWorkflow", WORKFLOW, "It may have been done"),
    ],
)
async def test_what_proves_no_refusal_may_have_been_done_and_is_never_one_to_try_again(
    fal: Emulator, here: Settings, mode: Any, answer: str, tool: str, operation: str, arguments: Any, look: str
):
    fal.platform_replies[operation] = UNPROVEN[answer]
    with anyio.fail_after(BOUND):
        async with Client(app.build(here), mode=mode, elicitation_callback=yes) as client:
            result = await client.call_tool(tool, arguments)
            listed = await client.call_tool("list_jobs", {})
    error = result.structured_content["error"]
    assert result.is_error and (error["kind"], error["retryable"]) == ("MaybeReceived", False)
    assert look in text(result) and look in error["hint"]
    assert listed.structured_content["spent_today_usd"] == (1.89 if tool == "create_instance" else 0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_refusal_of_fals_own_is_one(fal: Emulator, here: Settings, mode: Any):
    refusal = {"error": {"type": "validation_error", "message": "No such sector"}}
    fal.platform_replies["createComputeInstance"] = Reply(400, refusal)
    with anyio.fail_after(BOUND):
        async with Client(app.build(here), mode=mode, elicitation_callback=yes) as client:
            result = await client.call_tool("create_instance", MACHINE)
            listed = await client.call_tool("list_jobs", {})
    assert "No such sector" in text(result) and "list_instances" not in text(result)
    assert listed.structured_content["spent_today_usd"] == 0


@pytest.mark.parametrize("is_killed", [False, True], ids=["the answer is lost", "the server is killed"])
async def test_the_call_again_after_a_lost_start_is_the_same_machine(fal: Emulator, here: Settings, is_killed: bool):
    asked: list[str] = []

    async def hear(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return await yes(context, params)

    with anyio.fail_after(BOUND):
        await (killed if is_killed else lost)(here, "create_instance", MACHINE)
        async with Client(app.build(here), elicitation_callback=hear) as client:
            again = await client.call_tool("create_instance", MACHINE)
            listed = await client.call_tool("list_jobs", {})
            other = await client.call_tool("create_instance", MACHINE)
    assert not again.is_error and again.structured_content["id"] == next(iter(fal.instances)), text(again)
    assert "starts no second one" in asked[0] and "asked for before" in text(again)
    assert listed.structured_content["spent_today_usd"] == pytest.approx(1.89)
    # That one was answered, and a call after it is a wish for another.
    assert not other.is_error and len(fal.instances) == 2 and "second one" not in asked[1]


async def test_the_key_after_one_that_was_cut_off_says_that_another_may_be_there(fal: Emulator, here: Settings):
    """fal gives its secret once, to a server that is not there any more."""
    with anyio.fail_after(BOUND):
        await killed(here, "create_key", KEY)
        async with Client(app.build(here)) as client:
            other = await client.call_tool("create_key", {"alias": "desktop"})
            again = await client.call_tool("create_key", KEY)
    assert [about["alias"] for about in fal.api_keys.values()].count("laptop") == 2 and "cut off" not in text(other)
    assert "delete_key" in text(again) and "delete_key" in again.structured_content["earlier"]


async def lost(here: Settings, tool: str, arguments: Any) -> None:
    way = Deaf(httpx.ReadError("the line broke"))
    async with Client(app.build(here, way), elicitation_callback=yes) as client:
        assert (await client.call_tool(tool, arguments)).is_error


async def killed(here: Settings, tool: str, arguments: Any) -> None:
    url = here.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "tests.server.cut_off", url, str(here.data), tool, json.dumps(arguments)]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout
        said = b""
        while b"acted" not in said:
            said += await process.stdout.receive()
        process.kill()
        await process.wait()
