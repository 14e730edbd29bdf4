"""fal's catalog among servers of one ledger: one fetches it, and every other one comes to have the same."""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.catalog import cache, packed
from fal_mcp.catalog_exchange import TOPIC, CatalogExchange
from fal_mcp.config import Settings
from fal_mcp.freshness import Freshness
from fal_mcp.jobs.hearing import Hearing
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.ways_to_fal import fal_of
from tests import postgres
from tests.test_refresh import Site

BOUND = 120
ACCOUNT = "me"


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Path | str]:
    if request.param == "sqlite":
        yield tmp_path / "l.sqlite3"
        return
    with postgres.cluster() as made:
        yield made.database()


@dataclass
class Server:
    """What one server has of it."""

    folder: Path
    ledger: Ledger
    exchange: CatalogExchange
    look: Callable[[], Coroutine[Any, Any, float]]
    taken: list[str]

    @property
    def revision(self) -> str:
        known = cache.newest(self.folder)
        return known.revision if known else ""


def server(where: Path | str, folder: Path, site: Site) -> Server:
    ledger = Ledger(where)
    settings = Settings(cache=folder)
    exchange = CatalogExchange(settings.catalog_folder, ledger, lambda: ACCOUNT)
    taken: list[str] = []

    async def take(changed: frozenset[str] | None, revision: str) -> None:
        if changed is None and revision not in taken:
            taken.append(revision)

    fal = fal_of(settings, httpx.MockTransport(site))
    fresh = Freshness(settings, lambda: fal, take, lambda: exchange)
    return Server(settings.catalog_folder, ledger, exchange, fresh.look_once, taken)


def folders(where: Path | str, tmp_path: Path, count: int) -> list[Path]:
    """Servers of one file share a folder, those of a database have one each."""
    return [tmp_path / ("shared" if isinstance(where, Path) else str(number)) for number in range(count)]


async def test_of_several_that_are_due_one_asks_fal(where: Path | str, tmp_path: Path):
    site = Site()
    servers = [server(where, folder, site) for folder in folders(where, tmp_path, 4)]
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for one in servers:
                tasks.start_soon(one.look)
        assert len([request for request in site.seen if "/models" in request.url.path]) == 3, "its three pages, once"
        for one in servers:
            assert await one.look() > 0
        assert len({one.revision for one in servers}) == 1 and servers[0].revision
        assert len(site.seen) == 3
        for one in servers:
            await one.ledger.aclose()


async def test_the_others_have_what_one_fetched_document_for_document(where: Path | str, tmp_path: Path):
    first, second = [server(where, folder, site) for folder in folders(where, tmp_path, 2) for site in [Site()]]
    with anyio.fail_after(BOUND):
        await first.look()
        await second.look()
    assert second.taken == [first.revision]
    here, there = cache.newest(first.folder), cache.newest(second.folder)
    assert here is not None and there is not None
    assert (here.entries(), here.pages()) == (there.entries(), there.pages())
    await first.ledger.aclose()
    await second.ledger.aclose()


async def test_whoever_cannot_fetch_it_lets_another_try_in_time(where: Path | str, tmp_path: Path):
    site = Site()
    one, other = [server(where, folder, site) for folder in folders(where, tmp_path, 2)]
    assert await one.exchange.turn(0.01)
    with anyio.fail_after(BOUND):
        while not await other.exchange.turn(0.01):
            continue
    await one.ledger.aclose()
    await other.ledger.aclose()


@pytest.mark.parametrize("harm", ["file", "format"])
async def test_what_cannot_be_read_is_fetched_anew_and_not_taken(where: Path | str, tmp_path: Path, harm: str):
    """A catalog that is damaged, or of another version's form, leaves only the starter models until it is there again:
    it is due however young it is, and nobody is told of it."""
    site = Site()
    (folder,) = folders(where, tmp_path, 1)
    one = server(where, folder, site)
    with anyio.fail_after(BOUND):
        await one.look()
        asked, taken, revision = len(site.seen), list(one.taken), one.revision
        for file in folder.rglob("*"):
            if file.is_file() and (file.suffix == ".json") == (harm == "format"):
                file.write_bytes(b'{"format": 0, "revision": "x", "fetched_at": 9e9}' if harm == "format" else b"x")
        await one.ledger.store.run(lambda database: database.execute("DELETE FROM mark"))
        await one.ledger.store.run(lambda database: database.execute("DELETE FROM note"))
        assert one.revision == "" and await one.look() > 0
    assert one.revision == revision and len(site.seen) > asked and one.taken == taken
    await one.ledger.aclose()


@pytest.mark.parametrize("whole", ["", "no Base64 at all", "aGVsbG8=", "another"])
async def test_what_is_no_catalog_in_the_store_is_none(tmp_path: Path, whole: str):
    with postgres.cluster() as made:
        address = made.database()
        site = Site()
        first, second = server(address, tmp_path / "1", site), server(address, tmp_path / "2", site)
        await first.look()
        other = server(tmp_path / "l", tmp_path / "3", Site(2))
        await other.look()
        known = cache.newest(other.folder)
        assert known is not None
        text = packed.pack(known) if whole == "another" else whole
        await first.ledger.notes.put({f"catalog of {ACCOUNT}: whole": text})
        with anyio.fail_after(BOUND):
            await second.look()
        assert second.revision == "" and second.taken == []
        for one in (first, second, other):
            await one.ledger.aclose()


async def test_what_one_tells_the_others_hear_and_what_nobody_knows_does_nothing(where: Path | str):
    one, other = Ledger(where), Ledger(where)
    hearing, looked = Hearing(), anyio.Event()
    hearing.on(TOPIC, lambda topic: looked.set() if topic else None)
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other.store.listen, hearing.hear)
            while not looked.is_set():
                # Told again and again: when the other one begins to listen is not known here.
                for topic in ("a kind of a newer server", "\u2028", f"{TOPIC}{ACCOUNT}"):
                    await one.notes.tell(topic)
                with anyio.move_on_after(1):
                    await looked.wait()
            tasks.cancel_scope.cancel()
    await one.aclose()
    await other.aclose()
