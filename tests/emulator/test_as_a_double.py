"""`docs/emulator.md`: the local fal as a double in anybody's tests; its example is run as it stands."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import fal_mcp
from fal_mcp import emulator

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"


def test_the_example_of_the_page_is_a_test_that_passes(tmp_path: Path):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (tmp_path / "test_example.py").write_text(example, "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(fal_mcp.__file__).parents[1])},
    )
    tests = [node.name for node in ast.walk(ast.parse(example)) if isinstance(node, ast.FunctionDef)]
    count = sum(name.startswith("test_") for name in tests)
    assert done.returncode == 0 and f"{count} passed" in done.stdout, done.stdout + done.stderr


def test_what_is_exported_is_told_on_the_page_and_nothing_else():
    table = re.findall(r"^\| (`.+?) \|", PAGE.read_text("utf-8"), re.M)
    told = {name for names in table for name in re.findall(r"`(\w+)`", names)}
    assert told == set(emulator.__all__)
    assert all(getattr(emulator, name).__doc__ for name in emulator.__all__)
