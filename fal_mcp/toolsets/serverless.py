"""fal Serverless by hand: what is more than one request of the Platform API, or none of it."""

from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import app_deployment, app_files, app_logs, app_metrics, app_secrets


def tools() -> list[Tool]:
    """The hand-made tools of the toolset "serverless"."""
    made = (app_logs, app_metrics, app_files, app_secrets, app_deployment)
    return [tool for one in made for tool in one.tools()]
