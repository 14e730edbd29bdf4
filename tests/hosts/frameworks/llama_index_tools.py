"""LlamaIndex's MCP tools: a new server process for each call."""

import asyncio

import script
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main() -> None:
    client = BasicMCPClient(script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT)
    tools = {tool.metadata.name: tool for tool in await McpToolSpec(client).to_tool_list_async()}
    script.listed(list(tools))
    for name, arguments in script.STEPS:
        script.handed((await tools[name].acall(**arguments)).content)


asyncio.run(main())
