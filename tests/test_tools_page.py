"""`docs/tools.md`, made from the tools themselves, and held to them: every toolset, every tool, every operation.

`UPDATE_SNAPSHOTS=1 pytest tests/test_tools_page.py` writes it anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.server.tool_list import listed
from fal_mcp.tools.tool import Tool
from fal_mcp.toolset_table import TABLE
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox

SETS = tuple(TABLE)
PAGE = Path(__file__).parents[1] / "docs" / "tools.md"
HEAD = """\
# Every tool

Made from the tools by `UPDATE_SNAPSHOTS=1 pytest tests/test_tools_page.py`; a test holds it to them. Besides these,
every model of fal's catalog is a tool of its own. `--toolsets` names the sets to have, `all` is all of them; without it
there are {usual}.

*Effect*: what only `reads` is all that `--read-only` leaves; what `destroys` is asked of the user first, or wants its
name repeated in `confirm`; what `spends` is held to the budgets. *Key*: `user` is `FAL_KEY`, `admin` is
`FAL_ADMIN_KEY`.
"""
MOST_PLATFORM, MOST_DEFAULT, MOST_USAGE, MOST_NEEDED = 60_000, 32_000, 8_000, 8_000


def made(*toolsets: str, pinned: bool = False) -> list[Tool]:
    """The tools of these sets, as they are offered with both keys."""
    chosen = Selection(("pinned",) if pinned else ("search",), Settings().pins)
    box = Toolbox(Catalog(Folder(bundled.schemas() / "models")), chosen, toolsets, has_admin_key=True)
    return [tool for name in box.names() if (tool := box.get(name) or box.models.of(name))]


def weight(tools: list[Tool]) -> int:
    """Bytes of their list on the wire."""
    text = json.dumps({"tools": [listed(tool) for tool in tools]}, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


def lines() -> Iterator[str]:
    """The page."""
    yield HEAD.format(usual=", ".join(f"`{name}`" for name in TOOLSETS))
    for name in SETS:
        yield f"## `{name}`\n"
        yield "| tool | what | effect | key |\n|---|---|---|---|"
        for tool in made(name):
            yield f"| `{tool.name}` | {' '.join(tool.description.split())} | {tool.effect} | {tool.key} |"
        yield ""
    yield "## Operations of the Platform API that are no tools\n"
    yield from (f"- `{operation_id}`: {reason}" for operation_id, reason in platform.NOT_TOOLS.items())


def test_the_page_says_what_there_is():
    page = "\n".join(lines()) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page


def test_every_toolset_can_be_asked_for_by_name():
    """Its makers are imported by the names in the table: one that is misspelt there would show nowhere else."""
    assert [name for name in SETS if not made(name)] == []
    assert Settings().toolsets == TOOLSETS and {*TOOLSETS, *MORE_TOOLSETS} == set(SETS)


def test_every_operation_is_behind_the_tool_that_it_is_said_to_be_behind():
    names = {tool.name for tool in made(*SETS)}
    assert set(platform.HAND_MADE.values()) <= names
    assert {name for table in platform.TABLE.values() for _, name, _ in table} <= names


def test_the_lists_stay_within_their_budgets():
    """The whole Platform in 60 KB; of it by default 8 KB; what runs any model in 8, the default list in 32."""
    mine = [name for name in SETS if name not in ("models", "jobs", "storage")]
    assert weight(made(*mine)) <= MOST_PLATFORM
    assert weight(made("usage")) <= MOST_USAGE
    assert weight(made("models", "jobs")) <= MOST_NEEDED
    assert weight(made(*TOOLSETS, pinned=True)) <= MOST_DEFAULT
