"""The same odd results at the doors of their own processes: the command line, tasks, batches, and live answers."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from fal_mcp import json_values
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.emulator.script import Reply
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.outputs import inline_bytes
from tests import odd_values
from tests.server.http_host import BOUND, served

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
SAID = {name: value for name, value in odd_values.ODD.items() if name not in ("text: long", "shape: many")}


def strict(content: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(content, parse_constant=refuse)


def everything() -> bytes:
    """All odd values in one result."""
    return odd_values.wire({"seed": 7, "images": [{"url": value, "width": value} for value in SAID.values()], **SAID})


async def test_the_command_line_writes_json_that_anything_reads(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(ENDPOINT, Script(result=Reply(body=everything())))
    root = settings.hosts.queue.removesuffix("/queue")
    run = [sys.executable, "-m", "fal_mcp", "run", ENDPOINT, "prompt=x", "--fal-url", root, "--data-dir", str(tmp_path)]
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    environment["PYTHONPATH"] = ":".join(sys.path)

    def done(*more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*run, *more], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )

    with anyio.fail_after(BOUND):
        as_json = await anyio.to_thread.run_sync(done, "--json")
        as_text = await anyio.to_thread.run_sync(done)
    # 1: it is there and told, but for the files that no address leads to.
    assert as_json.returncode == 1, as_json.stderr.decode()
    data = strict(as_json.stdout.decode())
    assert data["status"] == "completed" and data["output"]["seed"] == 7 and data["notes"]
    assert as_text.returncode == 1 and b"\x1b]0;x" not in as_text.stdout and "\u202e" not in as_text.stdout.decode()


async def test_a_task_ends_with_the_result(fal: Emulator, settings: Settings, tmp_path: Path):
    # Without steps it is held as soon as it runs: let go before, it would never end.
    fal.script(ENDPOINT, Script(steps=0, hold_running=True, result=Reply(body=everything())))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x", "seed": 7}))["result"]
            await host.until(made["taskId"], "working")
            await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
            (job,) = fal.jobs.values()
            job.release()
            done = await host.until(made["taskId"], "completed")
        async with served(settings, tmp_path) as (host, _):
            again = await host.until(made["taskId"], "completed")
    for task in (done, again):
        answer = task["result"]
        assert not answer.get("isError") and answer["structuredContent"]["output"]["seed"] == 7
        strict(json.dumps(answer))
    assert not math.isinf(done["result"]["structuredContent"]["timing"]["run_s"])


live = st.recursive(
    st.sampled_from(list(SAID.values())) | st.binary(max_size=40),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=6), part, max_size=3),
    max_leaves=10,
)


@within(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(odd_values.NAMES), live, max_size=4))
def test_a_live_answer_is_written_down_whatever_is_in_it(tmp_path_factory: Any, answer: dict[str, Any]):
    folder = OutputFolder(tmp_path_factory.mktemp("kept"))
    value, files = anyio.run(inline_bytes.keep, answer, folder, "stem")
    strict(json_values.dumped(value))
    assert all(Path(path).is_file() for path in files)
    path = anyio.run(inline_bytes.written, value, folder, "stem")
    strict(path.read_text("utf-8"))


def test_a_live_answer_may_be_nested_as_deep_as_it_likes(tmp_path: Path):
    deep = {"a": odd_values.nested(3000, b"bytes")}
    value, _ = anyio.run(inline_bytes.keep, deep, OutputFolder(tmp_path), "stem")
    assert "5 bytes, not kept" in json_values.dumped(value)
