"""OpenAI's Agents SDK. Its own limit for a call is five seconds: give it two minutes."""

import asyncio
import os

from agents import Agent, Model, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio


async def main(model: str | Model = "gpt-5") -> str:
    set_tracing_disabled(True)
    server = {"command": os.environ.get("FAL_MCP", "fal-mcp"), "env": dict(os.environ)}
    async with MCPServerStdio(server, client_session_timeout_seconds=120, cache_tools_list=True) as fal:
        agent = Agent(name="artist", instructions="Make what is asked for.", model=model, mcp_servers=[fal])
        result = await Runner.run(agent, "A picture of a lighthouse at dusk, please.")
        return str(result.final_output)


if __name__ == "__main__":
    print(asyncio.run(main()))
