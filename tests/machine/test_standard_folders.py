"""A user whom the system does not know, as containers have, and a folder that is gone: it is said what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fal_mcp
from fal_mcp import standard_folders

NOBODY_S = 54_321
BOUND = 60
ROOT = Path(fal_mcp.__file__).parents[1]
AS_NOBODY = ["unshare", "--user", f"--map-user={NOBODY_S}"]
IS_POSSIBLE = (
    shutil.which("unshare") is not None
    and subprocess.run([*AS_NOBODY, "true"], capture_output=True, timeout=BOUND, check=False).returncode == 0
)


def test_what_is_the_program_s_own_has_folders_that_no_working_folder_changes():
    folders = [standard_folders.data(), standard_folders.cache(), standard_folders.config()]
    assert all(folder.is_absolute() and "fal-mcp" in folder.parts for folder in folders)


@pytest.mark.skipif(not IS_POSSIBLE, reason="needs unshare (util-linux) and a kernel that lets anybody use it")
@pytest.mark.parametrize("command", ["doctor", "install cursor --yes", "usage", "serve"])
def test_without_a_home_it_is_said_that_there_is_none(command: str, tmp_path: Path):
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    line = [*AS_NOBODY, sys.executable, "-m", "fal_mcp", *command.split()]
    done = subprocess.run(
        line, cwd=tmp_path, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=BOUND, check=False
    )
    assert done.returncode and b"set HOME to the absolute path" in done.stderr and not list(tmp_path.iterdir())
    assert b"should not have happened" not in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is worked in cannot be removed there")
def test_a_folder_that_is_gone_is_named(tmp_path: Path):
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, "PYTHONPATH": str(ROOT), "FAL_KEY": "a:b"}
    gone = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" -m fal_mcp run fal-ai/flux/dev prompt=x'
    line = ["sh", "-c", gone, sys.executable]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, timeout=BOUND, check=False)
    assert done.returncode and b"started in is no longer there" in done.stderr
