"""Paid work: many at once, long ones, and what a full ledger adds to a start."""

import statistics
import tempfile
import time
from pathlib import Path

import anyio
from mcp.client import Client

from benchmarks import call, start
from fal_mcp import bundled
from fal_mcp.client.queue import Request
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.jobs.job import Order
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.server import app

Figure = tuple[str, float, float, str]
AT_ONCE = 100
UNFINISHED = 1000
SECONDS = 3.0


async def at_once() -> list[Figure]:
    """A hundred calls of a job of three seconds, beside one."""
    fal = Emulator(models_dirs=[bundled.schemas() / "models"], keys={call.KEY})
    fal.script(None, Script(steps=4, step_seconds=SECONDS / 4))
    settings = Settings(key=call.KEY, models=bundled.schemas() / "models")
    async with serve(fal) as url:
        server = app.build(Settings(key=call.KEY, hosts=Hosts.at(url), models=settings.models))
        async with Client(server) as client:

            async def one(seed: int) -> None:
                assert not (await client.call_tool("fal-ai_flux_dev", {"prompt": "x", "seed": seed})).is_error

            await one(0)
            began = time.perf_counter()
            await one(1)
            alone = time.perf_counter() - began
            began = time.perf_counter()
            async with anyio.create_task_group() as tasks:
                for seed in range(AT_ONCE):
                    tasks.start_soon(one, 2 + seed)
            together = time.perf_counter() - began
    line = f"{AT_ONCE} calls at once of a job of {SECONDS:g} s: {together:.2f} s, one alone {alone:.2f} s"
    return [(line, together / alone, 2, "times")]


async def long(seconds: float) -> list[Figure]:
    """HTTP requests of a long job."""
    line, count = await call.requests(seconds)
    return [(line, count, 6, "requests")]


def full_ledger() -> list[Figure]:
    """What a thousand unfinished jobs add to the time until `initialize` is answered."""
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as full:
        anyio.run(_fill, Path(full))
        pairs = [(_start(empty), _start(full)) for _ in range(start.ROUNDS)]
    without, with_jobs = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = max(with_jobs - without, 0) * 1000
    return [(f"{UNFINISHED} unfinished jobs add to a start", added, 100, "ms")]


def _start(folder: str) -> float:
    return start.once(
        [*start.ours(bundled.schemas() / "models", "pinned"), "--data-dir", folder], {"FAL_KEY": call.KEY}
    )


async def _fill(folder: Path) -> None:
    ledger = Ledger(folder / "ledger.sqlite3")
    for number in range(UNFINISHED):
        job = await ledger.begin(Order("fal-ai/flux/dev", {"prompt": str(number)}), Limits())
        here = f"http://127.0.0.1:9/queue/{number}"
        await ledger.accepted(
            job.job_id, Request("fal-ai/flux/dev", str(number), f"{here}/status", here, f"{here}/cancel")
        )
    await ledger.aclose()
