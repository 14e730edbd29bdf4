"""Agent frameworks, each in an environment of its own: what a tool's answer becomes on its way to a model."""

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests.hosts.examined import HELD, RAN, STEPS, Seen, examine
from tests.hosts.model import Step
from tests.hosts.ways import HTTP, STDIO, TOKEN, Server, launched, reached
from tests.server.stdio_host import Start

BOUND = 300
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
    "TypeScript SDK": ("node", "typescript_sdk.mjs"),
}
RUNS = [(framework, way) for framework in FRAMEWORKS for way in (STDIO, HTTP, TOKEN)]


def need(folder: str, prepared: Path) -> None:
    if not (prepared / folder / "is-ready").exists():
        pytest.skip(f"{folder} cannot be had here")


def command(folder: str, program: str, prepared: Path, server: Server, steps: list[Step]) -> list[str]:
    """How a program is started that does these steps with this server."""
    given = {
        "command": server.command,
        "arguments": server.arguments,
        "environment": server.environment,
        "url": server.url,
        "headers": server.headers,
        "steps": [(step.tool, step.arguments) for step in steps],
    }
    runs = [str(prepared / folder / "bin" / "python"), str(PROGRAMS / program)]
    if folder == "node":
        # Node looks for packages above the program.
        copied = prepared / "node" / program
        shutil.copyfile(PROGRAMS / program, copied)
        runs = [str(prepared / "node" / "node_modules" / ".bin" / "node"), str(copied)]
    return [*runs, json.dumps(given)]


def surroundings(start: Start) -> dict[str, str]:
    return {"HOME": str(start.home), "PATH": "/usr/bin:/bin", "MCP_USE_ANONYMIZED_TELEMETRY": "false"}


async def told(runs: list[str], start: Start) -> Seen:
    """What a program says that it offered a model and handed it."""
    done = await anyio.run_process(runs, check=False, env=surroundings(start), stderr=-2)
    printed = done.stdout.decode("utf-8", "replace")
    said: list[dict[str, Any]] = [json.loads(line[2:]) for line in printed.splitlines() if line.startswith("@@")]
    handed = [each for each in said if "handed" in each]
    tools: list[str] = next((each["tools"] for each in said if "tools" in each), list[str]())
    has_picture = any(each.get("has_picture") for each in handed[RAN : RAN + 1])
    return Seen(tools, [each["handed"] for each in handed], has_picture, printed[-4000:])


@pytest.mark.parametrize(("host", "way"), RUNS, ids=str)
async def test_its_model_can_go_on_with_what_it_is_handed(
    host: str, way: str, prepared: Path, settings: Settings, fal: Emulator, tmp_path: Path, cells: dict[str, str]
):
    folder, program = FRAMEWORKS[host]
    need(folder, prepared)
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path, "--wait", "5")
    with anyio.fail_after(BOUND):
        async with reached(way, start) as server:
            seen = await told(command(folder, program, prepared, server, STEPS), start)
    ours = [tool["name"] for tool in json.loads(start.kept.read().answers["tools/list 2026-07-28"])["tools"]]
    examine(seen, ours, cells)


async def test_the_same_call_three_times_by_a_client_that_gives_up_is_one_job(
    prepared: Path, settings: Settings, fal: Emulator, tmp_path: Path
):
    """It sends no cancel; its model is told of a time-out and tries again."""
    need("mcp1", prepared)
    fal.script(HELD, Script(hold_running=True))
    start = Start(settings, tmp_path)
    again = Step("run_model", {"endpoint_id": HELD, "arguments": {"prompt": "a wave"}})
    steps = [again, again, again, Step("list_jobs", {})]
    with anyio.fail_after(BOUND):
        await start.warm()
        seen = await told(command("mcp1", "mcp1_gives_up.py", prepared, launched(start), steps), start)
    assert len(seen.handed) == 4 and HELD in seen.handed[3], seen.printed
    assert len([each for each in fal.calls if each.method == "POST" and each.host_role == "queue"]) == 1
