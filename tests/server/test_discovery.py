"""Finding, reading about and running models over MCP; what is listed, and what changes it. Both protocol eras."""

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, serve
from fal_mcp.server import app
from fal_mcp.toolset_table import TABLE
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox
from tests.conftest import KEY, kept
from tests.documents import document, put

BOUND = 20
Serve = Callable[..., Client]
FIXED = [
    *("search_models", "get_model", "run_model"),
    *("wait_for_job", "get_job", "list_jobs", "cancel_job", "estimate_cost", "run_again", "run_batch", "run_chain"),
    *("upload_file", "create_upload_ticket", "download_file", "file_access", "sign_file_url", "storage_settings"),
    *("get_usage", "get_analytics", "get_prices", "get_billing_events"),
]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Serve:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


def models_of(listed: list[str]) -> list[str]:
    """The tools that are models, in the order of the list."""
    return [name for name in listed if name not in FIXED]


async def test_by_default_the_discovery_tools_and_a_dozen_models_are_listed(host: Serve):
    async with host() as client:
        listed = await names(client)
    assert listed[:3] == FIXED[:3] and sorted(set(listed) - set(models_of(listed))) == sorted(FIXED)
    assert 8 <= len(models_of(listed)) <= 12


async def test_what_is_listed_is_what_settings_say(host: Serve):
    async with host(listed=("search",)) as client:
        assert sorted(await names(client)) == sorted(FIXED)
    async with host(listed=("text-to-speech", "fal-ai/veo3*")) as client:
        assert models_of(await names(client)) == [
            "fal-ai_veo3",
            "fal-ai_elevenlabs_tts_eleven-v3",
            "fal-ai_inworld-tts",
        ]
    async with host(pins=("fal-ai/ovi",)) as client:
        assert models_of(await names(client)) == ["fal-ai_ovi"]


async def test_a_model_that_is_not_listed_can_be_called_by_name_and_by_id(fal: Emulator, host: Serve):
    with anyio.fail_after(BOUND):
        async with host(listed=("search",)) as client:
            named = await client.call_tool("fal-ai_flux_schnell", {"prompt": "a pier"})
            by_id = await client.call_tool(
                "run_model", {"endpoint_id": "fal-ai/flux/schnell", "arguments": {"prompt": "a pier"}}
            )
            assert sorted(await names(client)) == sorted(FIXED)
    assert not named.is_error and not by_id.is_error
    assert by_id.structured_content["endpoint_id"] == "fal-ai/flux/schnell" and len(fal.jobs) == 2


async def test_only_bounds_what_may_be_run_at_all(fal: Emulator, host: Serve):
    with anyio.fail_after(BOUND):
        async with host(listed=("all",), only=("fal-ai/flux/*",)) as client:
            assert models_of(await names(client)) == ["fal-ai_flux_dev", "fal-ai_flux_schnell"]
            with pytest.raises(MCPError, match="search_models"):
                await client.call_tool("fal-ai_veo3", {"prompt": "x"})
            refused = await client.call_tool("run_model", {"endpoint_id": "fal-ai/veo3", "arguments": {"prompt": "x"}})
            found = await client.call_tool("search_models", {"query": "video"})
    assert refused.is_error and "--only" in text(refused)
    assert "veo3" not in text(found) and fal.jobs == {}


async def test_search_says_id_tool_price_and_what_is_needed_in_text_and_in_data(host: Serve):
    """A host hands on one of the two: a reader of either can call the tool, and ask for the next page."""
    async with host() as client:
        result = await client.call_tool("search_models", {"query": "edit a picture"})
        cursor = result.structured_content["next_cursor"]
        second = await client.call_tool("search_models", {"query": "edit a picture", "cursor": cursor})
    lines, rows = text(result).splitlines(), result.structured_content["models"]
    row = next(row for row in rows if row["endpoint_id"] == "fal-ai/flux-pro/kontext")
    line = next(line for line in lines if line.startswith("fal-ai/flux-pro/kontext | "))
    assert "fal-ai_flux-pro_kontext | Edits a picture" in line
    assert "$0.04 per image | needs prompt, image_url" in line
    assert row["tool"] == "fal-ai_flux-pro_kontext" and row["about"].startswith("Edits a picture")
    assert row["price"] == "$0.04 per image" and row["needs"] == ["prompt", "image_url"]
    assert cursor in lines[-1] and f"of {result.structured_content['total']}." in lines[-1]
    first, after = ({row["endpoint_id"] for row in page.structured_content["models"]} for page in (result, second))
    assert len(first) == 10 and not first & after


