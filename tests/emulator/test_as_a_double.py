"""`docs/emulator.md`: the local fal as a double in anybody's tests; its examples are run as they stand."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import anyio
import pytest

import fal_mcp
from fal_mcp import Fal, Hosts, emulator

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
BOUND = 60
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:asyncio")


@pytest.mark.parametrize("example", EXAMPLES, ids=["over HTTP", "with the client", "with fal's client"])
def test_an_example_of_the_page_is_a_file_of_tests_that_pass(example: str, tmp_path: Path):
    (tmp_path / "test_example.py").write_text(example, "utf-8")
    # fal's client never closes the connections it keeps, and says so at its end.
    strict = () if "import fal_client" in example else ("-W", "error")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *strict, str(tmp_path)],
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


def test_every_field_of_a_script_is_on_the_page():
    page = PAGE.read_text("utf-8")
    table = page[page.index("| in a `Script` |") : page.index("## With fal's own client")]
    told = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)}
    assert told == {field.name for field in fields(emulator.Script)}


async def test_the_command_line_serves_what_the_page_says(tmp_path: Path):
    """`fal-mcp emulate` says where it listens, takes the key it names, and runs a model."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fal_mcp.__file__).parents[1])}
    command = [sys.executable, "-m", "fal_mcp", "emulate"]
    with anyio.fail_after(BOUND):
        async with await anyio.open_process(command, cwd=tmp_path, env=environment, stderr=None) as process:
            assert process.stdout is not None
            said = b""
            while b"Ctrl-C" not in said:
                said += await process.stdout.receive()
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", said.decode())
            async with Fal("emulator:emulator", hosts=Hosts.at(url)) as client:
                result = await client.subscribe("fal-ai/flux/dev", {"prompt": "a pier"})
            process.terminate()
    assert result["images"][0]["url"].startswith(url)


@pytest.mark.parametrize("kind", [AssertionError, KeyError, ExceptionGroup, pytest.skip.Exception])
async def test_what_a_test_raises_comes_out_as_it_is(kind: type[BaseException]):
    """A test that fails while the emulator listens fails with its own error."""
    error = ExceptionGroup("both", [ValueError()]) if kind is ExceptionGroup else kind("mine")
    raised: BaseException | None = None
    with anyio.fail_after(BOUND):
        try:
            async with emulator.serve(emulator.Emulator()):
                raise error
        except BaseException as caught:
            raised = caught
    assert raised is error


def test_what_is_exported_is_told_on_the_page_and_nothing_else():
    table = re.findall(r"^\| (`.+?) \|", PAGE.read_text("utf-8").partition("## ")[0], re.M)
    told = {name for names in table for name in re.findall(r"`(\w+)`", names)}
    assert told == set(emulator.__all__)
    assert all(getattr(emulator, name).__doc__ for name in emulator.__all__)
