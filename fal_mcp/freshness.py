"""Keeps the catalog of a running server fresh: when it is due, and again after a failure.

Of several servers of one ledger one fetches it; those of one folder read what it wrote there, and those of other
machines get it by way of the store.
"""

import gc
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from fal_mcp.config import Settings
from fal_mcp.errors import NotRecorded

# It comes in with the first list or call, and what it takes to fetch with the first refresh.
if TYPE_CHECKING:
    from fal_mcp.catalog_exchange import CatalogExchange
    from fal_mcp.client.fal import Fal

FIRST_AFTER = 2.0
"""Seconds: the handshake and the first list come first."""
_AGAIN_AFTER_A_FAILURE = 600.0
_TURN = 120.0
"""Seconds that a server has for it: one that is ended meanwhile, as hosts do, must not keep the next one long."""
_LOOK_EVERY = 60.0
"""Seconds between two looks for what another server of the same folder fetched."""
_LOOK_SOON = 15.0
"""The same while another one is at it."""

logger = logging.getLogger("fal_mcp")


Take = Callable[[frozenset[str] | None, str], Awaitable[None]]


class Freshness:
    """Fetches the catalog anew, or has it from another server. `take` is told once it is there to be read: with the
    models that are others now, or, where another server knows those, with None and the revision."""

    def __init__(
        self,
        settings: Settings,
        fal: "Callable[[], Fal]",
        take: Take,
        exchange: "Callable[[], CatalogExchange]",
    ) -> None:
        self._settings = settings
        self._fal = fal
        self._take = take
        self._exchange = exchange
        self._told = anyio.Event()

    def look(self) -> None:
        """Another server may have fetched it."""
        self._told.set()

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
            if done.changed:
                await self._take(done.changed, "")
        finally:
            gc.unfreeze()
        try:
            await self._exchange().publish()
        except NotRecorded as error:
            logger.warning("fal's catalog could not be handed to the other servers: %s", error.message)

    async def keep(self) -> None:
        """Refresh whenever it is due, for as long as the server runs. Never raises."""
        await anyio.sleep(FIRST_AFTER)
        while True:
            # Before the look: what is told while it lasts is looked at after it.
            self._told = anyio.Event()
            try:
                wait = await self.look_once()
            except Exception as error:
                # Whatever it was, the last good copy serves on.
                logger.warning("fal's catalog could not be refreshed: %s", error)
                wait = min(self._settings.refresh_hours * 3600, _AGAIN_AFTER_A_FAILURE)
            with anyio.move_on_after(wait):
                await self._told.wait()

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

    async def look_once(self) -> float:
        """Do what there is to do; the seconds until there may be more."""
        exchange, period = self._exchange(), self._settings.refresh_hours * 3600
        revision, fetched_at = await exchange.newest()
        if revision:
            await self._take(None, revision)
        # A clock that was set back makes it look as if it came from the future.
        due = min(max(fetched_at + period - time.time(), 0.0), period)
        if due > 0:
            return min(due, _LOOK_EVERY)
        if not await exchange.turn(min(_TURN, period)):
            return min(period, _LOOK_SOON)
        await self.refresh()
        return min(period, _LOOK_EVERY)
