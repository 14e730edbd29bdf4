"""LlamaIndex's MCP tools; over standard input, a new server process for each call."""

import asyncio

import script
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main() -> None:
    local = {"args": script.ARGUMENTS, "env": script.ENVIRONMENT}
    client = BasicMCPClient(script.URL or script.COMMAND, **({"headers": script.HEADERS} if script.URL else local))
    tools = {tool.metadata.name: tool for tool in await McpToolSpec(client).to_tool_list_async()}
    script.listed(list(tools))
    for name, arguments in script.STEPS:
        output = await tools[name].acall(**arguments)
        script.handed(output.content, has_picture=any(block.block_type == "image" for block in output.blocks))


asyncio.run(main())
