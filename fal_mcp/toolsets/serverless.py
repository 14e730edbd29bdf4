"""fal Serverless by hand: what is more than one request of the Platform API, or none of it."""

from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import app_files, app_logs, app_metrics, app_secrets


def tools() -> list[Tool]:
    """The hand-made tools of the toolset "serverless"."""
    return [*app_logs.tools(), *app_metrics.tools(), *app_files.tools(), *app_secrets.tools()]
