"""FastMCP's client."""

import anyio
import script
from fastmcp import Client
from fastmcp.client.transports import StdioTransport


async def main() -> None:
    async with Client(StdioTransport(script.COMMAND, script.ARGUMENTS, env=script.ENVIRONMENT)) as client:
        script.listed([tool.name for tool in await client.list_tools()])
        for name, arguments in script.STEPS:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            script.handed([block.model_dump(mode="json") for block in result.content])


anyio.run(main)
