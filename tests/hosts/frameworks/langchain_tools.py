"""LangChain's MCP adapters: the message that a tool gives."""

import asyncio

import script
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main() -> None:
    local = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT, "transport": "stdio"}
    remote = {"transport": "streamable_http", "url": script.URL, "headers": script.HEADERS}
    client = MultiServerMCPClient({"fal": remote if script.URL else local})
    # One session for all calls: without it each has a server of its own.
    async with client.session("fal") as session:
        from langchain_mcp_adapters.tools import load_mcp_tools

        tools = {tool.name: tool for tool in await load_mcp_tools(session, handle_tool_errors=True)}
        script.listed(list(tools))
        for number, (name, arguments) in enumerate(script.STEPS):
            call = {"name": name, "args": arguments, "id": f"c{number}", "type": "tool_call"}
            try:
                content = (await tools[name].ainvoke(call)).content
                has_picture = isinstance(content, list) and any(block.get("type") == "image" for block in content)
                script.handed(content, has_picture=has_picture)
            except Exception as error:
                script.handed(str(error))


asyncio.run(main())
