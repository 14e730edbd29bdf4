"""What whole conversations cost the model that holds them: every character it is handed, counted over the wire.

Hosts hand their models an answer's text or its structured content, so each is counted by itself. Four characters are
a token, and pictures are not counted. The default list of tools is counted once, as hosts hand it on: names,
descriptions and input schemas, about 6,640 tokens of the 8,000.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client import Client
from PIL import Image

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.json_values import dumped
from fal_mcp.server import app
from fal_mcp.tools import from_operation
from fal_mcp.toolsets.platform import operations

FLUX, KONTEXT = "fal-ai/flux/dev", "fal-ai/flux-pro/kontext"
ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
BOUND = 40
MOST = 8_000 * 4
LONGEST_LIST = 32 * 1024
MOST_OF_A_BATCH = 2_560
Host = Callable[..., Client]


@dataclass(slots=True)
class Count:
    """One conversation's characters: the list's, and those of all answers by text and by data."""

    client: Client
    listed: int = 0
    texts: int = 0
    data: int = 0

    async def call(self, tool: str, **arguments: Any) -> tuple[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))
        assert not result.is_error, text
        self.texts += len(text)
        self.data += len(dumped(result.structured_content))
        return text, result.structured_content


def handed(tool: types.Tool) -> str:
    return dumped({"name": tool.name, "description": tool.description, "input_schema": tool.input_schema})


@asynccontextmanager
async def counted(client: Client) -> AsyncGenerator[Count]:
    """A conversation, bounded by text and by data when it is over."""
    with anyio.fail_after(BOUND):
        async with client:
            tools = (await client.list_tools()).tools
            count = Count(client, sum(len(handed(tool)) for tool in tools))
            whole = sum(len(tool.model_dump_json(exclude_none=True)) for tool in tools)
            yield count
            assert whole <= LONGEST_LIST
            assert count.listed + max(count.texts, count.data) <= MOST, count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    Image.new("RGB", (640, 480), "teal").save(made / "pier.png")
    return made


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, fal: Emulator, settings: Settings, tmp_path: Path, folder: Path) -> Host:
    fal.admin_keys.add(ADMIN)

    def client(**changes: Any) -> Client:
        chosen = replace(settings, admin_key=ADMIN, data=tmp_path / "data", allow_dirs=(folder,), **changes)
        return Client(app.build(chosen), mode=request.param)

    return client


async def test_find_price_upload_run_and_vary(host: Host, folder: Path):
    async with counted(host()) as it:
        await it.call("search_models", query="image editing: image and prompt to image")
        await it.call("get_model", endpoint_id=KONTEXT)
        _, uploaded = await it.call("upload_file", path=str(folder / "pier.png"))
        wish = {"endpoint_id": KONTEXT, "arguments": {"prompt": "the same pier at night", "image_url": uploaded["url"]}}
        await it.call("estimate_cost", **wish)
        _, ran = await it.call("run_model", **wish)
        again = {"prompt": "now in the rain", "image_url": ran["files"][0]["url"]}
        await it.call("run_model", endpoint_id=KONTEXT, arguments=again)


async def test_a_long_film(fal: Emulator, host: Host):
    film = "fal-ai/veo3"
    fal.script(film, Script(hold_running=True))
    async with counted(host()) as it:
        await it.call("search_models", query="text to video with audio")
        await it.call("get_model", endpoint_id=film)
        _, begun = await it.call("run_model", endpoint_id=film, arguments={"prompt": "a pier in a storm"}, seconds=0)
        await it.call("wait_for_job", job_id=begun["job_id"], seconds=0)
        (job,) = fal.jobs.values()
        job.release()
        _, made = await it.call("wait_for_job", job_id=begun["job_id"])
        _, looked = await it.call("get_job", job_id=begun["job_id"])
    assert looked == {**made, "cost": looked["cost"]}, "the same answer, whichever of the two is asked"


async def test_a_batch_of_eight(host: Host):
    async with counted(host()) as it:
        await it.call("search_models", query="flux dev: text to image", limit=5)
        await it.call("get_model", endpoint_id=FLUX)
        prompts = [{"prompt": f"a pier in month {number}"} for number in range(1, 9)]
        text, data = await it.call("run_batch", endpoint_id=FLUX, arguments=prompts)
    assert len(text) + len(dumped(data)) <= MOST_OF_A_BATCH
    # Whatever comes next needs the job or the file of one run, and either half has both.
    for job_id, url in ((item["job_id"], item["files"][0]["url"]) for item in data["items"]):
        assert job_id in text and url in text
    assert data["every_run"]["cost"]["usd"] * 8 == pytest.approx(data["usd"])
    assert data["every_file"]["kind"] == "image"


async def test_what_did_we_spend(host: Host):
    """The table says in text what the columns and rows say in data, and where it goes on."""
    async with counted(host()) as it:
        await it.call("get_usage")
        text, data = await it.call("get_billing_events", limit=20)
    head, common, columns, *rows = [line.split(" | ") for line in text.splitlines()]
    assert common == [f"Every row: {dumped(data['every_row']).replace(' ', '')}"]
    assert data["next_cursor"] in head[0] and columns == data["columns"]
    assert rows == [["-" if cell is None else str(cell) for cell in row] for row in data["billing_events"]]
    assert len(rows) == 20 and len(text) + len(dumped(data)) <= 20 * 2 * 160


ODD = (None, 1, 0.5, True, "plain", "\u2028", "\x00", "a | b", "|", "a\nb", "", {"a": "|"}, {"d": 2}, ["x | y"])


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c", "b.d"]), st.sampled_from(ODD)), min_size=1, max_size=6))
def test_no_value_moves_a_column_of_the_table(rows: list[dict[str, Any]]):
    outcome = from_operation.said(operations()["getBillingEvents"], {"billing_events": rows})
    _, *lines = outcome.note.split("\n")
    columns = outcome.data.get("columns")
    if columns:
        in_table = [line for line in lines if not line.startswith("Every row: ")]
        assert [len(line.split(" | ")) for line in in_table] == [len(columns)] * (len(rows) + 1)
        assert [len(row) for row in outcome.data["billing_events"]] == [len(columns)] * len(rows)


async def test_why_is_my_app_slow(host: Host):
    async with counted(host(toolsets=("serverless",))) as it:
        _, apps = await it.call("list_apps", search="sketch")
        (own,) = apps["apps"]
        await it.call("get_app_analytics", endpoint_id=[own["endpoint_id"]])
        await it.call("get_runner_history", owner=own["owner"], name=own["name"])
        await it.call("search_app_logs", app_id=[own["endpoint_id"]], level="warning")


@pytest.mark.parametrize("words", ["the photo I sent you", "a cat on a sofa", "[image]", "job_123", "file 1", "Katze"])
@pytest.mark.parametrize("tool", ["run_model", "run_batch"])
async def test_words_where_a_file_is_wanted(fal: Emulator, host: Host, tool: str, words: str):
    """What is accepted is said, by text and by data, and nothing is begun."""
    given = {"prompt": "x", "image_url": words}
    with anyio.fail_after(BOUND):
        async with host() as client:
            arguments = given if tool == "run_model" else [given]
            result = await client.call_tool(tool, {"endpoint_id": KONTEXT, "arguments": arguments})
    text = "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))
    for told in (text, dumped(result.structured_content)):
        assert f"{words!r} is no file" in told and "https URL" in told and "fal://jobs/" in told and "image_url" in told
    assert not fal.jobs
