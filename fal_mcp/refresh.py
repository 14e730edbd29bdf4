"""Keeps fal's catalog on this disk new: page by page, at a polite rate, never losing the last good copy."""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from fal_mcp.catalog import cache
from fal_mcp.catalog.cache import Entry
from fal_mcp.client.fal import Fal
from fal_mcp.client.models import MOST_IDS, Listed, Page, canonical
from fal_mcp.errors import FalError
from fal_mcp.json_values import JsonMapping, JsonObject

_PAUSE = 0.05
"""Seconds between two requests, so that a refresh is never what a rate limit is spent on."""
_MOST_PAGES = 400
_PAGE_TRIES = 3

logger = logging.getLogger("fal_mcp")
Told = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh brought: how many models there are, and whose item or document is new, other, or gone."""

    count: int
    changed: frozenset[str]
    is_whole: bool
    """Whether every page came; if not, what the others held before was kept."""


@dataclass(slots=True)
class _Gathered:
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    pages: dict[str, cache.Page] = field(default_factory=dict[str, cache.Page])
    is_whole: bool = True


async def _nobody(count: int) -> None:
    return


async def refresh(fal: Fal, folder: Path, tell: Told = _nobody, *, prices: bool = False) -> Refreshed:
    """Fetch the catalog and make it the newest in `folder`; `tell` hears how many models were fetched.

    `prices` also asks what each costs this account, which needs a key.

    Raises:
        FalError: not one page could be had; what was there stays.
        OSError: it could not be written; what was there stays.
    """
    old_entries, old_pages = await anyio.to_thread.run_sync(_before, folder)
    gathered = await _gather(fal, old_entries, old_pages, tell)
    if prices:
        await _price(fal, gathered.entries)
    gathered.entries = {one: _with_price(entry, old_entries.get(one)) for one, entry in gathered.entries.items()}
    # A page that failed must not look like models that fal has taken away.
    if not gathered.is_whole:
        gathered.entries = {**old_entries, **gathered.entries}
    changed = {
        one
        for one in old_entries.keys() | gathered.entries.keys()
        if _digest_of(old_entries, one) != _digest_of(gathered.entries, one)
    }
    entries = list(gathered.entries.values())
    revision = cache.revision_of(entries)
    await anyio.to_thread.run_sync(cache.write, folder, entries, gathered.pages, revision, time.time())
    return Refreshed(len(entries), frozenset(changed), gathered.is_whole)


def _before(folder: Path) -> tuple[dict[str, Entry], dict[str, cache.Page]]:
    known = cache.newest(folder)
    if known is None:
        return {}, {}
    try:
        return known.entries(), known.pages()
    except Exception:
        # A damaged file costs a whole fetch and nothing else.
        logger.warning("The catalog in %s is damaged and is fetched anew.", folder)
        return {}, {}
    finally:
        known.close()


async def _gather(fal: Fal, old: Mapping[str, Entry], pages: Mapping[str, cache.Page], tell: Told) -> _Gathered:
    gathered, cursor = _Gathered(), ""
    for _ in range(_MOST_PAGES):
        known = pages.get(cursor)
        try:
            page = await _page(fal, cursor, known.etag if known else "")
        except FalError as error:
            if not gathered.entries:
                raise
            logger.warning("A page of fal's catalog could not be had: %s What it held before stays.", error.message)
            gathered.is_whole = False
            break
        # Not modified: what it held last time is taken over, documents and all, without being fetched or read.
        if page is None and known:
            gathered.entries |= {one: old[one] for one in known.ids if one in old}
            gathered.pages[cursor], following = known, known.next_cursor
        else:
            assert page is not None
            gathered.entries |= await _entries(fal, page, old)
            ids = tuple(one.endpoint_id for one in page.models)
            if page.etag:
                gathered.pages[cursor] = cache.Page(page.etag, ids, page.next_cursor)
            following = page.next_cursor
        await tell(len(gathered.entries))
        # A cursor that was there before would go round for ever.
        if not following or following in gathered.pages:
            break
        cursor = following
        await anyio.sleep(_PAUSE)
    return gathered


async def _page(fal: Fal, cursor: str, etag: str) -> Page | None:
    for attempt in range(_PAGE_TRIES):
        try:
            return await fal.models.page(cursor, etag)
        except FalError as error:
            # What the client itself retries has been retried by now; this is for a page that came as nonsense.
            if error.status is not None or attempt == _PAGE_TRIES - 1:
                raise
            await anyio.sleep(_PAUSE * 2**attempt)
    raise AssertionError("unreachable")


async def _entries(fal: Fal, page: Page, old: Mapping[str, Entry]) -> dict[str, Entry]:
    # fal's list says of some documents that it could not produce them: they are asked for once more, each by its own
    # address.
    failed = [one for one in page.models if one.document is None]
    fetched: JsonObject = {}
    for one in failed:
        try:
            fetched[one.endpoint_id] = await fal.models.document(one.endpoint_id)
        except FalError as error:
            logger.info("The document of %s could not be had: %s", one.endpoint_id, error.message)
        await anyio.sleep(_PAUSE)
    return await anyio.to_thread.run_sync(_packed, page.models, fetched, old)


def _packed(models: Iterable[Listed], fetched: JsonMapping, old: Mapping[str, Entry]) -> dict[str, Entry]:
    packed: dict[str, Entry] = {}
    for one in models:
        document = one.document or fetched.get(one.endpoint_id)
        before = old.get(one.endpoint_id)
        # What is there from before stays where fal has none today: a model does not go because its document could not
        # be made.
        content = canonical(document) if document else before.document if before else b""
        packed[one.endpoint_id] = cache.entry(one.endpoint_id, canonical(one.item), content)
    return packed


def _digest_of(entries: Mapping[str, Entry], endpoint_id: str) -> str | None:
    entry = entries.get(endpoint_id)
    return entry.digest if entry else None


async def _price(fal: Fal, entries: dict[str, Entry]) -> None:
    """Put this account's prices into the items; what cannot be priced stays without one."""
    ids = sorted(entries)
    for start in range(0, len(ids), MOST_IDS):
        try:
            prices = await fal.models.prices(ids[start : start + MOST_IDS])
        except FalError as error:
            logger.warning("fal's prices could not be had: %s", error.message)
            return
        priced = await anyio.to_thread.run_sync(_priced, entries, prices)
        entries.update(priced)
        await anyio.sleep(_PAUSE)


def _with_price(entry: Entry, before: Entry | None) -> Entry:
    """The entry with the price that was known before, where none was told now: a limit depends on it."""
    if before is None or b'"price"' in entry.item or b'"price"' not in before.item:
        return entry
    price: Any = json.loads(before.item).get("price")
    return cache.entry(entry.endpoint_id, canonical({**json.loads(entry.item), "price": price}), entry.document)


def _priced(entries: Mapping[str, Entry], prices: Mapping[str, JsonMapping]) -> dict[str, Entry]:
    return {
        one: cache.entry(one, canonical({**json.loads(entries[one].item), "price": price}), entries[one].document)
        for one, price in prices.items()
        if one in entries
    }
