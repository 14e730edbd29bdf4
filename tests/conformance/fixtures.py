"""The real server with the tools, resources and prompts that the MCP conformance suite asks for, over HTTP."""

from collections.abc import Mapping
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError

from fal_mcp import bundled
from fal_mcp.config import Settings
from fal_mcp.errors import GenerationFailed
from fal_mcp.json_values import JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.server import app, http
from fal_mcp.tools.tool import Tool
from tests.conformance import in_mcps_words

_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_YES = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}


def said(text: str) -> Outcome:
    return Outcome(data={"text": text}, note=text, is_plain=True)


async def greet(arguments: Mapping[str, Any], call: Call) -> Outcome:
    return said(f"Hello, {arguments.get('name', 'you')}!")


async def simple_text(arguments: Mapping[str, Any], call: Call) -> Outcome:
    return said("This is a simple text response for testing.")


async def slow_compute(arguments: Mapping[str, Any], call: Call) -> Outcome:
    await anyio.sleep(arguments.get("seconds", 1))
    return said("Computed.")


async def failing_job(arguments: Mapping[str, Any], call: Call) -> Outcome:
    await anyio.sleep(1)
    raise GenerationFailed("It failed, as it should.")


async def protocol_error_job(arguments: Mapping[str, Any], call: Call) -> Outcome:
    await anyio.sleep(0.5)
    raise MCPError(-32603, "It broke, as it should.")


async def confirm_delete(arguments: Mapping[str, Any], call: Call) -> Outcome:
    await anyio.sleep(0.5)
    answer = await call.ask("Delete it?", _YES)
    return said(f"Answered {answer}.")


async def multi_input(arguments: Mapping[str, Any], call: Call) -> Outcome:
    await anyio.sleep(0.5)
    async with anyio.create_task_group() as tasks:
        for question in ("The first?", "The second?"):
            tasks.start_soon(call.ask, question, _YES)
    return said("Both were answered.")


async def with_task(arguments: Mapping[str, Any], call: Call) -> Outcome:
    answer = await call.ask("What is your name?", _NAME) or {}
    await anyio.sleep(0.5)
    return said(f"Hello, {answer.get('name')}!")


def tool(name: str, run: Any, *, needs_task: bool = False, properties: JsonObject | None = None) -> Tool:
    return Tool(
        name=name,
        title=name,
        description="A fixture of the conformance suite.",
        input_schema={"type": "object", "properties": properties or {}, "additionalProperties": True},
        effect="reads",
        key="none",
        run=run,
        is_lean=False,
        needs_task=needs_task,
    )


TOOLS = [
    tool("greet", greet),
    tool("test_simple_text", simple_text),
    tool("slow_compute", slow_compute),
    tool("failing_job", failing_job, needs_task=True),
    tool("protocol_error_job", protocol_error_job),
    tool("confirm_delete", confirm_delete),
    tool("multi_input", multi_input),
    tool("test_tool_with_task", with_task),
    tool("test_header", greet, properties={"region": {"type": "string", "x-mcp-header": "Region"}}),
    # Listed here; answered in MCP's own words.
    *(tool(name, greet) for name in (*in_mcps_words.ANSWERS, *in_mcps_words.TRIGGERS)),
]


async def main() -> None:
    settings = Settings(listed=("search",), models=bundled.schemas() / "models", task_grace=0.2)
    server = app.build(settings, more_tools=TOOLS)
    in_mcps_words.put_beside(server)
    await http.serve_app(server, 0, lambda url: print(url, flush=True))  # noqa: T201


if __name__ == "__main__":
    anyio.run(main)
