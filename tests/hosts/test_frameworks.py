"""Agent frameworks, each in an environment of its own: what a tool's answer becomes on its way to a model."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.hosts.model import Step
from tests.hosts.test_command_lines import HELD, STEPS, mark
from tests.server.stdio_host import Start

BOUND = 150
PROGRAMS = Path(__file__).parent / "frameworks"
FRAMEWORKS = {
    "mcp 1.x": ("mcp1", "mcp1.py"),
    "FastMCP": ("fastmcp", "fast_mcp.py"),
    "openai-agents": ("openai-agents", "openai_agents.py"),
    "pydantic-ai": ("pydantic-ai", "pydantic_ai_agent.py"),
    "LangChain": ("langchain", "langchain_tools.py"),
    "LlamaIndex": ("llama-index", "llama_index_tools.py"),
    "smolagents": ("smolagents", "smolagents_tools.py"),
    "mcp-use": ("mcp-use", "mcp_use_tools.py"),
    "AI SDK": ("node", "ai_sdk.mjs"),
}
SHOWS_PICTURES = {"mcp 1.x", "FastMCP", "openai-agents", "pydantic-ai", "LangChain", "AI SDK"}
_PICTURE = re.compile("data:image/|\"image|'image|ImageContent|Binary(Content|Image)|(file|image)-data|mimeType")


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest, prepared: Path) -> str:
    folder, _ = FRAMEWORKS[request.param]
    if not (prepared / folder / "is-ready").exists():
        pytest.skip(f"{request.param} cannot be had here")
    return request.param


async def told(framework: str, prepared: Path, start: Start, steps: list[Step]) -> tuple[list[str], list[str], str]:
    """The tools it offers a model, what the model was handed at each step, and all that it printed."""
    folder, program = {**FRAMEWORKS, "gives up": ("mcp1", "mcp1_gives_up.py")}[framework]
    given = {
        "command": sys.executable,
        "arguments": ["-m", "fal_mcp", *start.arguments],
        "environment": start.environment,
        "steps": [(step.tool, step.arguments) for step in steps],
    }
    runs: Any = [str(prepared / folder / "bin" / "python"), str(PROGRAMS / program)]
    if folder == "node":
        # Node looks for packages above the program.
        copied = prepared / "node" / program
        shutil.copyfile(PROGRAMS / program, copied)
        runs = [str(prepared / "node" / "node_modules" / ".bin" / "node"), str(copied)]
    home = {"HOME": str(start.home), "PATH": "/usr/bin:/bin", "MCP_USE_ANONYMIZED_TELEMETRY": "false"}
    done = await anyio.run_process([*runs, json.dumps(given)], check=False, env=home, stderr=-2)
    printed = done.stdout.decode("utf-8", "replace")
    said: list[dict[str, Any]] = [json.loads(line[2:]) for line in printed.splitlines() if line.startswith("@@")]
    tools: list[str] = next((each["tools"] for each in said if "tools" in each), list[str]())
    return tools, [each["handed"] for each in said if "handed" in each], printed[-4000:]


async def test_its_model_can_go_on_with_what_it_is_handed(
    framework: str, prepared: Path, settings: Settings, fal: Emulator, tmp_path: Path, cells: dict[str, str]
):
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path, "--wait", "1")
    with anyio.fail_after(BOUND):
        await start.warm()
        tools, handed, printed = await told(framework, prepared, start, STEPS)
    assert mark(cells, "connects", tools), printed
    cells["tools"] = str(len(tools))
    ours = json.loads(start.kept.read().answers["tools/list 2026-07-28"])["tools"]
    assert {tool["name"].replace("-", "_") for tool in ours} == {name.replace("-", "_") for name in tools}
    assert len(handed) == len(STEPS), printed
    searched, read, done, refused, long, listed = handed
    finds = "fal-ai/flux" in searched and all(name in read for name in ("prompt", "num_images", "image_size"))
    assert mark(cells, "finds and reads", finds), f"{searched}\n\n{read}"
    assert mark(cells, "runs", "http" in done), done
    assert mark(cells, "refusal", "num_images" in refused), refused
    assert mark(cells, "long call", "job_id" in long and "wait_for_job" in long), long
    assert HELD in listed, listed
    shows = bool(_PICTURE.search(done))
    cells["pictures"] = "yes" if shows else "no"
    assert shows or framework not in SHOWS_PICTURES, done


async def test_the_ai_sdk_connects_in_twenty_of_twenty_starts(prepared: Path, settings: Settings, tmp_path: Path):
    """It gives `server/discover` one second, and then shakes hands on the same pipe."""
    if not (prepared / "node" / "is-ready").exists():
        pytest.skip("the AI SDK cannot be had here")
    start = Start(settings, tmp_path)
    connected: list[bool] = []
    with anyio.fail_after(4 * BOUND):
        await start.warm()
        for _ in range(20):
            tools, _, _ = await told("AI SDK", prepared, start, [])
            connected.append(bool(tools))
    assert connected == [True] * 20


async def test_the_same_call_three_times_by_a_client_that_gives_up_is_one_job(
    prepared: Path, settings: Settings, fal: Emulator, tmp_path: Path
):
    """It sends no cancel; its model is told of a time-out and tries again."""
    if not (prepared / "mcp1" / "is-ready").exists():
        pytest.skip("mcp 1.x cannot be had here")
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path)
    again = Step("run_model", {"endpoint_id": HELD, "arguments": {"prompt": "a wave"}})
    with anyio.fail_after(BOUND):
        await start.warm()
        _, handed, printed = await told("gives up", prepared, start, [again, again, again, Step("list_jobs", {})])
    assert len(handed) == 4 and HELD in handed[3], printed
    submits = [each for each in fal.calls if each.method == "POST" and each.host_role == "queue"]
    assert len(submits) == 1
