"""The examples that need no framework of anybody's, run as they stand against a local fal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

import fal_mcp
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from tests.conftest import KEY, UNKNOWN_KEY

ROOT = Path(fal_mcp.__file__).parents[1]
EXAMPLES = ROOT / "examples"
LONGEST = 40
"""Lines that somebody reads before they go on."""
BOUND = 60


async def run(folder: Path, *command: str, **more: str) -> tuple[int, str]:
    """What a command says, started in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(
            [sys.executable, "-W", "error", *command],
            env=environment,
            cwd=folder,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("name", ["client_library.py", "emulator_in_tests.py"])
def test_an_example_is_short(name: str):
    assert len((EXAMPLES / name).read_text("utf-8").splitlines()) <= LONGEST


async def test_the_client_by_itself_makes_a_picture(fal: Emulator, settings: Settings, tmp_path: Path):
    url = settings.hosts.api.removesuffix("/api")
    code, said = await run(tmp_path, str(EXAMPLES / "client_library.py"), "a", "pier", FAL_KEY=KEY, FAL_URL=url)
    assert (code, said.splitlines()[-1]) == (0, "picture.png"), said
    assert [job.input for job in fal.jobs.values()] == [{"prompt": "a pier"}]
    assert await anyio.Path(tmp_path, "picture.png").read_bytes() == next(iter(fal.files.values())).content


async def test_what_goes_wrong_is_said_in_a_sentence(fal: Emulator, settings: Settings, tmp_path: Path):
    url = settings.hosts.api.removesuffix("/api")
    code, said = await run(tmp_path, str(EXAMPLES / "client_library.py"), FAL_KEY=UNKNOWN_KEY, FAL_URL=url)
    assert code == 1 and "Traceback" not in said and "FAL_KEY" in said and fal.jobs == {}


async def test_the_emulator_stands_in_for_fal_in_tests(tmp_path: Path):
    # Beside this project's own configuration it would be run by that.
    example = shutil.copy(EXAMPLES / "emulator_in_tests.py", tmp_path)
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:asyncio")
    code, said = await run(tmp_path, "-m", "pytest", *options, str(example))
    assert code == 0 and "2 passed" in said, said