@pytest.mark.parametrize("query", ["edit a picture", "video", "", "text to speech", "upscale", "kling", "音楽"])
async def test_ten_rows_fit_three_kilobytes(host: Serve, query: str):
    async with host() as client:
        result = await client.call_tool("search_models", {"query": query})
    assert len(text(result).encode()) <= 3_000
    assert len(json.dumps(result.structured_content, ensure_ascii=False).encode()) <= 3_500


async def test_what_nothing_is_for_is_said_with_the_tasks_to_ask_by(host: Serve):
    async with host() as client:
        result = await client.call_tool("search_models", {"query": "book me a flight to lisbon"})
        asked = await client.call_tool("search_models", {"query": result.structured_content["tasks"][0]})
    data = result.structured_content
    assert not result.is_error and data["total"] == 0 and data["models"] == []
    assert "Nothing matched" in text(result) and 10 <= len(data["tasks"]) <= 80
    assert all(name in text(result) for name in data["tasks"]) and len(text(result).encode()) <= 3_000
    assert asked.structured_content["models"]


@pytest.mark.parametrize(
    ("limits", "holds"),
    [
        ({"category": "Text to Video"}, "veo3"),
        ({"inputs": ["image"], "outputs": ["video"]}, "image-to-video"),
        ({"outputs": ["video"], "with_audio": True}, "veo3"),
        ({"licence": "commercial", "outputs": ["image"]}, "flux"),
        ({"max_price": 0.03, "outputs": ["image"]}, "flux"),
        ({"newest": True, "outputs": ["video"]}, "veo3"),
    ],
)
async def test_limits_are_arguments(host: Serve, limits: dict[str, Any], holds: str):
    async with host() as client:
        result = await client.call_tool("search_models", {"query": "video or image", "limit": 50, **limits})
    assert any(holds in row["endpoint_id"] for row in result.structured_content["models"]), text(result)


async def test_limits_that_leave_nothing_are_named(host: Serve):
    async with host() as client:
        result = await client.call_tool("search_models", {"query": "text to video", "max_price": 0.000001})
        unknown = await client.call_tool("search_models", {"query": "x", "category": "smell-to-image"})
    assert "cost at most 1e-06 USD" in text(result) and result.structured_content["without_limits"] > 1
    assert (
        "no category 'smell-to-image'" in text(unknown) and "text-to-video" in unknown.structured_content["categories"]
    )


async def test_a_kind_that_is_named_a_thousand_times_is_named_once(host: Serve):
    asked = {"query": "text to video", "inputs": ["text"] * 1000, "outputs": ["3d", "audio"] * 500, "max_price": 0.0}
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("search_models", asked)
    assert "takes text" in text(result) and "makes 3d or audio" in text(result)
    assert len(text(result)) < 3000 and len(json.dumps(result.structured_content)) < 3500


async def test_a_reader_of_the_data_alone_can_run_a_model_it_never_saw(fal: Emulator, host: Serve):
    """Claude Code, Codex and pydantic-ai hand on only the data; opencode, Gemini CLI and LangChain only the text."""
    with anyio.fail_after(BOUND):
        async with host(listed=("search",)) as client:
            found = await client.call_tool("search_models", {"query": "image to video"})
            tool = found.structured_content["models"][0]["tool"]
            card = (await client.call_tool("get_model", {"endpoint_id": tool})).structured_content
            run = await client.call_tool(card["tool"], card["example"])
    assert not run.is_error, text(run)
    assert card["arguments"]["properties"].keys() >= card["example"].keys() and card["outputs"]


async def test_a_reader_of_the_text_alone_can_run_a_model_it_never_saw(fal: Emulator, host: Serve):
    with anyio.fail_after(BOUND):
        async with host(listed=("search",)) as client:
            found = text(await client.call_tool("search_models", {"query": "image to video"}))
            tool = found.splitlines()[1].split(" | ")[1]
            card = text(await client.call_tool("get_model", {"endpoint_id": tool}))
            example = next(line for line in card.splitlines() if line.startswith("Example: "))
            run = await client.call_tool(tool, json.loads(example.removeprefix("Example: ")))
    assert not run.is_error, text(run)


