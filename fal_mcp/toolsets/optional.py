"""The toolsets that are there only where they are asked for; nothing of them is imported before."""

from collections.abc import Callable, Mapping

from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import compute, docs, keys, platform, realtime, workflows
from fal_mcp.toolsets.models import Models
from fal_mcp.toolsets.reports import analytics, csv_reports, usage
from fal_mcp.toolsets.serverless import toolset

SETS: Mapping[str, Callable[[Models], list[Tool]]] = {
    "realtime": realtime.tools,
    "requests": lambda models: platform.tools("requests"),
    "serverless": lambda models: [
        *toolset.tools(),
        *platform.tools("serverless"),
        *usage.tools("serverless"),
        *analytics.tools("serverless"),
    ],
    "compute": lambda models: [*compute.tools(), *platform.tools("compute")],
    "keys": lambda models: [*keys.tools(), *platform.tools("keys")],
    "account": lambda models: [*platform.tools("account"), *csv_reports.tools("account")],
    "organization": lambda models: [
        *usage.tools("organization"),
        *platform.tools("organization"),
        *csv_reports.tools("organization"),
    ],
    "workflows": lambda models: [*platform.tools("workflows"), *workflows.tools(models)],
    "assets": lambda models: platform.tools("assets"),
    "docs": lambda models: docs.tools(),
}
