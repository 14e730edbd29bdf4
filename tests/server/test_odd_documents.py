"""Documents that no model should have, over MCP: each costs its own part, and a call of the rest runs. Both eras."""

import gc
import json
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, serve
from fal_mcp.openapi.validate import check_in_full
from fal_mcp.server import app
from tests.conftest import KEY, kept
from tests.documents import document, put

BOUND = 30
Host = Callable[[], Client]
PROMPT = {"prompt": {"type": "string"}}


def whole(name: str, properties: Any, **components: Any) -> tuple[str, Any]:
    return name, document(name, {"type": "object", "required": ["prompt"], "properties": properties}, **components)


DOCUMENTS = dict(
    [
        whole("fal-ai/pattern", {**PROMPT, "code": {"type": "string", "pattern": r"^\p{L}{2,}$"}}),
        whole("fal-ai/slow", {**PROMPT, "code": {"type": "string", "pattern": "^(a+)+$"}}),
        whole("fal-ai/unread", {**PROMPT, "code": {"type": "string", "pattern": "(?<hex>[0-9"}}),
        whole(
            "fal-ai/types",
            {**PROMPT, "a": {"type": "file"}, "b": {"type": "any"}, "c": {"minimum": "0", "required": True}},
        ),
        whole("fal-ai/output", PROMPT, Out={"$ref": "#/components/schemas/Gone"}),
        whole(
            "fal-ai/circle",
            {**PROMPT, "x": {"$ref": "#/components/schemas/X"}},
            X={"anyOf": [{"$ref": "#/components/schemas/X"}]},
        ),
        whole(
            "fal-ai/nullable", {**PROMPT, "steps": {"type": "integer"}, "mode": {"type": "string", "enum": ["a", "b"]}}
        ),
        whole("fal-ai/wide", {**PROMPT, "bad name": {}, "x": {"$ref": "https://example.com/s"}}),
    ]
)
GONE = document("fal-ai/gone", {"type": "object"})
GONE["paths"]["/fal-ai/gone"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
    "$ref": "#/components/schemas/Missing"
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = tmp_path / "models"
    models.mkdir()
    for name, content in {**DOCUMENTS, "fal-ai/gone": GONE}.items():
        put(models, name, content)
    return models


@pytest.fixture
def fal(folder: Path) -> Emulator:
    return Emulator(models_dirs=[folder], keys={KEY})


@pytest.fixture(params=["auto", "legacy"])
async def host(fal: Emulator, folder: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Host]:
    async with kept(serve(fal)) as url:
        settings = Settings(key=KEY, hosts=Hosts.at(url), models=folder, listed=("all",), refresh_hours=0)
        yield lambda: Client(app.build(settings), mode=request.param)


def said(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def test_what_is_listed_is_valid_and_every_usable_model_runs(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            for name in DOCUMENTS:
                listed = tools[name.replace("/", "_")]
                check_in_full(listed.input_schema)
                assert not (await client.call_tool(listed.name, {"prompt": "a cat"})).is_error, name
    assert "fal-ai_gone" not in tools
    assert [job.input for job in fal.jobs.values()] == [{"prompt": "a cat"}] * len(DOCUMENTS)


@pytest.mark.parametrize(
    ("tool", "code", "is_refused"),
    [
        ("fal-ai_pattern", "né", False),
        ("fal-ai_pattern", "n1", True),
        ("fal-ai_slow", "a" * 40 + "!", True),
        ("fal-ai_slow", "a" * 40, False),
        ("fal-ai_unread", "anything", False),
    ],
)
async def test_a_pattern_is_held_to_where_it_can_be_read(host: Host, tool: str, code: str, is_refused: bool):
    with anyio.fail_after(5):
        async with host() as client:
            result = await client.call_tool(tool, {"prompt": "x", "code": code})
    # The emulator cannot read every pattern and answers 500 then: what counts is whether it was refused here.
    assert ("$.code" in said(result)) is is_refused and "inside this server" not in said(result)


async def test_null_and_empty_choices_never_reach_fal_and_are_not_mentioned(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("fal-ai_nullable", {"prompt": "x", "steps": None, "mode": ""})
            chosen = {"endpoint_id": "fal-ai/nullable", "arguments": {"prompt": "y", "steps": "", "mode": None}}
            again = await client.call_tool("run_model", {**chosen, "mode": None, "seconds": None})
    assert not result.is_error and not again.is_error, said(again)
    assert "put right" not in said(result) + said(again)
    assert sorted(job.input["prompt"] for job in fal.jobs.values()) == ["x", "y"]
    assert all(set(job.input) == {"prompt"} for job in fal.jobs.values())


async def test_a_model_whose_document_cannot_be_used_says_why_by_every_way(host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            with pytest.raises(MCPError, match="component 'Missing' that it does not have") as unknown:
                await client.call_tool("fal-ai_gone", {})
            asked = await client.call_tool("get_model", {"endpoint_id": "fal-ai/gone"})
    assert "Did you mean" not in str(unknown.value)
    assert asked.is_error and "component 'Missing'" in said(asked)


async def test_what_was_left_open_or_out_of_a_document_is_told_with_the_model(host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            told = await client.call_tool("get_model", {"endpoint_id": "fal-ai/wide"})
    assert "'bad name'" in said(told) and "leads off the document" in said(told)


async def test_values_that_no_json_has_are_argument_faults(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            deep: Any = "x"
            for _ in range(200):
                deep = {"a": deep}
            result = await client.call_tool("fal-ai_wide", {"prompt": "x", "x": deep})
    assert result.is_error and "nested more than" in said(result) and not fal.jobs


@pytest.fixture
def no_collector() -> Generator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are looked up in /proc")
@pytest.mark.usefixtures("no_collector")
async def test_the_catalogs_before_a_refresh_are_let_go(fal: Emulator, folder: Path, tmp_path: Path):
    """Each would keep its tools in memory and its file on disk, open and deleted, for as long as the server runs. They
    go without Python's collector, which would hold up every call to look through everything."""

    def deleted() -> int:
        names = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return sum(name.startswith(str(tmp_path)) and name.endswith("(deleted)") for name in names)

    async with kept(serve(fal)) as url:
        settings = Settings(key=KEY, hosts=Hosts.at(url), cache=tmp_path / "cache", refresh_hours=0)
        server, before = app.build(settings), list[Any]()
        with anyio.fail_after(BOUND):
            async with Client(server) as client:
                for number in range(4):
                    more = {**PROMPT, f"extra_{number}": {"type": "string"}}
                    put(
                        folder, "fal-ai/wide", json.loads(json.dumps(dict([whole("fal-ai/wide", more)])["fal-ai/wide"]))
                    )
                    fal.documents = type(fal.documents)([folder])
                    await server.shared.refresh()
                    await client.list_tools()
                    before.append(weakref.ref(server.shared.tools.catalog))
        assert gc.get_freeze_count() == 0
        assert [one() is None for one in before[:-1]] == [True] * 3
        assert deleted() == 0