async def test_text_and_data_of_get_model_say_the_same(host: Serve):
    async with host() as client:
        for endpoint_id in ("fal-ai/veo3", "fal-ai/whisper", "fal-ai/inworld-tts", "fal-ai/birefnet/v2/video"):
            result = await client.call_tool("get_model", {"endpoint_id": endpoint_id})
            said, card = text(result), result.structured_content
            assert json.loads(said.rpartition("Arguments: ")[2]) == card["arguments"]
            assert json.dumps(card["example"], ensure_ascii=False) in said
            assert all(note in said for note in card.get("notes", ()))
            assert all(file in said for file in card.get("files", ()))
            assert all(name in said for name in card["outputs"]) and card["about"] in said
            assert card["price"] is None or card["price"]["said"] in said
            assert "licence" not in card or f"Licence: {card['licence']}" in said
            # What the text alone weighed when the data had neither arguments nor notes.
            assert len(json.dumps(card, ensure_ascii=False)) <= 1.25 * len(said)


async def test_get_model_gives_arguments_an_example_that_validates_and_the_price(fal: Emulator, host: Serve):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("get_model", {"endpoint_id": "fal-ai/flux-pro/kontext"})
            run = await client.call_tool(
                "run_model",
                {"endpoint_id": "fal-ai/flux-pro/kontext", "arguments": result.structured_content["example"]},
            )
    assert not run.is_error
    price = result.structured_content["price"]
    assert (price["amount"], price["unit"], price["said"]) == (0.04, "images", "$0.04 per image")
    assert price["example"].startswith("about $0.04 for ") and price["example"] in text(result)
    assert "File arguments: image_url" in text(result) and "fal says of it:" in text(result)


async def test_a_long_list_of_values_comes_in_pages(host: Serve):
    async with host() as client:
        result = await client.call_tool("get_model", {"endpoint_id": "fal-ai/whisper", "argument": "language"})
        wrong = await client.call_tool("get_model", {"endpoint_id": "fal-ai/whisper", "argument": "tongue"})
    assert "de" in result.structured_content["values"] and result.structured_content["total"] > 50
    assert wrong.is_error and "language" in text(wrong)


async def test_an_unknown_id_gives_the_nearest(host: Serve):
    async with host() as client:
        result = await client.call_tool("get_model", {"endpoint_id": "fal-ai/flux-dev"})
    assert result.is_error and "fal-ai/flux/dev" in text(result)


async def test_an_unknown_tool_says_what_to_do_instead(tmp_path: Path, host: Serve):
    """The reason where its document is at fault, the nearest names, and always the tool that finds models."""
    put(tmp_path, "fal-ai/broken", "{not json")
    put(tmp_path, "fal-ai/works", document("fal-ai/works", {"type": "object", "properties": {}}))
    async with host(models=tmp_path, pins=()) as client:
        with pytest.raises(MCPError, match=r"cannot be used\. The file is not JSON"):
            await client.call_tool("fal-ai_broken", {})
        with pytest.raises(MCPError, match=r"Did you mean 'fal-ai_works'.*search_models"):
            await client.call_tool("fal-ai_work", {})
        with pytest.raises(MCPError, match="search_models finds models"):
            await client.call_tool("make_coffee", {})


async def test_run_model_refuses_with_an_example_and_repairs_what_is_certain(fal: Emulator, host: Serve):
    with anyio.fail_after(BOUND):
        async with host() as client:
            refused = await client.call_tool(
                "run_model", {"endpoint_id": "fal-ai/flux/dev", "arguments": {"num_images": 99}}
            )
            repaired = await client.call_tool(
                "run_model",
                {"endpoint_id": "fal-ai/flux/dev", "arguments": {"promt": "a pier", "num_inference_steps": "4"}},
            )
    assert refused.is_error and "$.num_images" in text(refused)
    working = json.loads(text(refused).partition("Arguments that work: ")[2].splitlines()[0])
    assert working.keys() == {"prompt"}
    (job,) = fal.jobs.values()
    assert job.input == {"prompt": "a pier", "num_inference_steps": 4}
    assert "put right: 'promt' was read as 'prompt'" in text(repaired)


