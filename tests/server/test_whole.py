"""Results that are too much for an answer: cut to a budget, said so, and readable whole. Over MCP in both eras."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.emulator.pictures import encoded
from fal_mcp.outputs import shortening
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "x", "seed": 7}
BOUND = 60
MEBIBYTE = 1024 * 1024
Host = Callable[..., Client]
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=400) | st.dictionaries(st.text(max_size=20), inner, max_size=20),
    max_leaves=60,
)


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def all_parts(client: Client, job_id: str, count: int) -> Any:
    """The whole output, put together from its parts."""
    found = [await client.call_tool("get_job", {"job_id": job_id, "part": n}) for n in range(1, count + 1)]
    return json.loads("".join(one.structured_content["text"] for one in found))


async def test_ten_thousand_pictures_are_told_in_short_and_readable_whole(fal: Emulator, host: Host):
    output = {"images": [{"url": f"https://v3.fal.media/files/{n}.png"} for n in range(10_000)], "seed": 7}
    fal.script(ENDPOINT, Script(output=output))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            data = result.structured_content
            whole_again = await all_parts(client, data["job_id"], data["output_parts"])
            beyond = await client.call_tool("get_job", {"job_id": data["job_id"], "part": data["output_parts"] + 1})
    assert len(result.model_dump_json()) <= MEBIBYTE // 4
    assert "10,000 files came out; 200 of them are told here" in text(result) and len(data["files"]) == 200
    assert f"get_job with part, 1 to {data['output_parts']}" in text(result)
    assert data["output"]["images"][-1] == {"left_out": 10_000 - (len(data["output"]["images"]) - 1)}
    assert data["output"]["seed"] == 7 and whole_again == output
    assert beyond.is_error and "no part" in text(beyond)


async def test_sixty_megabytes_of_json_are_an_answer_of_one_screen(fal: Emulator, host: Host):
    output = {"chunks": [{"text": "word " * 200, "at": n} for n in range(58_000)]}
    fal.script(ENDPOINT, Script(output=output))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            data = result.structured_content
            last = await client.call_tool("get_job", {"job_id": data["job_id"], "part": data["output_parts"]})
    assert len(json.dumps(output)) > 58_000_000 and len(result.model_dump_json()) <= 100_000
    assert json.dumps(output, separators=(",", ":")).endswith(last.structured_content["text"])


async def test_what_is_nested_too_deep_is_kept_as_text(fal: Emulator, host: Host):
    deep: Any = "bottom"
    for _ in range(400):
        deep = {"a": deep}
    fal.script(ENDPOINT, Script(output={"tree": deep, "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            data = result.structured_content
            found = await client.call_tool("get_job", {"job_id": data["job_id"], "part": 1})
    assert not result.is_error and "bottom" in found.structured_content["text"]


async def test_bytes_in_an_answer_become_a_file_with_a_name_that_models_take(fal: Emulator, host: Host, tmp_path: Path):
    """`sync_mode` answers with data URIs: one has filled whole conversations (fact M5.4)."""
    picture = encoded("a pier", 1, 400, 300, "image/png")
    uri = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    fal.script(ENDPOINT, Script(output={"images": [{"url": uri, "content_type": "image/png"}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host(data=tmp_path, previews=True) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            data = result.structured_content
            name = f"fal://jobs/{data['job_id']}/files/1"
            read = await client.read_resource(name)
            job = await client.read_resource(f"fal://jobs/{data['job_id']}")
            used = await client.call_tool("clarityai_crystal-upscaler", {"image_url": name})
            missing = f"fal://jobs/{data['job_id']}/files/2"
            with pytest.raises(MCPError, match="no resource"):
                await client.read_resource(missing)
    (file,) = data["files"]
    assert uri not in result.model_dump_json() and file["url"] == name
    assert data["output"]["images"][0]["url"] == "file 1"
    path = anyio.Path(file["path"])
    assert await path.read_bytes() == picture and path.is_relative_to(tmp_path / "files")
    assert isinstance(read.contents[0], types.BlobResourceContents)
    assert base64.b64decode(read.contents[0].blob) == picture
    assert isinstance(job.contents[0], types.TextResourceContents) and '"completed"' in job.contents[0].text
    assert not used.is_error and json.loads([c for c in fal.calls if c.method == "POST"][-1].body)["image_url"] == uri
    assert [block.type for block in result.content].count("image") == 1


async def test_a_long_result_that_fal_does_not_keep_is_kept_here(fal: Emulator, host: Host, tmp_path: Path):
    output = {"text": "word " * 300_000}
    fal.script(ENDPOINT, Script(output=output))
    run = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "x"}, "mode": "sync"}
    with anyio.fail_after(BOUND):
        async with host(data=tmp_path) as client:
            data = (await client.call_tool("run_model", run)).structured_content
            again = await all_parts(client, data["job_id"], data["output_parts"])
    assert again == output


async def test_nothing_invisible_reaches_the_answer(fal: Emulator, host: Host):
    output = {"text": "a\u202eb\x1b[31mc\u200bd", "nested": {"caption": "e\u2066f\x00g"}}
    fal.script(ENDPOINT, Script(output=output))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            part = await client.call_tool("get_job", {"job_id": result.structured_content["job_id"], "part": 1})
    assert result.structured_content["output"] == {"text": "abcd", "nested": {"caption": "efg"}}
    assert not any(c in text(result) + text(part) for c in "\u202e\x1b\u200b\u2066\x00")
    assert json.loads(part.structured_content["text"]) == output


@within(max_examples=60, deadline=None)
@given(Json)
def test_what_is_told_is_within_the_budget_and_says_when_it_is_not_all(value: Any):
    short, is_cut = shortening.shortened(value)
    assert len(json.dumps(short, ensure_ascii=False)) <= shortening.BUDGET
    again, cut_again = shortening.shortened(short)
    assert again == short and (is_cut or not cut_again)


@within(max_examples=60, deadline=None)
@given(Json)
def test_the_parts_are_the_whole(value: Any):
    count = shortening.parts(value)
    assert json.loads("".join(shortening.part(value, n) for n in range(1, count + 1))) == value
    assert shortening.part(value, count + 1) == ""
