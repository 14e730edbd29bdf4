"""The first page is the one that counts: several hosts read no other, and say nothing of it."""

from dataclasses import replace
from typing import Any

import anyio
import pytest
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.server import app

BOUND = 60
FINDERS_AND_RUNNERS = {"search_models", "get_model", "run_model", "wait_for_job", "get_job", "list_jobs", "cancel_job"}
PINS = ("fal-ai/veo3", "fal-ai/whisper", "fal-ai/flux/schnell")
PINNED = {"fal-ai_veo3", "fal-ai_whisper", "fal-ai_flux_schnell"}
EVERYTHING = (*TOOLSETS, *MORE_TOOLSETS)


async def pages(settings: Settings, **chosen: Any) -> list[list[str]]:
    async with Client(app.build(replace(settings, pins=PINS, **chosen))) as client:
        page = await client.list_tools()
        found = [[tool.name for tool in page.tools]]
        while page.next_cursor:
            page = await client.list_tools(cursor=page.next_cursor)
            found.append([tool.name for tool in page.tools])
        return found


@pytest.mark.parametrize(
    "toolsets", [TOOLSETS, EVERYTHING, tuple(reversed(EVERYTHING))], ids=["usual", "all", "turned"]
)
@pytest.mark.parametrize(
    "listed", [("pinned",), ("all",), ("all", "pinned"), ("text-to-video", "pinned")], ids=",".join
)
@pytest.mark.parametrize("size", [40, 100])
async def test_what_finds_and_runs_and_every_pin_is_on_the_first_page(
    settings: Settings, toolsets: tuple[str, ...], listed: tuple[str, ...], size: int
):
    with anyio.fail_after(BOUND):
        first, *_ = await pages(settings, toolsets=toolsets, listed=listed, page_size=size)
    assert FINDERS_AND_RUNNERS | PINNED <= set(first)


@pytest.mark.parametrize("size", [1, 7, 100, 0])
async def test_every_page_size_lists_the_same_tools_in_the_same_order(settings: Settings, size: int):
    with anyio.fail_after(BOUND):
        (whole,) = await pages(settings, listed=("all",), page_size=0)
        found = await pages(settings, listed=("all",), page_size=size)
    assert [name for page in found for name in page] == whole and len(set(whole)) == len(whole)
    assert size == 0 or max(map(len, found)) == min(size, len(whole))


@pytest.mark.parametrize(("given", "size"), [("0", 0), ("250", 250), (None, 100)])
def test_the_size_is_a_setting(given: str | None, size: int):
    env = {} if given is None else {"FAL_MCP_PAGE_SIZE": given}
    assert Settings.from_env(env).page_size == size
    with pytest.raises(ValueError, match="page"):
        Settings.from_env({}, page_size="-1")
