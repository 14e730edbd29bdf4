"""LangChain's MCP adapters: the message that a tool gives."""

import asyncio

import script
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main() -> None:
    server = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT, "transport": "stdio"}
    client = MultiServerMCPClient({"fal": server})
    # One session for all calls: without it each has a server of its own.
    async with client.session("fal") as session:
        from langchain_mcp_adapters.tools import load_mcp_tools

        tools = {tool.name: tool for tool in await load_mcp_tools(session, handle_tool_errors=True)}
        script.listed(list(tools))
        for number, (name, arguments) in enumerate(script.STEPS):
            call = {"name": name, "args": arguments, "id": f"c{number}", "type": "tool_call"}
            try:
                script.handed((await tools[name].ainvoke(call)).content)
            except Exception as error:
                script.handed(str(error))


asyncio.run(main())
