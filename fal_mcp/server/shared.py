"""What every call of one running MCP server shares: the engine, and what only MCP knows of."""

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fal_mcp.engine import Engine

# These take long to import: they come in with the first list or call.
if TYPE_CHECKING:
    from fal_mcp.errors import RateLimited
    from fal_mcp.jobs.overview import Standing
    from fal_mcp.jobs.turns import Room
    from fal_mcp.server.secret_page import SecretPages
    from fal_mcp.server.tasks import Tasks
    from fal_mcp.toolsets.selection import Selection
    from fal_mcp.toolsets.toolbox import Toolbox

_MOST_COMPARED = 100
_MOST_CALLS = 1000
LIST_HEADER = "x-fal-mcp-list"


class Shared(Engine):
    """Use as an async context manager; what it opened is closed, and its background work ended, on exit."""

    def has_come(self, request_id: int | str, moment: float) -> None:
        """A call has come over standard input, at this moment by `time.monotonic`."""
        while len(self._came) >= _MOST_CALLS:
            del self._came[next(iter(self._came))]
        self._came[request_id] = moment

    def came(self, request_id: int | str) -> float:
        """When this call had come, by `time.monotonic`; now, where nobody looked at the clock."""
        return self._came.pop(request_id, time.monotonic())

    @cached_property
    def _came(self) -> dict[int | str, float]:
        return {}

    @cached_property
    def room(self) -> "Room":
        """How many jobs may be at fal at once, and how many may wait for it."""
        from fal_mcp import paid_work

        return paid_work.room_of(self.settings)

    def full(self) -> "RateLimited | None":
        """Why the store refused a job of this server's account a moment ago, if it did."""
        return self.jobs.admission.full(self.account.name) if "jobs" in vars(self) else None

    async def left(self, in_hand: int, since: float) -> int:
        """How many more jobs of this server's account may begin here now, beside so many that were let in, in a rush
        that began `since` seconds ago; less than none where more wait than may.

        Raises:
            NotRecorded: the store cannot be used.
        """
        return await self.jobs.admission.left(self.account.name, in_hand, since)

    @property
    def followed(self) -> int:
        """How many jobs this process follows now."""
        # Asked before the first job, it opens nothing.
        return self.jobs.followed if "jobs" in vars(self) else 0

    async def is_first(self, mark: str, seconds: float) -> bool:
        """Whether this mark is shown for the first time in so many seconds, to any server of this ledger."""
        return await self.jobs.ledger.once(mark, seconds)

    async def standing(self) -> "Standing":
        """How the ledger stands, with the work of everybody.

        Raises:
            NotRecorded: it cannot be used.
        """
        from fal_mcp.jobs.overview import Overview

        return await Overview(self.jobs.ledger.store).standing()

    async def catalog_age(self) -> float | None:
        """Seconds since fal's catalog was fetched; None where it never was, or another is used."""
        return await self._freshness.age()

    @cached_property
    def long_calls(self) -> "Tasks":
        """The calls that went on as MCP tasks."""
        from fal_mcp.server import job_tasks
        from fal_mcp.server.tasks import Tasks

        return Tasks(self.background, job_tasks.finder(self), job_tasks.canceller(self), lambda: self.owner)

    @cached_property
    def secret_pages(self) -> "SecretPages":
        """The pages on which the user may write a secret now."""
        from fal_mcp.server.secret_page import SecretPages

        return SecretPages(self.background, self.settings.secret_page_seconds)

    def selection_of(self, request: Any) -> "Selection | None":
        """What an HTTP request asks to have listed, by `?list=` or a header; None where it leaves that to us."""
        names = (request.query_params.get("list") or request.headers.get(LIST_HEADER)) if request is not None else None
        if not names:
            return None
        # Within and not instead: a request may narrow what the server was set to list, and never widen it.
        return self.selection.within([part.strip() for part in names[:500].split(",") if part.strip()])

    def lists_differ(self, before: "Toolbox", after: "Toolbox", changed: frozenset[str] | None) -> bool:
        """Whether a host that listed the tools before would read something else now."""
        from fal_mcp.server.tool_list import listed

        names = after.names()
        if names != before.names():
            return True
        touched = names if changed is None else [name for name in names if name in changed]
        # Comparing is work for each tool; told once too often, a host only reads the list again.
        if len(touched) > _MOST_COMPARED:
            return True
        return before.page(touched, listed) != after.page(touched, listed)
