"""Pydantic AI, with a scripted model in the agent."""

import asyncio
from typing import Any

import script
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset, StdioTransport, StreamableHttpTransport
from pydantic_ai.messages import BinaryContent, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

turn = 0


def scripted(messages: list[Any], info: Any) -> ModelResponse:
    global turn
    if turn == 0:
        script.listed([tool.name for tool in info.function_tools])
    else:
        contents = [getattr(part, "content", None) for part in messages[-1].parts]
        script.handed(contents, has_picture=any(map(is_picture, contents)))
    turn += 1
    if turn > len(script.STEPS):
        return ModelResponse(parts=[TextPart("done")])
    name, arguments = script.STEPS[turn - 1]
    return ModelResponse(parts=[ToolCallPart(name, arguments)])


def is_picture(content: Any) -> bool:
    return isinstance(content, BinaryContent) or (isinstance(content, list) and any(map(is_picture, content)))


async def main() -> None:
    local = StdioTransport(script.COMMAND, script.ARGUMENTS, env=script.ENVIRONMENT)
    remote = StreamableHttpTransport(script.URL, script.HEADERS) if script.URL else None
    toolset = MCPToolset(remote or local, read_timeout=60)
    agent = Agent(FunctionModel(scripted), toolsets=[toolset])
    async with agent:
        await agent.run("go")


asyncio.run(main())