async def test_models_are_resources_with_templates_and_completions(host: Serve):
    async with host() as client:
        categories = await client.read_resource("fal://categories")
        card = await client.read_resource("fal://models/fal-ai/flux/dev")
        schema = await client.read_resource("fal://models/fal-ai/flux/dev/schema")
        templates = (await client.list_resource_templates()).resource_templates
        reference = types.ResourceTemplateReference(uri=templates[0].uri_template)
        ids = await client.complete(reference, {"name": "endpoint_id", "value": "flux/"})
        voices = await client.complete(
            reference, {"name": "voice", "value": "lo"}, context_arguments={"endpoint_id": "fal-ai/inworld-tts"}
        )
        with pytest.raises(MCPError):
            await client.read_resource("fal://models/no/such")
    assert json.loads(content(categories))["text-to-image"] > 5
    assert content(card).startswith("# FLUX.1 [dev]")
    assert json.loads(content(schema))["example"]["prompt"]
    assert ids.completion.values[:2] == ["fal-ai/flux/dev", "fal-ai/flux/schnell"]
    assert "Loretta (en)" in voices.completion.values


def content(result: types.ReadResourceResult) -> str:
    (block,) = result.contents
    assert isinstance(block, types.TextResourceContents)
    return block.text


async def test_there_is_a_prompt_for_each_workflow(host: Serve):
    async with host() as client:
        prompts = (await client.list_prompts()).prompts
        filled = await client.get_prompt("animate_image", {"file": "https://e.x/a.png"})
        with pytest.raises(MCPError, match="file"):
            await client.get_prompt("animate_image", {})
    assert len(prompts) >= 12
    (message,) = filled.messages
    assert isinstance(message.content, types.TextContent) and "https://e.x/a.png" in message.content.text


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[tuple[Emulator, Path, Settings]]:
    """A fal with two models of its own, and a server that keeps their catalog."""
    models = tmp_path / "models"
    models.mkdir()
    for name in ("fal-ai/one", "fal-ai/two"):
        put(models, name, document(name, {"type": "object", "properties": {"prompt": {"type": "string"}}}))
    fal = Emulator(models_dirs=[models], keys={KEY})
    async with kept(serve(fal)) as url:
        cache = tmp_path / "cache"
        yield fal, models, Settings(key=KEY, hosts=Hosts.at(url), cache=cache, pins=("fal-ai/one",), refresh_hours=0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_change_of_a_listed_tool_is_announced_and_of_another_is_not(
    site: tuple[Emulator, Path, Settings], mode: Any
):
    fal, models, settings = site
    heard: list[str] = []
    news = anyio.Event()

    async def hear(message: Any) -> None:
        nonlocal news
        if isinstance(message, types.ToolListChangedNotification):
            heard.append("changed")
            news.set()
            news = anyio.Event()

    def change(name: str) -> None:
        properties = {"prompt": {"type": "string"}, "seed": {"type": "integer"}, f"extra_{len(heard)}": {}}
        put(models, name, document(name, {"type": "object", "properties": properties}))
        fal.documents = type(fal.documents)([models])

    server = app.build(settings)
    with anyio.fail_after(BOUND):
        async with Client(server, mode=mode, message_handler=hear) as client, anyio.create_task_group() as tasks:
            listening = anyio.Event()
            if mode == "auto":
                tasks.start_soon(_listen, client, listening)
                await listening.wait()
            assert models_of(await names(client)) == []
            first, shared = news, server.shared
            await shared.refresh()
            await first.wait()
            assert models_of(await names(client)) == ["fal-ai_one"]
            second = news
            change("fal-ai/two")
            await shared.refresh()
            assert not (await client.call_tool("fal-ai_two", {"prompt": "x", "seed": 3})).is_error
            assert len(heard) == 1
            change("fal-ai/one")
            await shared.refresh()
            await second.wait()
            assert len(heard) == 2
            tasks.cancel_scope.cancel()


async def _listen(client: Client, listening: anyio.Event) -> None:
    async with client.listen(tools_list_changed=True) as events:
        listening.set()
        async for _ in events:
            continue


async def test_a_tool_whose_toolset_is_off_says_how_it_is_turned_on(host: Serve):
    async with host() as client:
        with pytest.raises(MCPError, match="'list_apps' is of the toolset 'serverless'"):
            await client.call_tool("list_apps", {})


def test_every_fixed_tool_knows_its_toolset():
    box = Toolbox(Catalog(Folder(bundled.schemas() / "models")), Selection(), tuple(TABLE))
    tools = [tool for name in box.names() if (tool := box.get(name))]
    assert {tool.toolset for tool in tools} - {""} == set(TABLE)
    assert all(tool.toolset or tool.metadata for tool in tools)
