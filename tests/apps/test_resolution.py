"""Any id a key can run is checked against the document that fal has of it, or run unchecked and said to be."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client
from starlette.responses import Response

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.json_values import JsonObject
from fal_mcp.server import app
from tests.apps import made
from tests.conftest import Connect

NEW = "fal-ai/launched-today"
PROMPT = {"prompt": "a pier at dawn"}


@pytest.fixture
def starter(starter: Path, tmp_path: Path) -> Path:
    """The server's catalog; the emulator has a model more."""
    folder = tmp_path / "models"
    folder.mkdir()
    for file in starter.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    (tmp_path / "catalog.jsonl").write_bytes((starter.parent / "catalog.jsonl").read_bytes())
    return folder


@pytest.fixture
def new(fal: Emulator, starter: Path, tmp_path: Path) -> str:
    """The id of a model that is in no catalog of the server's."""
    text = (starter / "fal-ai__flux__dev.json").read_text("utf-8").replace("fal-ai/flux/dev", NEW)
    folder = tmp_path / "launched"
    folder.mkdir()
    (folder / f"{NEW.replace('/', '__')}.json").write_text(text, "utf-8")
    fal.documents = type(fal.documents)([starter, folder])
    return NEW


async def called(client: Client, name: str, **arguments: Any) -> tuple[str, JsonObject]:
    with anyio.fail_after(20):
        answer = await client.call_tool(name, arguments)
    assert isinstance(answer, types.CallToolResult)
    text = "\n".join(block.text for block in answer.content if isinstance(block, types.TextContent))
    return text, {**(answer.structured_content or {}), "is_error": bool(answer.is_error)}


def asked(fal: Emulator) -> list[str]:
    return [f"{call.method} {call.host_role}{call.path}" for call in fal.calls]


async def test_a_model_in_no_catalog_is_checked_in_one_request_more(fal: Emulator, connect: Connect, new: str):
    """The document is fetched with the first run, and the second needs none."""
    async with connect() as client:
        await called(client, "run_model", endpoint_id="fal-ai/flux/dev", arguments=PROMPT)
        known = len(fal.calls)
        text, data = await called(client, "run_model", endpoint_id=new, arguments={"prompt": "x", "num_images": 99})
        assert "num_images" in text and data["is_error"]
        assert asked(fal)[known:] == ["GET www/api/openapi/queue/openapi.json"]
        text, data = await called(client, "run_model", endpoint_id=new, arguments=PROMPT)
    assert data["status"] == "completed" and "notes" not in data
    assert len(fal.calls) - known == known + 1


async def test_the_key_is_not_sent_for_a_document_on_the_website(fal: Emulator, connect: Connect, new: str):
    async with connect() as client:
        await called(client, "get_model", endpoint_id=new)
    (document,) = [call for call in fal.calls if call.host_role == "www"]
    assert "authorization" not in document.headers


async def test_an_own_app_is_checked_by_its_own_document_in_one_request_more(fal: Emulator, connect: Connect):
    fal.deploy("emulator/drawing", made.document("Routes"))
    async with connect() as client:
        await called(client, "run_model", endpoint_id="fal-ai/flux/dev", arguments=PROMPT)
        known = len(fal.calls)
        _, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
        assert data["status"] == "completed" and data["files"]
        assert len(fal.calls) - known == known + 1
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing/turbo", arguments=PROMPT)
    assert data["is_error"] and "style" in text
    # The routes of an app share one document.
    assert asked(fal).count("GET rest/applications/emulator/drawing/metadata") == 1


@pytest.mark.parametrize("tool", ["get_model", "estimate_cost", "run_batch", "run_chain"])
async def test_every_tool_that_takes_an_id_takes_one_of_no_catalog(
    fal: Emulator, connect: Connect, new: str, tool: str
):
    wish: JsonObject = {"endpoint_id": new}
    if tool == "run_batch":
        wish |= {"arguments": [PROMPT]}
    if tool == "run_chain":
        wish = {"steps": [{"endpoint_id": new, "arguments": PROMPT}]}
    async with connect() as client:
        text, data = await called(client, tool, **wish)
    assert not data["is_error"], text
    assert new in text


async def test_a_typed_name_of_an_own_app_is_a_tool(fal: Emulator, connect: Connect):
    fal.deploy("emulator/drawing", made.document("Routes"))
    async with connect() as client:
        text, data = await called(client, "emulator_drawing_turbo", prompt="x")
        assert data["is_error"] and "style" in text
        _, data = await called(client, "emulator_drawing_turbo", prompt="x", style={"name": "ink"}, steps=4)
    assert data["status"] == "completed" and data["endpoint_id"] == "emulator/drawing/turbo"


