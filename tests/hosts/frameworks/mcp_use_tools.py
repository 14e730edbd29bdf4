"""mcp-use's adapter for LangChain, which fills what is left out with null."""

import asyncio

import script
from mcp_use import MCPClient
from mcp_use.adapters import LangChainAdapter


async def main() -> None:
    local = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT}
    remote = {"url": script.URL, "headers": script.HEADERS}
    client = MCPClient.from_dict({"mcpServers": {"fal": remote if script.URL else local}})
    await client.create_all_sessions()
    tools = {tool.name: tool for tool in await LangChainAdapter().create_tools(client)}
    script.listed(list(tools))
    for number, (name, arguments) in enumerate(script.STEPS):
        call = {"name": name, "args": arguments, "id": f"c{number}", "type": "tool_call"}
        try:
            content = (await tools[name].ainvoke(call)).content
            has_picture = isinstance(content, list) and any(block.get("type") == "image" for block in content)
            script.handed(content, has_picture=has_picture)
        except Exception as error:
            script.handed(str(error))
    await client.close_all_sessions()


asyncio.run(main())
