"""The toolsets that are there only where they are asked for; nothing of them is imported before."""

from collections.abc import Callable, Mapping

from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import (
    analytics,
    compute,
    docs,
    keys,
    platform,
    realtime,
    reports,
    serverless,
    usage,
    workflows,
)
from fal_mcp.toolsets.models import Models

SETS: Mapping[str, Callable[[Models], list[Tool]]] = {
    "realtime": realtime.tools,
    "requests": lambda models: platform.tools("requests"),
    "serverless": lambda models: [
        *serverless.tools(),
        *platform.tools("serverless"),
        *usage.tools("serverless"),
        *analytics.tools("serverless"),
    ],
    "compute": lambda models: [*compute.tools(), *platform.tools("compute")],
    "keys": lambda models: [*keys.tools(), *platform.tools("keys")],
    "account": lambda models: [*platform.tools("account"), *reports.tools("account")],
    "organization": lambda models: [
        *usage.tools("organization"),
        *platform.tools("organization"),
        *reports.tools("organization"),
    ],
    "workflows": lambda models: [*platform.tools("workflows"), *workflows.tools(models)],
    "assets": lambda models: platform.tools("assets"),
    "docs": lambda models: docs.tools(),
}
