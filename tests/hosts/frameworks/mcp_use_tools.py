"""mcp-use's adapter for LangChain, which fills what is left out with null."""

import asyncio

import script
from mcp_use import MCPClient
from mcp_use.adapters import LangChainAdapter


async def main() -> None:
    entry = {"command": script.COMMAND, "args": script.ARGUMENTS, "env": script.ENVIRONMENT}
    client = MCPClient.from_dict({"mcpServers": {"fal": entry}})
    await client.create_all_sessions()
    tools = {tool.name: tool for tool in await LangChainAdapter().create_tools(client)}
    script.listed(list(tools))
    for name, arguments in script.STEPS:
        try:
            script.handed(str(await tools[name].ainvoke(arguments)))
        except Exception as error:
            script.handed(str(error))
    await client.close_all_sessions()


asyncio.run(main())
