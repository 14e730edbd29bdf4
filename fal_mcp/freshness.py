"""Keeps the catalog of a running server fresh: when it is due, and again after a failure."""

import gc
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from fal_mcp.config import Settings

# It comes in with the first list or call, and what it takes to fetch with the first refresh.
if TYPE_CHECKING:
    from fal_mcp.client.fal import Fal

FIRST_AFTER = 2.0
"""Seconds: the handshake and the first list come first."""
_AGAIN_AFTER_A_FAILURE = 600.0

logger = logging.getLogger("fal_mcp")


class Freshness:
    """Fetches the catalog anew; `take` is told which models are others now, once they are there to be read."""

    def __init__(
        self,
        settings: Settings,
        fal: "Callable[[], Fal]",
        take: Callable[[frozenset[str]], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._fal = fal
        self._take = take

    async def refresh(self) -> None:
        """Fetch fal's catalog now.

        Raises:
            FalError, OSError: it could not be fetched or kept; everything stays as it was.
        """
        from fal_mcp import refresh

        # A page of the catalog is so many objects that the collector would look through everything alive, for 70 ms,
        # several times over. What is alive now stays as long as that takes: it need not look there.
        gc.freeze()
        settings = self._settings
        try:
            done = await refresh.refresh(self._fal(), settings.catalog_folder, prices=settings.key is not None)
            if not done.changed:
                return
            await self._take(done.changed)
        finally:
            gc.unfreeze()
        # The tools before it hold each other, and with them an open file: nothing else lets go of those.
        await anyio.to_thread.run_sync(gc.collect)

    async def keep(self) -> None:
        """Refresh whenever it is due, for as long as the server runs. Never raises."""
        await anyio.sleep(FIRST_AFTER)
        wait = 0.0
        try:
            wait = await self._until_due()
        except Exception as error:
            logger.warning("When fal's catalog was fetched cannot be told: %s", error)
        while True:
            await anyio.sleep(wait)
            wait = self._settings.refresh_hours * 3600
            try:
                await self.refresh()
            except Exception as error:
                # Whatever it was, the last good copy serves on.
                logger.warning("fal's catalog could not be refreshed: %s", error)
                wait = min(wait, _AGAIN_AFTER_A_FAILURE)

    async def age(self) -> float | None:
        """Seconds since the catalog was fetched, by this server or another of this machine; None where it never was,
        or another is used."""
        from fal_mcp.catalog import cache

        if self._settings.models is not None:
            return None
        known = await anyio.to_thread.run_sync(cache.newest, self._settings.catalog_folder)
        if known is None:
            return None
        known.close()
        return time.time() - known.fetched_at

    async def _until_due(self) -> float:
        if (age := await self.age()) is None:
            return 0.0
        # A clock that was set back makes it look as if it came from the future.
        longest = self._settings.refresh_hours * 3600
        return min(max(longest - age, 0.0), longest)
