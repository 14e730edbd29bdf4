"""A real process ended with `kill -9` at a random moment of a call that is then made again: one job, and its result.

`pytest tests/faults/test_killed.py --kills 30` does it thirty times.
"""

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.server.test_kill import ENDPOINT, TOOL, server

BOUND = 60
LATEST = 0.9
"""Seconds after the call at which it is killed, at most: the job takes about half of it."""
IS_OVER = ("completed", "failed", "cancelled", "lost")


async def test_killed_at_any_moment_the_same_call_again_gets_the_one_job(
    fal: Emulator, settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
):
    fal.script(ENDPOINT, Script(queue_position=1, queue_seconds=0.1, step_seconds=0.08))
    chance, wrong = random.Random(7), list[str]()
    for number in range(int(request.config.getoption("--kills", 6) or 6)):
        wish: dict[str, Any] = {"prompt": f"bicycle {number}", "image_size": {"width": 1000, "height": 1000}}
        if chance.random() < 0.5:
            wish["seed"] = number
        moment, data, before = chance.uniform(0, LATEST), tmp_path / str(number), set(fal.jobs)
        with anyio.fail_after(BOUND):
            async with server(settings, data) as first:
                await first.send("tools/call", {"name": TOOL, "arguments": wish})
                await anyio.sleep(moment)
                first.kill()
                await first.process.wait()
            async with server(settings, data) as second:
                result = await second.call(TOOL, wish)
                while result.get("job_id") and result.get("status") not in IS_OVER:
                    result = await second.call("wait_for_job", {"job_id": result["job_id"], "seconds": 1})
                listed = await second.call("list_jobs", {})
        mine = [job for request_id, job in fal.jobs.items() if request_id not in before]
        billed = sum(charge.amount or 0 for charge in fal.bill if charge.request_id not in before)
        if len(mine) != 1 or result.get("status") != "completed" or abs(listed["spent_today_usd"] - billed) > 1e-4:
            about = f"{len(mine)} jobs, {result.get('status')}, {listed['spent_today_usd']} of {billed} USD"
            wrong.append(f"kill {number} after {moment:.3f} s, {wish}: {about}")
    assert not wrong, "\n".join(wrong)
