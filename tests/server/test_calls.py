"""A model called over MCP, in both protocol eras, against answers written out here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.server import app
from tests.documents import document, put

Era = Literal["auto", "legacy"]
QUEUE = "https://queue.fal.run/fal-ai/thing/requests/R"


class Fal:
    """Answers for one request, in the order of fact F2.4."""

    def __init__(self, result: httpx.Response | None = None, submit: httpx.Response | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self.submit = submit
        self.result = result or httpx.Response(
            200, json={"images": [{"url": "https://v3.fal.media/files/b/1/x.png", "width": 64}], "seed": 7}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        urls = {"status_url": f"{QUEUE}/status", "response_url": QUEUE, "cancel_url": f"{QUEUE}/cancel"}
        match request.method, request.url.path:
            case "POST", _:
                return self.submit or httpx.Response(200, json={"request_id": "R", **urls})
            case "GET", path if path.endswith("/status/stream"):
                return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=_events())
            case _:
                return self.result


def _events() -> str:
    logs = [{"message": "step 12/28", "timestamp": "t"}]
    statuses: list[dict[str, Any]] = [
        {"status": "IN_QUEUE", "queue_position": 2},
        {"status": "IN_PROGRESS", "logs": logs},
        {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": 1.5}},
    ]
    return ": ping\n\n" + "".join(f"data: {json.dumps(status)}\n\n" for status in statuses)


@pytest.fixture(params=["auto", "legacy"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Fal], Client]:
    models = tmp_path / "models"
    models.mkdir()
    schema = {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}}
    put(models, "fal-ai/thing/fast", document("fal-ai/thing/fast", schema))

    def client(fal: Fal, key: str | None = "id:secret") -> Client:
        settings = Settings(key=key, listed=("all",), models=models)
        return Client(app.build(settings, httpx.MockTransport(fal)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def test_a_model_is_listed_and_called_with_progress_and_its_files_come_back(connect: Callable[..., Client]):
    fal, said = Fal(), list[str | None]()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    with anyio.fail_after(5):
        async with connect(fal) as client:
            tool = (await client.list_tools()).tools[-1]
            result = await client.call_tool(tool.name, {"prompt": "x"}, progress_callback=hear)
    assert tool.name == "fal-ai_thing_fast"
    assert said == ["sent to fal", "3rd in fal's queue", "43 %: step 12/28"]
    assert not result.is_error
    assert result.structured_content["files"][0]["url"] == "https://v3.fal.media/files/b/1/x.png"
    assert result.structured_content["timing"]["run_s"] == 1.5
    assert [block.type for block in result.content] == ["text", "resource_link"]
    assert [request.method for request in fal.seen] == ["POST", "GET", "GET"]


async def test_wrong_arguments_are_refused_before_anything_is_sent(connect: Callable[..., Client]):
    fal = Fal()
    with anyio.fail_after(5):
        async with connect(fal) as client:
            result = await client.call_tool("fal-ai_thing_fast", {"promtt": 3, "other": 1})
    assert result.is_error and fal.seen == []
    assert "$.promtt: there is no such argument. Did you mean 'prompt'?" in text(result)


async def test_without_a_key_the_answer_says_how_to_get_one(connect: Callable[..., Client]):
    fal = Fal()
    with anyio.fail_after(5):
        async with connect(fal, None) as client:
            result = await client.call_tool("fal-ai_thing_fast", {"prompt": "x"})
    assert result.is_error and fal.seen == []
    assert "https://fal.ai/dashboard/keys" in text(result) and "FAL_KEY" in text(result)


async def test_the_key_never_follows_a_poll_url_off_fals_hosts(connect: Callable[..., Client]):
    """demands.md §3: three community servers send the key to any URL they are given."""
    evil = dict.fromkeys(("status_url", "response_url", "cancel_url"), "https://evil.example/x")
    fal = Fal(submit=httpx.Response(200, json={"request_id": "R", **evil}))
    with anyio.fail_after(15):
        async with connect(fal) as client:
            result = await client.call_tool("fal-ai_thing_fast", {"prompt": "x"})
    assert result.structured_content["job_id"], "it runs: its addresses are built, not given up"
    assert {request.url.host for request in fal.seen} == {"queue.fal.run"}


async def test_a_key_in_an_error_body_is_not_passed_on(connect: Callable[..., Client]):
    fal = Fal(submit=httpx.Response(401, json={"detail": "Bad key id:secret"}))
    with anyio.fail_after(5):
        async with connect(fal) as client:
            result = await client.call_tool("fal-ai_thing_fast", {"prompt": "x"})
    assert result.is_error and "id:secret" not in result.model_dump_json()
