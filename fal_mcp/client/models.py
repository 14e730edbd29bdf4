"""fal's model catalog: pages of items with their documents, one document, prices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import NotFound, RequestRejected, ServiceFailed
from fal_mcp.json_values import JsonMapping, dumped, list_of, number_of, object_of, text_of

PAGE = 50
"""Models on one page, each with its document: about a megabyte, parsed in one go while nothing else can run."""
MOST_IDS = 50
"""Ids that one question about prices may name."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One model as the catalog lists it: its item, and its document or None where fal could not produce it."""

    endpoint_id: str
    item: JsonMapping
    document: JsonMapping | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the catalog. `etag` is empty where fal sends none."""

    models: tuple[Listed, ...]
    next_cursor: str | None
    etag: str


class Models:
    """fal's model catalog. Works without a key, at a lower rate."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def page(self, cursor: str = "", etag: str = "") -> Page | None:
        """One page; None where it is what it was when it had this `etag`.

        Raises:
            FalError: it could not be had, after all retries.
        """
        params = {"limit": str(PAGE), "expand": "openapi-3.0", **({"cursor": cursor} if cursor else {})}
        headers = {"if-none-match": etag} if etag else {}
        response = await self._http.get(f"{self._hosts.api}/v1/models", params, headers)
        if response.status_code == 304:
            return None
        # In a thread, so that running calls wait for one parse at most and for nothing else of it.
        return await anyio.to_thread.run_sync(_page, response.content, response.headers.get("etag", ""))

    async def document(self, endpoint_id: str) -> JsonMapping | None:
        """One model's document from its own address; None where fal has none."""
        url = f"{self._hosts.www}/api/openapi/queue/openapi.json"
        try:
            response = await self._http.get(url, {"endpoint_id": endpoint_id})
        except NotFound:
            return None
        return answers.json_object(response.content)

    async def prices(self, endpoint_ids: Iterable[str]) -> dict[str, JsonMapping]:
        """What one unit of each costs this account: `unit_price`, `unit`, `currency`. At most 50 ids.

        Raises:
            NotAuthorised: there is no key, or it is not one of fal's.
        """
        self._http.need_key()
        params = {"endpoint_id": ",".join(endpoint_ids)}
        try:
            response = await self._http.get(f"{self._hosts.api}/v1/models/pricing", params)
        except NotFound:
            return {}
        return dict(_prices(list_of((answers.json_object(response.content) or {}).get("prices"))))

    async def past_price(self, endpoint_id: str) -> float | None:
        """What one call of it cost this account on average, in USD; None where fal cannot say."""
        self._http.need_key()
        body = {"estimate_type": "historical_api_price", "endpoints": {endpoint_id: {"call_quantity": 1}}}
        try:
            response = await self._http.ask(f"{self._hosts.api}/v1/models/pricing/estimate", body)
        # fal may refuse the question, as for a model that nobody called: no average is no fault.
        except RequestRejected:
            return None
        answer = answers.json_object(response.content) or {}
        cost = number_of(answer.get("total_cost"))
        # An average of 0 is one of no calls, and would pass every limit.
        return cost if cost is not None and cost > 0 and answer.get("currency", "USD") == "USD" else None


def _page(body: bytes, etag: str) -> Page:
    content = answers.json_object(body)
    if content is None or not isinstance(content.get("models"), list):
        raise ServiceFailed("A page of fal's catalog is not what a page is.")
    # Only where fal says that there is more: a cursor on the last page would lead round.
    cursor = text_of(content.get("next_cursor")) if content.get("has_more") else None
    models = tuple(model for entry in list_of(content["models"]) if (model := _listed(entry)))
    return Page(models, cursor or None, etag)


def _listed(entry: object) -> Listed | None:
    model = object_of(entry)
    endpoint_id = model.get("endpoint_id")
    # One with half a character in it could not even be kept.
    if not isinstance(endpoint_id, str) or not endpoint_id or not endpoint_id.isprintable():
        return None
    document = object_of(model.get("openapi"))
    # The rest is for fal's page, and changes without the model changing: it would count as another catalog.
    item = {key: value for key, value in model.items() if key in ("endpoint_id", "metadata")}
    return Listed(endpoint_id, item, document if "paths" in document else None)


def _prices(entries: Iterable[Any]) -> Iterator[tuple[str, JsonMapping]]:
    for entry in entries:
        match entry:
            case {"endpoint_id": str() as endpoint_id, "unit_price": int() | float(), "unit": str()}:
                yield endpoint_id, {key: entry[key] for key in ("unit_price", "unit", "currency") if key in entry}
            case _:
                continue


def canonical(value: object) -> bytes:
    """JSON with sorted keys: fal's key order changes from day to day. A description that was cut within an emoji is no
    reason to have none of it."""
    return dumped(value, sort_keys=True).encode()
