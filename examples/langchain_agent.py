"""LangChain. Its adapters need an older `mcp` than the server: install the two apart, and let it start the server."""

import asyncio
import os
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(model: str | BaseChatModel = "openai:gpt-5") -> str:
    server: Any = {
        "transport": "stdio",
        "command": os.environ.get("FAL_MCP", "fal-mcp"),
        "args": [],
        "env": dict(os.environ),
    }
    tools = await MultiServerMCPClient({"fal": server}).get_tools()
    agent = create_agent(model, tools)
    asked = {"messages": [("user", "A picture of a lighthouse at dusk, please.")]}
    answer = await agent.ainvoke(asked)
    return str(answer["messages"][-1].content)


if __name__ == "__main__":
    print(asyncio.run(main()))