async def test_an_id_without_a_document_runs_unchecked_and_is_said_to(fal: Emulator, connect: Connect):
    """What fal tells of an app may be refused to whoever may run it all the same."""
    fal.own_apps.replies["emulator/drawing"] = Response(b'{"detail": "Access denied"}', 403)
    fal.deploy("emulator/drawing", made.document("Simple"))
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
    assert data["status"] == "completed"
    assert "not checked" in text and "Access denied" in text and "not checked" in data["notes"][0]


async def test_an_unchecked_run_counts_as_unpriced(fal: Emulator, settings: Settings):
    fal.deploy("emulator/drawing", {"paths": {}})
    async with Client(app.build(replace(settings, max_cost=1.0))) as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
    assert data["is_error"] and "not known" in text
    assert not [call for call in fal.calls if call.host_role == "queue"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_an_app_of_another_account_gets_fals_words(fal: Emulator, connect: Connect, status: int):
    """Nothing is joined and nothing kept: asked again, fal is asked again."""
    fal.deploy("emulator/drawing", made.document("Simple"))
    fal.own_apps.foreign["stranger/drawing"] = status
    words = {401: "Authentication is required", 403: "Access denied", 404: "not found"}[status]
    async with connect() as client:
        await called(client, "get_model", endpoint_id="emulator/drawing")
        for _ in range(2):
            text, data = await called(client, "run_model", endpoint_id="stranger/drawing", arguments=PROMPT)
            assert data["is_error"] and words in text and "emulator/drawing" in text
    assert asked(fal).count("GET rest/applications/stranger/drawing/metadata") == 2
    assert asked(fal).count("POST queue/stranger/drawing") == 2
    assert fal.jobs == {}


async def test_a_misspelt_id_gets_fals_words_and_near_ids(fal: Emulator, connect: Connect):
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="fal-ai/flux/def", arguments=PROMPT)
    assert data["is_error"] and 'Application "fal-ai/flux/def" not found' in text and "fal-ai/flux/dev" in text


@pytest.mark.parametrize("text", ["a red bicycle", "../../etc/passwd", "flux", "me/..", "https://x.example/a b"])
async def test_what_could_be_no_id_is_refused_before_fal_is_asked(fal: Emulator, connect: Connect, text: str):
    async with connect() as client:
        said, data = await called(client, "run_model", endpoint_id=text, arguments=PROMPT)
    assert data["is_error"] and "fal has no model" in said
    assert fal.calls == []


async def test_a_document_that_is_too_large_is_not_read(fal: Emulator, connect: Connect):
    fal.deploy("emulator/drawing", made.document("Simple"))
    fal.own_apps.replies["emulator/drawing"] = Response(b'{"openapi": "' + b"x" * 50 * 1024**2 + b'"}')
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
    assert data["status"] == "completed" and "not checked" in text and "larger than" in text


async def test_a_document_that_hangs_holds_a_run_up_for_five_seconds(fal: Emulator, connect: Connect):
    fal.deploy("emulator/drawing", made.document("Simple"))
    fal.own_apps.slow.add("emulator/drawing")
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
    assert data["status"] == "completed" and "did not come within 5 seconds" in text


