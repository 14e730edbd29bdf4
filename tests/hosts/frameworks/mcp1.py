"""The Python SDK's 1.x client, as it comes."""

from contextlib import AsyncExitStack
from typing import Any

import anyio
import script
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


def transport() -> Any:
    if script.URL:
        return streamablehttp_client(script.URL, script.HEADERS)
    return stdio_client(StdioServerParameters(command=script.COMMAND, args=script.ARGUMENTS, env=script.ENVIRONMENT))


async def main() -> None:
    async with AsyncExitStack() as stack:
        read, write, *_ = await stack.enter_async_context(transport())
        session = await stack.enter_async_context(ClientSession(read, write))
        await session.initialize()
        script.listed([tool.name for tool in (await session.list_tools()).tools])
        for name, arguments in script.STEPS:
            blocks = (await session.call_tool(name, arguments)).content
            has_picture = any(block.type == "image" for block in blocks)
            script.handed([block.model_dump(mode="json") for block in blocks], has_picture=has_picture)


anyio.run(main)
