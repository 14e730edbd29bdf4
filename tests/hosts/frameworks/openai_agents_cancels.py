"""OpenAI's Agents SDK: a run is cancelled while its tool call runs; another run of the agent then does the rest."""

import asyncio
import sys
from typing import Any

import script
from agents import Agent, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio
from openai_agents import Scripted


async def line() -> None:
    """Wait for the test: first for the cancel, then for the rest."""
    await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    set_tracing_disabled(True)
    parameters: Any = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT}
    async with MCPServerStdio(parameters, client_session_timeout_seconds=60) as server:
        run = asyncio.create_task(Runner.run(Agent(name="a", mcp_servers=[server], model=Scripted()), "go"))
        await line()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        script.handed("It was cancelled.")
        await line()
        script.STEPS.pop(0)
        await Runner.run(Agent(name="a", mcp_servers=[server], model=Scripted()), "go on")


asyncio.run(main())
