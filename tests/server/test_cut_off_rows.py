"""What went without the queue, and whose server was killed in the middle: nobody is told to wait for what never
comes."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.jobs.job import Order, Way
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.server import app

BOUND = 60
ENDPOINT = "fal-ai/flux/dev"


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def ledger_in(folder: Path) -> tuple[Path, str]:
    """The ledger's file, and whose its jobs are."""
    (file,) = folder.glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as database:
        return file, database.execute("SELECT owner FROM job").fetchone()[0]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("way", "look"),
    [("sync", "run it again"), ("stream", "run it again"), ("realtime", "run it again"), ("compute", "list_instances")],
)
async def test_what_was_cut_off_is_not_said_to_go_on(
    fal: Emulator, settings: Settings, tmp_path: Path, mode: Any, way: Way, look: str
):
    here = replace(settings, data=tmp_path)
    with anyio.fail_after(BOUND):
        async with Client(app.build(here)) as client:
            await client.call_tool("run_model", {"endpoint_id": ENDPOINT, "arguments": {"prompt": "x"}})
        file, owner = ledger_in(tmp_path)
        # What a server that is killed leaves: a row, and nobody who holds its lock.
        ledger = Ledger(file)
        job = await ledger.begin(Order(ENDPOINT, {"prompt": "y"}, owner, 0.5, way=way), Limits())
        await ledger.aclose()
        async with Client(app.build(here), mode=mode) as client:
            answers = [await client.call_tool(tool, {"job_id": job.job_id}) for tool in ("wait_for_job", "get_job")]
            listed = await client.call_tool("list_jobs", {})
    for answer in answers:
        data = answer.structured_content
        assert data["status"] == "unknown" and "poll_after_s" not in data
        assert look in data["next"] and look in text(answer)
        assert "goes on" not in text(answer) and "looked for" not in text(answer)
    assert listed.structured_content["spent_today_usd"] > 0.5
