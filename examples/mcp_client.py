"""Any MCP client: find a model, run it, see how far it is, get the picture's address."""

import os
import sys

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters


async def tell(progress: float, total: float | None, message: str | None) -> None:
    print(f"  {progress:g} of {total or '?'}: {message}")


async def main() -> None:
    server = StdioServerParameters(command=os.environ.get("FAL_MCP", "fal-mcp"), env=dict(os.environ))
    async with Client(server) as client:
        found = await client.call_tool("search_models", {"query": "text to image"})
        print(found.content[0].text)
        result = await client.call_tool("fal-ai_flux_dev", {"prompt": "a lighthouse at dusk"}, progress_callback=tell)
        if result.is_error:
            sys.exit(result.content[0].text)
        print(result.structured_content["files"][0]["url"])


if __name__ == "__main__":
    anyio.run(main)
