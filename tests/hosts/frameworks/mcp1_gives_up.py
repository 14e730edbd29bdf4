"""The 1.x client with a time-out of its own, which tells the server nothing when it gives up; the same call again."""

from datetime import timedelta

import anyio
import script
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main() -> None:
    server = StdioServerParameters(command=script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        script.listed([tool.name for tool in (await session.list_tools()).tools])
        for name, arguments in script.STEPS:
            try:
                result = await session.call_tool(name, arguments, read_timeout_seconds=timedelta(seconds=3))
                script.handed([block.model_dump(mode="json") for block in result.content])
            except McpError as error:
                script.handed(str(error))


anyio.run(main)
