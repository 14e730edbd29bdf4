"""Tells hosts that the list of tools changed: a session of 2025, or whoever listens in 2026."""

import logging
from typing import Any

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

_LONGEST_SEND = 5.0

logger = logging.getLogger("fal_mcp")


class News:
    """Where changes are announced."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self._bus)
        self._sessions: list[Any] = []

    async def watch(self, ctx: Any, call_next: Any) -> Any:
        """Middleware: remembers a session from the moment it is initialised until its connection ends.

        The SDK keeps no list of them, and its private `_connection` is the one place that knows the end.
        """
        # Not at `initialize`: the specification wants nothing sent before the client said that it is ready.
        if ctx.method == "notifications/initialized" and ctx.session not in self._sessions:
            self._sessions.append(ctx.session)
            ctx.session._connection.exit_stack.callback(self._forget, ctx.session)
        return await call_next(ctx)

    async def tools_changed(self) -> None:
        """Announce it to everyone; a client that does not take it holds nobody up."""
        await self._bus.publish(ToolsListChanged())
        # A copy: sessions end while the others are told.
        for session in list(self._sessions):
            try:
                # A host that reads no more fills its pipe, and would keep the news from all others.
                with anyio.move_on_after(_LONGEST_SEND):
                    await session.send_tool_list_changed()
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._forget(session)

    def close(self) -> None:
        """End every listener's stream, so that the server can end."""
        self.listen.close()

    def _forget(self, session: object) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
