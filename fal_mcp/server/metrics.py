"""Figures of this server for Prometheus, under the names of OpenTelemetry's conventions for MCP.

The one door of `prometheus_client`, which the extra `team` brings. A registry of its own, so that nothing of another
library's is shown; no label holds what a caller may choose freely, such as a principal or an unknown tool's name.
"""

import time
from collections.abc import Callable
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from fal_mcp.json_values import object_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_LABELS = ("mcp_method_name", "gen_ai_tool_name", "error_type", "network_transport", "mcp_protocol_version")


class Metrics:
    """What one process did since it began. `is_tool` tells the names that may stand in a label, `followed` how many
    jobs there are followed now."""

    def __init__(self, is_tool: Callable[[str], bool], followed: Callable[[], int]) -> None:
        self._is_tool = is_tool
        self._registry = CollectorRegistry()
        self._durations = Histogram(
            "mcp_server_operation_duration_seconds",
            "How long requests took, from their arrival to their answer.",
            _LABELS,
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._open = Gauge("mcp_server_open_requests", "Requests that are being answered.", registry=self._registry)
        following = Gauge("fal_jobs_followed", "Jobs that this process follows.", registry=self._registry)
        following.set_function(followed)

    def text(self) -> bytes:
        """All figures, in Prometheus' text format."""
        return generate_latest(self._registry)

    async def watch(self, ctx: Any, call_next: Any) -> Any:
        """Middleware: measures each request of a client's."""
        if ctx.request_id is None:
            return await call_next(ctx)
        began, error = time.perf_counter(), ""
        self._open.inc()
        try:
            answer = await call_next(ctx)
            error = "tool_error" if _has_failed(answer) else ""
            return answer
        except MCPError as refusal:
            error = str(refusal.error.code)
            raise
        except BaseException as fault:
            error = type(fault).__qualname__
            raise
        finally:
            self._open.dec()
            labels = (ctx.method, self._tool(ctx), error, _transport(ctx), str(ctx.protocol_version or ""))
            self._durations.labels(*labels).observe(time.perf_counter() - began)

    def _tool(self, ctx: Any) -> str:
        name = object_of(ctx.params).get("name") if ctx.method == "tools/call" else None
        return name if isinstance(name, str) and self._is_tool(name) else ""


def _has_failed(answer: Any) -> bool:
    # Below the SDK's own middleware an answer may be an object already, or what goes over the wire.
    return answer.is_error is True if isinstance(answer, CallToolResult) else object_of(answer).get("isError") is True


def _transport(ctx: Any) -> str:
    return "pipe" if ctx.request is None else "tcp"
