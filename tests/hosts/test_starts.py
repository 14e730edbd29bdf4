"""How often a host that gives a server about a second has its tools; run alone, since that is a matter of time."""

from pathlib import Path

import anyio
import pytest

from benchmarks.start import busy
from fal_mcp.config import Settings
from tests.hosts.test_command_lines import configured, model, need, ran
from tests.hosts.test_frameworks import command, told
from tests.hosts.test_frameworks import need as need_framework
from tests.hosts.ways import launched
from tests.server.stdio_host import Start

BOUND = 600


@pytest.fixture
def programs(prepared: Path) -> Path:
    return prepared / "node" / "node_modules" / ".bin"


@pytest.mark.parametrize("loops", [0, 2], ids=["idle", "beside two busy loops"])
async def test_codex_has_the_tools_in_its_first_turn(loops: int, programs: Path, settings: Settings, tmp_path: Path):
    """Since 0.147 it gives a server about a second and then goes on without its tools, and says nothing."""
    need("Codex", programs)
    start = Start(settings, tmp_path)
    had: list[bool] = []
    with anyio.fail_after(BOUND):
        await start.warm()
        with busy(loops):
            for number in range(10):
                async with model([]) as (asked, url):
                    home = tmp_path / f"codex{number}"
                    await ran(configured("Codex", programs, home, url, launched(start)), home, programs)
                had.append(bool(asked.listed))
    assert had == [True] * 10


@pytest.mark.parametrize("loops", [0, 2], ids=["idle", "beside two busy loops"])
async def test_the_ai_sdk_connects_in_twenty_of_twenty_starts(
    loops: int, prepared: Path, settings: Settings, tmp_path: Path
):
    """It gives `server/discover` one second, and then shakes hands on the same pipe."""
    need_framework("node", prepared)
    start = Start(settings, tmp_path)
    connected: list[bool] = []
    with anyio.fail_after(BOUND):
        await start.warm()
        with busy(loops):
            for _ in range(20):
                seen = await told(command("node", "ai_sdk.mjs", prepared, launched(start), []), start)
                connected.append(bool(seen.tools))
    assert connected == [True] * 20
