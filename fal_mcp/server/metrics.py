"""Figures of this server for Prometheus, under the names of OpenTelemetry's conventions for MCP.

The one door of `prometheus_client`, which the extra `team` brings. A registry of its own, so that nothing of another
library's is shown; no label holds what a caller may choose freely, such as a principal or an unknown tool's name.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.job import UNFINISHED
from fal_mcp.jobs.overview import Standing
from fal_mcp.jobs.records import Change
from fal_mcp.json_values import object_of
from fal_mcp.server.first_answers import HANDSHAKE, MODERN

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_OVER = ("completed", "failed", "cancelled", "lost")
_LABELS = ("mcp_method_name", "gen_ai_tool_name", "error_type", "network_transport", "mcp_protocol_version")


class Metrics:
    """What one process did since it began, and how the ledger that it shares stands when it is asked.

    `is_tool` and `is_method` tell the names that may stand in a label, `followed` how many jobs there are followed now,
    `standing` how the ledger stands, and `catalog_age` how many seconds ago fal's catalog was fetched, where it was.
    """

    def __init__(
        self,
        is_tool: Callable[[str], bool],
        is_method: Callable[[str], bool],
        followed: Callable[[], int],
        standing: Callable[[], Awaitable[Standing]],
        catalog_age: Callable[[], Awaitable[float | None]],
    ) -> None:
        self._is_tool, self._is_method = is_tool, is_method
        self._standing, self._catalog_age = standing, catalog_age
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
        self._queued = Histogram(
            "fal_job_queue_seconds",
            "How long jobs of this process waited at fal before the model began.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._ended = Counter("fal_jobs_ended", "Jobs whose end this process saw.", ["state"], registry=self._registry)

    def hear(self, change: Change) -> None:
        """Count what became of a job."""
        if change.queue_seconds is not None:
            self._queued.observe(change.queue_seconds)
        if change.state in _OVER and change.before not in _OVER:
            self._ended.labels(change.state).inc()

    async def text(self) -> bytes:
        """All figures, in Prometheus' text format."""
        # A registry for each answer: what was so a minute ago is not told again where the ledger is away now.
        now = CollectorRegistry()
        ledger = Gauge("fal_ledger_up", "Whether the ledger can be used.", registry=now)
        try:
            _tell_standing(now, await self._standing())
            ledger.set(1)
        except NotRecorded:
            ledger.set(0)
        if (age := await self._catalog_age()) is not None:
            Gauge("fal_catalog_age_seconds", "Since fal's catalog was fetched.", registry=now).set(age)
        return generate_latest(self._registry) + generate_latest(now)

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
            # A method and a version are whatever somebody writes until they are known ones.
            method = ctx.method if self._is_method(ctx.method) else ""
            version = ctx.protocol_version if ctx.protocol_version in (*HANDSHAKE, MODERN) else ""
            labels = (method, self._tool(ctx), error, _transport(ctx), version)
            self._durations.labels(*labels).observe(time.perf_counter() - began)

    def _tool(self, ctx: Any) -> str:
        name = object_of(ctx.params).get("name") if ctx.method == "tools/call" else None
        return name if isinstance(name, str) and self._is_tool(name) else ""


def _tell_standing(registry: CollectorRegistry, standing: Standing) -> None:
    """What is the ledger's, and so the same at every server of it."""
    jobs = Gauge("fal_jobs", "Unfinished jobs in the ledger, of all servers.", ["state"], registry=registry)
    for state in UNFINISHED:
        jobs.labels(state).set(standing.unfinished.get(state, 0))
    money = Gauge(
        "fal_money_today_usd",
        "Of jobs begun on this UTC day, of all servers: as estimated, as billed where known, as it counts.",
        ["kind"],
        registry=registry,
    )
    today = standing.today
    for kind, amount in (("estimated", today.estimated), ("billed", today.billed), ("counted", today.counted)):
        money.labels(kind).set(amount)
    for name, about, value in (
        ("fal_jobs_longest_wait_seconds", "For how long the oldest job waits here for its turn.", standing.waited),
        ("fal_servers", "Servers of this ledger whose lease holds.", standing.servers),
        ("fal_jobs_left", "Unfinished jobs whose server's lease is over.", standing.left),
    ):
        Gauge(name, about, registry=registry).set(value)


def _has_failed(answer: Any) -> bool:
    # Below the SDK's own middleware an answer may be an object already, or what goes over the wire.
    return answer.is_error is True if isinstance(answer, CallToolResult) else object_of(answer).get("isError") is True


def _transport(ctx: Any) -> str:
    return "pipe" if ctx.request is None else "tcp"