class Silent(httpx.AsyncHTTPTransport):
    """A way to fal on which questions about what is the account's own are never answered."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("/workflows", "/serverless/apps", "/workflows/me/mine")):
            await anyio.sleep_forever()
        return await super().handle_async_request(request)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_models", {"query": "text to image"}),
        ("run_model", {"endpoint_id": "workflows/me/mine", "arguments": PROMPT}),
    ],
)
async def test_silence_about_what_is_ones_own_holds_nobody_up_for_long(
    settings: Settings, tool: str, arguments: JsonObject
):
    with anyio.fail_after(30):
        async with Client(app.build(settings, Silent())) as client:
            began = anyio.current_time()
            await client.call_tool(tool, arguments)
            assert anyio.current_time() - began < 12
            if tool == "search_models":
                began = anyio.current_time()
                result = await client.call_tool(tool, arguments)
                assert result.structured_content["models"] and anyio.current_time() - began < 3, "once, not each time"


async def test_a_health_route_is_no_model(fal: Emulator, connect: Connect):
    fal.deploy("emulator/drawing", made.document("Health"))
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing/health", arguments={})
        assert data["is_error"] and "'emulator/drawing/health' is no model" in text and "emulator/drawing" in text
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing/turbo", arguments={})
    assert data["is_error"] and "is no route of the app 'emulator/drawing'" in text
    assert not [call for call in fal.calls if call.host_role == "queue"]


@pytest.mark.parametrize("wrong", ["no paths", "a union", "no components", "no object"])
async def test_an_app_whose_document_is_wrong_runs_unchecked(fal: Emulator, connect: Connect, wrong: str):
    document: Any = copy.deepcopy(made.document("Simple"))
    fal.deploy("emulator/drawing", made.document("Simple"))
    body = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]
    match wrong:
        case "no paths":
            document = {"openapi": "3.1.0"}
        case "a union":
            body["schema"] = {"anyOf": [{"$ref": "#/components/schemas/Prompt"}, {"type": "object"}]}
        case "no components":
            del document["components"]
        case _:
            document = ["nonsense"]
    fal.own_apps.replies["emulator/drawing"] = Response(json.dumps({"openapi": document}), media_type="x/json")
    async with connect() as client:
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
    assert data["status"] == "completed" and "not checked" in text and "document" in text


async def test_a_file_of_an_unchecked_run_is_put_up_by_its_name(fal: Emulator, settings: Settings, tmp_path: Path):
    picture = tmp_path / "pier.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    fal.deploy("emulator/drawing", {"paths": {"/": {"post": {"requestBody": {}}}}})
    fal.own_apps.replies["emulator/drawing"] = Response(b"null", 404)
    async with Client(app.build(replace(settings, allow_dirs=(tmp_path,)))) as client:
        given = {"image_url": str(picture), "prompt": str(picture)}
        _, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=given)
    assert data["status"] == "completed"
    (job,) = fal.jobs.values()
    assert job.input["image_url"].startswith("http") and job.input["prompt"] == str(picture)


async def test_only_holds_for_what_is_in_no_catalog(fal: Emulator, settings: Settings, new: str):
    fal.deploy("emulator/drawing", made.document("Simple"))
    async with Client(app.build(replace(settings, only=("fal-ai/flux/*",)))) as client:
        for endpoint_id in (new, "emulator/drawing"):
            text, data = await called(client, "run_model", endpoint_id=endpoint_id, arguments=PROMPT)
            assert data["is_error"] and "--only" in text
        with pytest.raises(Exception, match="Unknown tool"):
            await called(client, "emulator_drawing", prompt="x")
    assert not [call for call in fal.calls if call.host_role in ("queue", "www", "rest")]


async def test_a_new_revision_is_read_anew_after_a_deploy(fal: Emulator, settings: Settings):
    fal.deploy("emulator/drawing", made.document("Simple"))
    server = app.build(settings)
    async with Client(server) as client:
        await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
        fal.deploy("emulator/drawing", made.document("NestedModels"))
        server.shared.resolution.forget()
        text, data = await called(client, "run_model", endpoint_id="emulator/drawing", arguments=PROMPT)
        assert data["is_error"] and "style" in text
        server.shared.resolution.forget()
        before = len(fal.calls)
        await called(client, "get_model", endpoint_id="emulator/drawing")
    # With its tag: what is as it was is not sent again.
    assert "if-none-match" in fal.calls[before].headers


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_streams_and_realtime_of_an_app_are_checked_by_their_own_routes(
    fal: Emulator, settings: Settings, mode: Literal["auto", "legacy"]
):
    fal.deploy("emulator/talk", made.document("Streams"))
    fal.deploy("emulator/live", made.document("Realtime"))
    server = app.build(replace(settings, toolsets=(*settings.toolsets, "realtime")))
    async with Client(server, mode=mode) as client:
        wish: JsonObject = {"endpoint_id": "emulator/talk", "mode": "stream"}
        text, data = await called(client, "run_model", **wish, arguments={"prompt": "x", "quality": "bad"})
        assert data["is_error"] and "draft" in text
        _, data = await called(client, "run_model", **wish, arguments=PROMPT)
        assert data["status"] == "completed"
        _, data = await called(client, "emulator_talk_stream", **PROMPT)
        assert data["status"] == "completed"
        _, data = await called(client, "run_model", endpoint_id="emulator/talk", mode="sync", arguments=PROMPT)
        assert data["status"] == "completed"
        text, data = await called(client, "run_realtime", endpoint_id="emulator/live", inputs=[{"prompt": 3}])
        assert data["is_error"] and "prompt" in text
        _, data = await called(client, "run_realtime", endpoint_id="emulator/live", inputs=[PROMPT])
        assert data["status"] == "completed"
        text, data = await called(client, "run_model", endpoint_id="emulator/live/realtime", arguments=PROMPT)
    assert data["is_error"] and "run_realtime" in text
    assert [call.path for call in fal.calls if call.host_role == "run" and call.method == "POST"] == [
        "/emulator/talk/stream",
        "/emulator/talk/stream",
        "/emulator/talk",
    ]
