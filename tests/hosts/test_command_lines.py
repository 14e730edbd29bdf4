"""Claude Code, Codex, Gemini CLI and opencode with a scripted model: it can go on with what it is handed."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.start import busy
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.hosts import model as scripted
from tests.hosts.command_lines import HOSTS, Run, Server
from tests.hosts.model import Model, Step
from tests.server.stdio_host import Start

BOUND = 150
HELD = "fal-ai/veo3"
STEPS = [
    Step("search_models", {"query": "text to image"}),
    Step("get_model", {"endpoint_id": "fal-ai/flux/schnell"}),
    Step("run_model", {"endpoint_id": "fal-ai/flux/schnell", "arguments": {"prompt": "a red bicycle"}}),
    Step("run_model", {"endpoint_id": "fal-ai/flux/schnell", "arguments": {"prompt": "x", "num_images": "many"}}),
    Step("run_model", {"endpoint_id": HELD, "arguments": {"prompt": "a wave"}}),
    Step("list_jobs", {}),
]
SEARCHED, READ, RAN, REFUSED, LONG, LISTED = range(len(STEPS))
SHOWS_PICTURES = {"Claude Code", "Gemini CLI"}
"""The others' hosts hand on text or data alone, as they were measured."""


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, prepared: Path) -> str:
    binary, _ = HOSTS[request.param]
    if not (prepared / "node" / "node_modules" / ".bin" / binary).exists():
        pytest.skip(f"{request.param} cannot be had here")
    return request.param


def configured(host: str, prepared: Path, home: Path, url: str, start: Start) -> Run:
    binary, configure = HOSTS[host]
    assert binary
    home.mkdir()
    server = Server(sys.executable, ["-m", "fal_mcp", *start.arguments], start.environment)
    return configure(prepared / "node" / "node_modules" / ".bin", home, url, server)


async def ran(run: Run, home: Path, prepared: Path) -> str:
    """What the host printed, once it has ended."""
    here = home / "here"
    here.mkdir(exist_ok=True)
    path = f"{prepared / 'node' / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "CI": "1", **run.environment}
    done = await anyio.run_process(
        run.command, check=False, env=environment, cwd=here, stdin=None, input=b"", stderr=-2
    )
    return done.stdout.decode("utf-8", "replace")


@asynccontextmanager
async def model(steps: list[Step]) -> AsyncGenerator[tuple[Model, str]]:
    made = Model(steps)
    async with scripted.served(made) as url:
        yield made, url


def mark(cells: dict[str, str], cell: str, is_so: Any) -> bool:
    cells[cell] = "yes" if is_so else "NO"
    return bool(is_so)


async def test_its_model_can_go_on_with_what_it_is_handed(
    host: str, prepared: Path, settings: Settings, fal: Emulator, tmp_path: Path, cells: dict[str, str]
):
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path, "--wait", "1")
    with anyio.fail_after(BOUND):
        await start.warm()
        async with model(STEPS) as (asked, url):
            home = tmp_path / "host"
            printed = await ran(configured(host, prepared, home, url, start), home, prepared)
    told = f"{printed[-3000:]}\nturns: {len(asked.requests)}, besides: {asked.strange[-10:]}"
    assert mark(cells, "connects", asked.listed), told
    ours = [tool["name"] for tool in json.loads(start.kept.read().answers["tools/list 2026-07-28"])["tools"]]
    # Codex tells its model of tools without dashes.
    listed_names = [name.replace("-", "_") for name in asked.listed[0]]
    cells["tools"] = str(sum(any(name.endswith(one.replace("-", "_")) for name in listed_names) for one in ours))
    assert cells["tools"] == str(len(ours)), asked.listed[0]
    assert len(asked.requests) > len(STEPS), told
    searched, read, done, refused, long, listed = (asked.handed(step) for step in range(len(STEPS)))
    finds = "fal-ai/flux" in searched
    reads = all(name in read for name in ("prompt", "num_images", "image_size"))
    assert mark(cells, "finds and reads", finds and reads), f"{searched}\n\n{read}"
    assert mark(cells, "runs", "/files/" in done or "https://" in done or "http://" in done), done
    assert mark(cells, "refusal", "num_images" in refused), refused
    assert mark(cells, "long call", "job_id" in long and "wait_for_job" in long), long
    assert HELD in listed, listed
    shows = "picture:" in done
    cells["pictures"] = "yes" if shows else "no"
    assert shows or host not in SHOWS_PICTURES, done


@pytest.mark.parametrize("loops", [0, 2], ids=["idle", "beside two busy loops"])
async def test_codex_has_the_tools_in_its_first_turn(loops: int, prepared: Path, settings: Settings, tmp_path: Path):
    """Since 0.147 it gives a server about a second and then goes on without its tools, and says nothing."""
    if not (prepared / "node" / "node_modules" / ".bin" / "codex").exists():
        pytest.skip("Codex cannot be had here")
    start = Start(settings, tmp_path)
    had: list[bool] = []
    with anyio.fail_after(4 * BOUND):
        await start.warm()
        with busy(loops):
            for number in range(10):
                async with model([]) as (asked, url):
                    home = tmp_path / f"codex{number}"
                    await ran(configured("Codex", prepared, home, url, start), home, prepared)
                had.append(bool(asked.listed))
    assert had == [True] * 10
