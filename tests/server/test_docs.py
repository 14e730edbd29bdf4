"""fal's documentation over MCP: searched through its own server, which never sees the key."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator
from fal_mcp.server import app

BOUND = 30
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, toolsets=("docs",), **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def test_the_documentation_is_searched_and_a_models_page_read_without_the_key(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            found = await client.call_tool("search_docs", {"query": "concurrency"})
            nothing = await client.call_tool("search_docs", {"query": "zebra"})
            page = await client.call_tool("read_model_docs", {"endpoint_id": "fal-ai/flux/dev"})
            none = await client.call_tool("read_model_docs", {"endpoint_id": "fal-ai/flux/../dev"})
            unknown = await client.call_tool("read_model_docs", {"endpoint_id": "fal-ai/nothing"})
    assert "none is refused" in text(found) and text(nothing) == "Nothing was found."
    assert "fal-ai/flux/dev" in text(page) and none.is_error and unknown.is_error
    assert {call.host_role for call in fal.calls} == {"docs", "www"}
    assert not any("authorization" in call.headers for call in fal.calls)


async def test_documentation_that_cannot_be_reached_is_said_to_be(fal: Emulator, host: Host):
    gone = replace(Hosts.at("http://127.0.0.1:9"))
    with anyio.fail_after(BOUND):
        async with host(hosts=gone) as client:
            result = await client.call_tool("search_docs", {"query": "queue"})
    assert result.is_error and "did not answer" in text(result)
