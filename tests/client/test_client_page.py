"""`docs/client.md`: every example on it is run as it stands, against a local fal, and its tables hold what there is."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import anyio
import pytest

import fal_mcp
from fal_mcp import Completed, Fal, Hosts
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.conftest import KEY

PAGE = (Path(fal_mcp.__file__).parents[1] / "docs" / "client.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
PROGRAM, *EXAMPLES = BLOCKS
BOUND = 30
PRINTED = {
    "match status": "over",
    "fal.platform.call": "0.025",
    "except RequestRejected": "num_images",
    "fal.cancel": "requested",
}
"""What an example with this in it says in the end."""


def compiled(example: str) -> CodeType:
    return compile(example, "client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(number) for number in range(1, len(EXAMPLES) + 1)])
async def test_each_example_runs_as_it_stands(
    example: str,
    fal: Emulator,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    """The files that an example names are in a folder of the test's."""
    example = re.sub(r'"((?:lamp|copy)\.txt)"', lambda match: repr(str(tmp_path / match[1])), example)
    example = example.replace("move_on_after(60)", "move_on_after(0.1)")
    fal.prices["fal-ai/flux/dev"] = (0.025, "megapixels")
    fal.script(None, Script(queue_position=2, log_lines=("warm",), hold_running="fal.cancel" in example))
    namespace: dict[str, Any] = {"Completed": Completed}
    with anyio.fail_after(BOUND):
        async with Fal(KEY, hosts=settings.hosts) as namespace["fal"]:
            running = eval(compiled(example), namespace)
            if inspect.isawaitable(running):
                await running
    said = capsys.readouterr().out
    assert [end for sign, end in PRINTED.items() if sign in example and end not in said] == []
    held: dict[str, Any] = {name: namespace[name] for name in ("result", "answer", "event") if name in namespace}
    assert all(type(value) is dict and value != {} for value in held.values())
    if "path" in namespace:
        assert namespace["path"].read_text() == "to whom it may concern"


async def test_the_program_on_top_runs(fal: Emulator, settings: Settings):
    url = settings.hosts.api.removesuffix("/api")
    assert 'Fal(key="<key_id>:<key_secret>")' in PROGRAM
    here = PROGRAM.replace('key="<key_id>:<key_secret>"', f"key={KEY!r}, hosts=Hosts.at({url!r})")
    here = here.replace("import Fal", "import Fal, Hosts")
    with anyio.fail_after(BOUND):
        done = await anyio.run_process([sys.executable, "-W", "error", "-c", here], stderr=subprocess.STDOUT)
    assert done.stdout.decode().startswith(Hosts.at(url).cdn) and len(fal.jobs) == 1


def test_every_method_is_on_the_page_and_nothing_else():
    table = PAGE[PAGE.index("| method |") : PAGE.index("## Submit")]
    told = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.M) for name in re.findall(r"`([\w.]+)`", cell)}
    methods = {name for name, _ in inspect.getmembers(Fal, inspect.isfunction) if not name.startswith("_")}
    assert told == {*methods, "platform.call"}


def test_every_error_that_is_exported_is_on_the_page():
    table = PAGE[PAGE.index("| error |") :]
    told = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    kinds = {name for name in fal_mcp.__all__ if name[0].isupper() and issubclass(getattr(fal_mcp, name), Exception)}
    assert told == kinds - {"FalError"}


def test_the_numbers_on_the_page_are_those_of_the_code():
    """Attempts, seconds and sizes that somebody may rely on."""
    from fal_mcp.client import http, retry, storage

    assert (retry.ALWAYS.attempts, retry.ALWAYS.longest, storage.LARGE) == (6, 20.0, 90 * 1024 * 1024)
    assert (http.STREAM_TIMEOUT.connect, http.STREAM_TIMEOUT.read, http.UPLOAD_TIMEOUT.read) == (15.0, 60.0, 300.0)
    assert http.LONGEST == 600.0
