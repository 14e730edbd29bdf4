"""fal's catalog is fetched page by page and kept; nothing that goes wrong costs the last good copy."""

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.catalog import cache
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.config import Settings
from fal_mcp.errors import FalError
from fal_mcp.refresh import refresh
from fal_mcp.ways_to_fal import fal_of
from tests.documents import document

BOUND = 30


class Site:
    """fal's catalog as a transport: pages of two models, and whatever a test breaks."""

    def __init__(self, count: int = 5) -> None:
        self.documents: dict[str, Any] = {
            f"a/model-{n}": document(f"a/model-{n}", {"type": "object", "properties": {"prompt": {"type": "string"}}})
            for n in range(count)
        }
        self.failing: set[str] = set()
        self.broken: dict[str, httpx.Response] = {}
        self.seen: list[httpx.Request] = []
        self.etags = True
        self.description = "Pictures."

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.url.path.startswith("/api/openapi"):
            found = self.documents.get(request.url.params["endpoint_id"])
            return httpx.Response(200, json=found) if found else httpx.Response(404, json=None)
        if request.url.path.endswith("/pricing"):
            ids = request.url.params["endpoint_id"].split(",")
            prices = [{"endpoint_id": one, "unit_price": 0.5, "unit": "images", "currency": "USD"} for one in ids]
            return httpx.Response(200, json={"prices": prices, "has_more": False})
        cursor = request.url.params.get("cursor", "0")
        if cursor in self.broken:
            return self.broken[cursor]
        start, ids = int(cursor), sorted(self.documents)
        body = json.dumps(
            {
                "models": [self._item(one) for one in ids[start : start + 2]],
                "has_more": start + 2 < len(ids),
                "next_cursor": str(start + 2),
            }
        ).encode()
        etag = f'"{hash(body)}"'
        if self.etags and request.headers.get("if-none-match") == etag:
            return httpx.Response(304)
        return httpx.Response(200, content=body, headers={"etag": etag} if self.etags else {})

    def _item(self, endpoint_id: str) -> dict[str, Any]:
        error = {"error": {"code": "expansion_failed"}}
        shown = error if endpoint_id in self.failing else self.documents[endpoint_id]
        metadata = {"display_name": endpoint_id, "category": "text-to-image", "description": self.description}
        return {"endpoint_id": endpoint_id, "metadata": metadata, "openapi": shown}


@pytest.fixture
def site() -> Site:
    return Site()


async def fetch(site: Site, folder: Path, **options: Any) -> Any:
    settings = Settings(key="id:secret" if options.get("prices") else None, cache=folder)
    with anyio.fail_after(BOUND):
        async with fal_of(settings, httpx.MockTransport(site)) as fal:
            return await refresh(fal, folder, **options)


def kept(folder: Path) -> Catalog:
    found = cache.newest(folder)
    assert found is not None
    return Catalog(found)


def list_files(folder: Path, glob: str) -> list[Path]:
    return list(folder.glob(glob))


async def test_every_page_is_fetched_and_every_model_can_be_used(site: Site, tmp_path: Path):
    told: list[int] = []

    async def tell(count: int) -> None:
        told.append(count)

    done = await fetch(site, tmp_path, tell=tell)
    assert (done.count, done.is_whole, told) == (5, True, [2, 4, 5])
    catalog = kept(tmp_path)
    assert catalog.ids == sorted(site.documents) and catalog.problems() == {}
    assert "authorization" not in site.seen[0].headers


async def test_what_did_not_change_is_not_sent_again(site: Site, tmp_path: Path):
    await fetch(site, tmp_path)
    before = len(site.seen)
    done = await fetch(site, tmp_path)
    assert not done.changed and kept(tmp_path).ids == sorted(site.documents)
    assert all("if-none-match" in request.headers for request in site.seen[before:])


async def test_key_order_is_no_change_and_a_new_argument_is(site: Site, tmp_path: Path):
    """fact D4."""
    site.etags = False
    await fetch(site, tmp_path)
    site.documents = {one: dict(reversed(found.items())) for one, found in site.documents.items()}
    assert not (await fetch(site, tmp_path)).changed
    properties = {"prompt": {"type": "string"}, "seed": {"type": "integer"}}
    site.documents["a/model-3"] = document("a/model-3", {"type": "object", "properties": properties})
    del site.documents["a/model-0"]
    assert (await fetch(site, tmp_path)).changed == {"a/model-0", "a/model-3"}
    assert "a/model-0" not in kept(tmp_path).ids


async def test_a_document_that_fal_could_not_expand_is_had_from_its_own_address(site: Site, tmp_path: Path):
    site.failing = {"a/model-1"}
    await fetch(site, tmp_path)
    assert kept(tmp_path).get("a/model-1") is not None
    lost = site.documents.pop("a/model-1")
    site.documents["a/model-1"] = lost
    own = [request for request in site.seen if request.url.path.startswith("/api/openapi")]
    assert [request.url.params["endpoint_id"] for request in own] == ["a/model-1"]


@pytest.mark.parametrize("broken", [httpx.Response(200, text="{nonsense"), httpx.Response(500, json={"error": {}})])
async def test_a_page_that_fails_leaves_what_it_held_before(site: Site, tmp_path: Path, broken: httpx.Response):
    site.etags = False
    await fetch(site, tmp_path)
    site.broken["2"] = broken
    done = await fetch(site, tmp_path)
    assert not done.is_whole and not done.changed
    assert kept(tmp_path).ids == sorted(site.documents)


async def test_when_nothing_can_be_had_the_last_copy_stays(site: Site, tmp_path: Path):
    await fetch(site, tmp_path)
    site.broken["0"] = httpx.Response(403, json={"error": {"message": "no"}})
    with pytest.raises(FalError):
        await fetch(site, tmp_path)
    assert len(kept(tmp_path)) == 5


async def test_a_damaged_cache_is_no_cache_and_is_replaced(site: Site, tmp_path: Path):
    await fetch(site, tmp_path)
    (file,) = list_files(tmp_path, "*.sqlite3")
    file.write_bytes(file.read_bytes()[:700])
    assert cache.newest(tmp_path) is None
    (tmp_path / "catalog.json").write_text('{"format": 1', "utf-8")
    assert cache.newest(tmp_path) is None
    await fetch(site, tmp_path)
    assert len(kept(tmp_path)) == 5


async def test_two_that_refresh_at_once_leave_one_whole_catalog(site: Site, tmp_path: Path):
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(fetch, site, tmp_path)
    assert len(kept(tmp_path)) == 5
    assert list_files(tmp_path, "*.part") == []


@pytest.mark.parametrize("place", ["item", "document", "id"])
async def test_half_a_character_costs_no_catalog(site: Site, tmp_path: Path, place: str):
    """As where fal cuts a description within an emoji."""
    half = "Pictures \ud83d"
    if place == "id":
        site.documents[half] = document("a/b", {"type": "object"})
    elif place == "document":
        site.documents["a/model-1"]["info"]["description"] = half
    else:
        site.description = half
    done = await fetch(site, tmp_path)
    assert done.is_whole and kept(tmp_path).ids == [f"a/model-{number}" for number in range(5)]
    assert kept(tmp_path).problems() == {}
    # What cannot be kept as it is, is no other catalog each time.
    assert not (await fetch(site, tmp_path)).changed


async def test_prices_come_with_a_key(site: Site, tmp_path: Path):
    await fetch(site, tmp_path, prices=True)
    endpoint = kept(tmp_path).get("a/model-2")
    assert endpoint is not None and str(endpoint.price) == "$0.50 per image"
