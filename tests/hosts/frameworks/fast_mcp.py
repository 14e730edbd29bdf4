"""FastMCP's client."""

import anyio
import script
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


async def main() -> None:
    local = StdioTransport(script.COMMAND, script.ARGUMENTS, env=script.ENVIRONMENT)
    async with Client(StreamableHttpTransport(script.URL, script.HEADERS) if script.URL else local) as client:
        script.listed([tool.name for tool in await client.list_tools()])
        for name, arguments in script.STEPS:
            blocks = (await client.call_tool(name, arguments, raise_on_error=False)).content
            has_picture = any(block.type == "image" for block in blocks)
            script.handed([block.model_dump(mode="json") for block in blocks], has_picture=has_picture)


anyio.run(main)
