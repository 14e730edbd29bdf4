"""fal's catalog among the servers of one ledger: whose turn it is to fetch it, and how the others come by it."""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio.to_thread

from fal_mcp.catalog import cache, packed
from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.json_values import NotJson, dumped, number_of, object_of, parsed, text_of

TOPIC = "catalog:"
"""What servers tell each other, with the account whose prices are in it."""

logger = logging.getLogger("fal_mcp")


def among_servers(
    folder: Path, jobs: Jobs | None, account: Callable[[], str], look: Callable[[], None]
) -> "CatalogExchange":
    """The exchange of one server, which is told to look where another has fetched the catalog."""
    if jobs is not None:
        jobs.hearing.on(TOPIC, lambda topic: look())
    return CatalogExchange(folder, jobs.ledger if jobs else None, account)


class CatalogExchange:
    """The catalog in `folder`, with the prices of the account of this name; None for a ledger that is nobody else's."""

    def __init__(self, folder: Path, ledger: Ledger | None, account: Callable[[], str]) -> None:
        self._folder = folder
        self._ledger = ledger
        self._account = account

    @property
    def _is_carried(self) -> bool:
        # Servers of one file share the folder too.
        return self._ledger is not None and self._ledger.store.is_shared

    async def newest(self) -> tuple[str, float]:
        """Have the newest of any server in the folder; its revision, and when it was fetched in seconds since 1970.
        Empty and 0 where there is none that can be read, so that it is fetched."""
        revision, fetched_at = await anyio.to_thread.run_sync(self._here)
        if not self._is_carried or self._ledger is None:
            return revision, fetched_at
        try:
            there, at = _about(await self._ledger.notes.get(self._note("about")))
            if at > fetched_at:
                if there != revision:
                    await self._taken(self._ledger, there, at)
                return there, at
        except NotRecorded as error:
            logger.info("Whether another server has a newer catalog cannot be told: %s", error.message)
        except ValueError as error:
            # A store may hold anything; what is no catalog is none, and is fetched.
            logger.warning("The catalog in the store cannot be used: %s", error)
        return revision, fetched_at

    def _here(self) -> tuple[str, float]:
        # Opened, and not told by the pointer: what that names may be damaged, or of another version's form.
        known = cache.newest(self._folder)
        if known is None:
            return "", 0.0
        with closing(known):
            return known.revision, known.fetched_at

    async def turn(self, seconds: float) -> bool:
        """Whether it is this server that fetches it now; it has so long, and then another may."""
        if self._ledger is None:
            return True
        try:
            return await self._ledger.turn(f"{TOPIC}{self._account()}", seconds)
        except NotRecorded:
            # Each for itself, where they cannot speak with each other.
            return True

    async def publish(self) -> None:
        """Hand what is in the folder to the servers of other machines.

        Raises:
            NotRecorded: it cannot be kept for them.
        """
        if not self._is_carried or self._ledger is None:
            return
        known = await anyio.to_thread.run_sync(cache.newest, self._folder)
        if known is None:
            return
        about = dumped({"revision": known.revision, "fetched_at": known.fetched_at})
        there, _ = _about(await self._ledger.notes.get(self._note("about")))
        texts = {self._note("about"): about}
        # What they have already is not sent again.
        if there != known.revision:
            texts[self._note("whole")] = await anyio.to_thread.run_sync(packed.pack, known)
        await self._ledger.notes.put(texts, f"{TOPIC}{self._account()}")

    async def _taken(self, ledger: Ledger, revision: str, fetched_at: float) -> None:
        text = await ledger.notes.get(self._note("whole")) or ""

        def keep() -> None:
            catalog = packed.unpack(text, revision)
            cache.write(self._folder, catalog.entries, catalog.pages, revision, fetched_at)

        await anyio.to_thread.run_sync(keep)

    def _note(self, what: str) -> str:
        return f"catalog of {self._account()}: {what}"


def _about(text: str | None) -> tuple[str, float]:
    try:
        about = object_of(parsed(text or "{}"))
    except NotJson:
        return "", 0.0
    return text_of(about.get("revision")) or "", number_of(about.get("fetched_at")) or 0.0
