"""A line of the log for each request over HTTP, also for those that are refused.

Round everything else, so that nobody gets past it. A flood is told of and not written down: of each kind of request
there are so many lines a minute, and then one that says how many there were besides.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fal_mcp import logs
from fal_mcp.server.web import visit
from fal_mcp.server.web.visit import Visit

_A_MINUTE = 60.0
_LINES = {"refused": 60, "open": 60, "let in": 6000}
"""A minute: strangers fill some 50 MB a day, and callers have a hundred lines a second."""

logger = logging.getLogger("fal_mcp.http")
Clock = Callable[[], float]


@dataclass(slots=True)
class Allowance:
    """How many lines of one kind are left in this minute."""

    most: int
    since: float = -_A_MINUTE
    told: int = 0
    left_out: int = 0

    def takes(self, now: float) -> bool:
        """Whether there is a line left for one more."""
        if now - self.since >= _A_MINUTE:
            self.since, self.told = now, 0
        self.told += 1
        self.left_out += self.told > self.most
        return self.told <= self.most

    def owed(self) -> int:
        """How many were left out since that was last said."""
        count, self.left_out = self.left_out, 0
        return count


def _allowances() -> dict[str, Allowance]:
    return {kind: Allowance(most) for kind, most in _LINES.items()}


@dataclass(slots=True)
class AccessLog:
    """`application`, each request of which is told in the log. `clock` is in seconds."""

    application: ASGIApp
    clock: Clock = time.monotonic
    _left: dict[str, Allowance] = field(default_factory=_allowances)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        here, began, status = visit.begun(scope), self.clock(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with logs.about(request_id=here.id):
            try:
                await self.application(scope, receive, watched)
            finally:
                here.is_over = True
                self._tell(scope, here, status, self.clock() - began)

    def _tell(self, scope: Scope, here: Visit, status: int, seconds: float) -> None:
        kind = "refused" if here.refused else "open" if here.is_open else "let in"
        allowance = self._left[kind]
        if not allowance.takes(self.clock()):
            return
        if count := allowance.owed():
            logger.warning("%s requests more (%s) came than are told one by one.", f"{count:,}", kind)
        about = logs.fields(
            # The path alone: what stands behind it may be a token that somebody put there.
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 1),
            client=(scope.get("client") or ("",))[0],
            principal=here.principal,
            refused=here.refused,
        )
        logger.info(
            "A request was %s.", "refused" if here.refused else "answered" if status else "broken off", extra=about
        )
