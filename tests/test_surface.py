"""What a model reads: a snapshot of every tool that can be listed, and of the server's instructions.

`UPDATE_SNAPSHOTS=1 pytest tests/test_surface.py` writes them anew; read the difference.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client

from fal_mcp import bundled
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.server import app

FOLDER = Path(__file__).parent / "tools"


async def listed(settings: Settings) -> dict[str, Any]:
    """Every tool of the list, page by page."""
    found: dict[str, Any] = {}
    async with Client(app.build(settings)) as client:
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found |= {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                return found


@pytest.fixture
async def tools() -> dict[str, Any]:
    return await listed(
        Settings(listed=("all",), toolsets=(*TOOLSETS, *MORE_TOOLSETS), models=bundled.schemas() / "models")
    )


def test_every_tool_reads_as_its_snapshot(tools: dict[str, Any]):
    if os.environ.get("UPDATE_SNAPSHOTS"):
        for file in FOLDER.glob("*.json"):
            file.unlink()
        for name, tool in tools.items():
            (FOLDER / f"{name}.json").write_text(json.dumps(tool, indent=1, ensure_ascii=False) + "\n", "utf-8")
    known = {file.stem: json.loads(file.read_text("utf-8")) for file in FOLDER.glob("*.json")}
    assert sorted(known) == sorted(tools)
    for name, tool in tools.items():
        assert json.loads(json.dumps(tool)) == known[name], f"tests/tools/{name}.json differs"


def test_every_tool_says_what_it_is_for_and_what_it_costs(tools: dict[str, Any]):
    for tool in tools.values():
        assert len(tool["description"]) <= 1000
        if "fal/endpoint_id" in tool.get("_meta", {}):
            assert "Costs " in tool["description"], tool["name"]


async def test_realtime_is_listed_where_it_is_asked_for(tools: dict[str, Any]):
    """The default list has a budget, and few models have realtime."""
    usual = await listed(Settings(listed=("search",), toolsets=TOOLSETS, models=bundled.schemas() / "models"))
    realtime = {name for name in tools if "realtime" in name}
    assert len(realtime) == 4 and realtime & usual.keys() == set()
