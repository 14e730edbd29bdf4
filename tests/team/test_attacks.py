"""Every attack of the table, over a real socket; and the page that is made from the table.

`UPDATE_SNAPSHOTS=1 pytest tests/team/test_attacks.py` writes `docs/security.md` anew.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.toolset_table import MORE_TOOLSETS, TOOLSETS
from tests.team.attacks import framing, names, tenants, tokens
from tests.team.attacks.table import ATTACKS, Attack
from tests.team.bench import BOUND, team

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
AREAS = (names, framing, tokens, tenants)
HEAD = Path(__file__).with_name("security.md").read_text("utf-8")


def page() -> str:
    """The page, made of the table."""
    areas = list(dict.fromkeys(row.area for row in ATTACKS))
    parts = [HEAD]
    for area in areas:
        rows = [f"| {row.what} | {row.meets} |" for row in ATTACKS if row.area == area]
        parts.append("\n".join([f"### {area}\n", "| tried | met |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.attempt.__name__ + f"-{ATTACKS.index(row)}")
async def test_an_attack_meets_what_the_table_says(row: Attack, fal: Emulator, settings: Settings, tmp_path: Path):
    own: dict[str, Any] = {"tokens": None, "issuer": None, "public_url": None, "own_keys": True, "key": None}
    more = own if row.own_keys else {}
    settings = replace(settings, toolsets=(*TOOLSETS, *MORE_TOOLSETS), admin_key=settings.key, task_grace=0.05)
    if row.asks:
        settings = replace(settings, approve_over=0.0)
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path, **more) as here:
            await row.attempt(here, fal)
            if row.area == tokens.TOKENS:
                # Else everything would be refused, and every row would seem to hold.
                assert (await here.with_token(here.issuer.token())).status_code == 200


def test_the_table_is_long_and_no_row_is_there_twice():
    assert len(ATTACKS) >= 60 and len({row.what for row in ATTACKS}) == len(ATTACKS) and len(AREAS) == 4


def test_the_page_says_what_the_table_says():
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()
