"""The Python SDK's 1.x client, as it comes."""

import anyio
import script
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    server = StdioServerParameters(command=script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        script.listed([tool.name for tool in (await session.list_tools()).tools])
        for name, arguments in script.STEPS:
            result = await session.call_tool(name, arguments)
            script.handed([block.model_dump(mode="json") for block in result.content])


anyio.run(main)
