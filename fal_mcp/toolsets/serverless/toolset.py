"""fal Serverless by hand: what is more than one request of the Platform API, or none of it."""

from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.serverless import deploy, files, gauges, logs, secrets


def tools() -> list[Tool]:
    """The hand-made tools of the toolset "serverless"."""
    made = (logs, gauges, files, secrets, deploy)
    return [tool for one in made for tool in one.tools()]
