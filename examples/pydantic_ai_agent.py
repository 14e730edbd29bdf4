"""Pydantic AI: the server as a toolset, with its progress."""

import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset, StdioTransport
from pydantic_ai.models import Model


async def tell(progress: float, total: float | None, message: str | None) -> None:
    print(f"  {progress:g} of {total or '?'}: {message}")


async def main(model: str | Model = "openai:gpt-5") -> str:
    transport = StdioTransport(os.environ.get("FAL_MCP", "fal-mcp"), [], env=dict(os.environ))
    fal = MCPToolset(transport, progress_handler=tell, read_timeout=120)
    agent = Agent(model, toolsets=[fal])
    async with agent:
        result = await agent.run("A picture of a lighthouse at dusk, please.")
    return result.output


if __name__ == "__main__":
    print(asyncio.run(main()))
