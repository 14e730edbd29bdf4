"""When the account's apps are read so that their tools can be listed, and whether a list is another then.

Nothing is asked for at the start: with the first list that depends on them, after a deploy, and now and then.
"""

import logging
from collections.abc import Awaitable, Callable

import anyio

from fal_mcp.client.fal import Fal
from fal_mcp.config import DEFAULT_PINS, Settings
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox

_LONGEST_READ = 8.0
_LOOK_EVERY = 300.0

logger = logging.getLogger("fal_mcp")


class OwnTools:
    """The tools of one account's apps in the lists of one server."""

    def __init__(
        self,
        settings: Settings,
        tools: Callable[[], Toolbox],
        fal: Callable[[], Fal],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings, self._tools, self._fal, self._changed = settings, tools, fal, changed
        self._is_read = False

    @property
    def may_be_listed(self) -> bool:
        """Whether any list may depend on them."""
        return self._is_read or self._is_wanted(self._tools().models.selection)

    async def ready(self, selection: Selection | None = None) -> None:
        """Read them before the first list that depends on them; it waits for some seconds at most."""
        if not self._is_read and self._is_wanted(selection or self._tools().models.selection):
            self._is_read = True
            with anyio.move_on_after(_LONGEST_READ):
                await self._tools().models.resolution.read(self._fal())

    async def keep(self) -> None:
        """Look at them now and then, for as long as this server runs."""
        while True:
            if self.may_be_listed:
                await self.look()
            await anyio.sleep(_LOOK_EVERY)

    async def look(self) -> None:
        """Read them anew, and announce it where another tool is listed or one is another now. Raises nothing."""
        resolution = self._tools().models.resolution
        before, taken = self._tools().names(), resolution.taken()
        try:
            await resolution.read(self._fal())
            self._is_read = True
            is_other = any(taken.get(one) != now for one, now in resolution.taken().items())
            if self._tools().names() != before or (is_other and taken):
                await self._changed()
        except Exception:
            # Whatever it was, the server goes on, with the apps as they were.
            logger.exception("The account's apps could not be read.")

    def _is_wanted(self, selection: Selection) -> bool:
        if self._settings.key is None or self._settings.read_only:
            return False
        return selection.asks_for_own(self._tools().catalog, DEFAULT_PINS)
