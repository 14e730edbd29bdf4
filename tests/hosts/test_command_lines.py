"""Claude Code, Codex, Gemini CLI and opencode with a scripted model: it can go on with what it is handed."""

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.hosts import model as scripted
from tests.hosts.command_lines import HOSTS, Run
from tests.hosts.examined import HELD, RAN, STEPS, Seen, examine
from tests.hosts.model import Model, Step
from tests.hosts.ways import HTTP, STDIO, TOKEN, Server, reached
from tests.server.stdio_host import Start

BOUND = 300
RUNS = [(host, way) for host in HOSTS for way in (STDIO, HTTP, TOKEN)]


@pytest.fixture
def programs(prepared: Path) -> Path:
    """Where npm put the hosts' commands."""
    return prepared / "node" / "node_modules" / ".bin"


def need(host: str, programs: Path) -> None:
    if not (programs / HOSTS[host][0]).exists():
        pytest.skip(f"{host} cannot be had here")


def configured(host: str, programs: Path, home: Path, url: str, server: Server) -> Run:
    _, configure = HOSTS[host]
    home.mkdir()
    return configure(programs, home, url, server)


def surroundings(run: Run, home: Path, programs: Path) -> dict[str, str]:
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "CI": "1", **run.environment}


async def ran(run: Run, home: Path, programs: Path) -> str:
    """What the host printed, once it has ended."""
    here = home / "here"
    here.mkdir(exist_ok=True)
    environment = surroundings(run, home, programs)
    done = await anyio.run_process(
        run.command, check=False, env=environment, cwd=here, stdin=None, input=b"", stderr=-2
    )
    return done.stdout.decode("utf-8", "replace")


@asynccontextmanager
async def model(steps: list[Step]) -> AsyncGenerator[tuple[Model, str]]:
    made = Model(steps)
    async with scripted.served(made) as url:
        yield made, url


@pytest.mark.parametrize(("host", "way"), RUNS, ids=str)
async def test_its_model_can_go_on_with_what_it_is_handed(
    host: str, way: str, programs: Path, settings: Settings, fal: Emulator, tmp_path: Path, cells: dict[str, str]
):
    need(host, programs)
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path, "--wait", "5")
    home = tmp_path / "host"
    with anyio.fail_after(BOUND):
        async with reached(way, start) as server, model(STEPS) as (asked, url):
            printed = await ran(configured(host, programs, home, url, server), home, programs)
    ours = [tool["name"] for tool in json.loads(start.kept.read().answers["tools/list 2026-07-28"])["tools"]]
    handed = [asked.handed(step) for step in range(len(asked.requests) - 1)]
    told = f"{printed[-3000:]}\nturns: {len(asked.requests)}, besides: {asked.strange[-10:]}"
    seen = Seen(asked.listed[0] if asked.listed else [], handed, "picture:" in "".join(handed[RAN : RAN + 1]), told)
    examine(seen, ours, cells)
