"""The model catalog: `GET /v1/models` and pricing on the Platform host, one document on the website's.

Fact F6.2 to F6.4, F7 and F10.6.
"""

import hashlib
import re
from typing import Any

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import pages
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

_PAGE = re.compile(r"/models/(.+)/llms\.txt")


async def website(fal: Emulator, visit: Visit) -> Response:
    """Whatever the website is asked."""
    if page := _PAGE.fullmatch(visit.path):
        model = fal.documents.get(page[1])
        return Response(f"# {page[1]}\n\nA page for language models, emulated.\n", 200 if model else 404)
    if visit.path != "/api/openapi/queue/openapi.json":
        return JSONResponse(None, 404)
    document = fal.documents.get(visit.query.get("endpoint_id", ""))
    return JSONResponse(document.content) if document else JSONResponse(None, 404)


def _models(fal: Emulator, request: Request) -> Response:
    wanted = request.listed("endpoint_id")
    ids = [one for one in fal.documents.ids if (not wanted or one in wanted) and one not in fal.unlisted]
    items = [item for one in ids if _matches(item := fal.documents.item(one), request.query)]
    # fal answers 404 where none of the ids that were asked for is there, and leaves out those that are not where
    # others are.
    if wanted and not items:
        raise Refused(404)
    page = pages.by_cursor(fal, request, "models", items)
    if "openapi-3.0" in request.listed("expand"):
        # Only for the models of the page: a document each is most of such an answer.
        page["models"] = [{**item, "openapi": _expanded(fal, item["endpoint_id"])} for item in page["models"]]
    response = JSONResponse(page)
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:16]}"'
    if request.visit.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return response


def _matches(item: JsonObject, query: JsonObject) -> bool:
    metadata = item["metadata"]
    text = f"{item['endpoint_id']} {metadata.get('display_name')} {metadata.get('description')}".casefold()
    return (
        query.get("q", "").casefold() in text
        and query.get("category") in (None, metadata.get("category"))
        and query.get("status") in (None, metadata.get("status"))
    )


def _expanded(fal: Emulator, endpoint_id: str) -> Any:
    document = fal.documents.get(endpoint_id)
    if document is None:
        # Under a status of 200, as fal has it for the few documents it cannot produce.
        return {"error": {"code": "expansion_failed", "message": "No document"}}
    return document.content


def _pricing(fal: Emulator, request: Request) -> Any:
    # What has no price is left out without a word, as fal does.
    prices = [_price(fal, one) for one in request.listed("endpoint_id") if one in fal.prices]
    if not prices:
        raise Refused(404)
    return {"prices": prices, "next_cursor": None, "has_more": False}


def _price(fal: Emulator, endpoint_id: str) -> JsonObject:
    amount, unit = fal.prices[endpoint_id]
    return {"endpoint_id": endpoint_id, "unit_price": amount, "unit": unit, "currency": "USD"}


def _estimate(fal: Emulator, request: Request) -> Any:
    if request.body is None:
        raise Refused(400, "A body is required")
    kind, wanted = request.body["estimate_type"], request.body["endpoints"]
    by_call = kind == "historical_api_price"
    prices = fal.past_prices if by_call else {one: amount for one, (amount, _) in fal.prices.items()}
    known = [one for one in wanted if one in prices]
    if not known:
        raise Refused(404)
    quantity = "call_quantity" if by_call else "unit_quantity"
    cost = sum(prices[one] * wanted[one][quantity] for one in known)
    return {"estimate_type": kind, "total_cost": cost, "currency": "USD"}


def _meta(fal: Emulator, request: Request) -> Any:
    return {"webhook_ip_ranges": ["192.0.2.1/32"]}


ANSWERS: dict[str, Answer] = {
    "getModels": _models,
    "getPricing": _pricing,
    "estimatePricing": _estimate,
    "getMeta": _meta,
}
