"""The server on standard input and output."""

import sys

from mcp.server.stdio import stdio_server

from fal_mcp.config import Settings
from fal_mcp.server import app


async def serve(settings: Settings) -> None:
    """Serve one host until it closes our standard input."""
    server = app.build(settings)
    async with stdio_server() as (read, write):
        # The wire has a descriptor of its own by now; a stray print, even one flushed at exit, would still reach it
        # through the old one (facts/mcp §2.3).
        sys.stdout = sys.stderr
        await server.run(read, write, server.create_initialization_options())
