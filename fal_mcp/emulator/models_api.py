"""The model catalog: `GET /v1/models` and pricing on the Platform host, one document on the website's.

Fact sheet §6.2, §6.3 and §7.
"""

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator import account
from fal_mcp.emulator.emulator import Emulator

if TYPE_CHECKING:
    from fal_mcp.emulator.app import Visit

_DEFAULT_LIMIT = 50
_MOST_IDS = 50


async def platform(fal: Emulator, visit: "Visit") -> Response:
    """Whatever the Platform host is asked."""
    if visit.path.startswith("/v1/storage/"):
        return account.storage(fal, visit)
    if visit.method == "POST" and visit.path == "/v1/models/pricing/estimate":
        return _estimate(fal, visit)
    if visit.method != "GET":
        return _error(404, "not_found", "Resource not found")
    match visit.path:
        case "/v1/models":
            return _models(fal, visit)
        case "/v1/models/pricing":
            return _pricing(fal, visit)
        case "/v1/models/billing-events":
            return _billing(fal, visit)
        case "/v1/models/requests/by-endpoint":
            return _requests(fal, visit)
        case "/v1/openapi.json":
            return Response(fal.platform_file.read_bytes(), media_type="application/json")
        case "/v1/meta":
            return JSONResponse({"webhook_ip_ranges": ["192.0.2.1/32"]})
        case _:
            return _error(404, "not_found", "Resource not found")


async def website(fal: Emulator, visit: "Visit") -> Response:
    """Whatever the website is asked."""
    if visit.path != "/api/openapi/queue/openapi.json":
        return JSONResponse(None, 404)
    document = fal.documents.get(visit.query.get("endpoint_id", ""))
    return JSONResponse(document.content) if document else JSONResponse(None, 404)


def _models(fal: Emulator, visit: "Visit") -> Response:
    try:
        limit, start = _page(visit)
    except ValueError:
        return _error(400, "validation_error", "Invalid request parameters")
    wanted = _listed(visit, "endpoint_id")
    if len(wanted) > _MOST_IDS:
        return _error(400, "validation_error", "At most 50 endpoint ids may be given")
    ids = [one for one in fal.documents.ids if not wanted or one in wanted]
    found = [item for one in ids if _matches(item := fal.documents.item(one), visit)]
    if wanted and not found:
        return _error(404, "not_found", "Resource not found")
    page = found[start : start + limit]
    if "openapi-3.0" in _listed(visit, "expand"):
        page = [{**item, "openapi": _expanded(fal, item["endpoint_id"])} for item in page]
    more = start + limit < len(found)
    cursor = base64.b64encode(str(start + limit).encode()).decode() if more else None
    response = JSONResponse({"models": page, "next_cursor": cursor, "has_more": more})
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:16]}"'
    if visit.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return response


def _pricing(fal: Emulator, visit: "Visit") -> Response:
    key = visit.headers.get("authorization", "").removeprefix("Key ")
    if key not in fal.keys:
        return _error(401, "authorization_error", "Authentication required")
    prices = [_price(fal, one) for one in _listed(visit, "endpoint_id") if one in fal.prices]
    if not prices:
        return _error(404, "not_found", "Resource not found")
    return JSONResponse({"prices": prices, "next_cursor": None, "has_more": False})


def _estimate(fal: Emulator, visit: "Visit") -> Response:
    """Fact sheet §6.4."""
    if visit.headers.get("authorization", "").removeprefix("Key ") not in fal.keys:
        return _error(401, "authorization_error", "Authentication required")
    about = json.loads(visit.body)
    asked: dict[str, Any] = about["endpoints"]
    known = [one for one in asked if one in fal.past_prices]
    if about["estimate_type"] != "historical_api_price" or not known:
        return _error(404, "not_found", "Resource not found")
    cost = sum(fal.past_prices[one] * asked[one]["call_quantity"] for one in known)
    return JSONResponse({"estimate_type": about["estimate_type"], "total_cost": cost, "currency": "USD"})


def _billing(fal: Emulator, visit: "Visit") -> Response:
    """Fact sheet §6.7; for admin keys alone."""
    if visit.headers.get("authorization", "").removeprefix("Key ") not in fal.admin_keys:
        return _error(403, "authorization_error", "Access denied")
    wanted = _listed(visit, "request_id")
    jobs = [job for job in fal.jobs.values() if job.request_id in wanted and job.endpoint_id in fal.past_prices]
    events = [
        {"request_id": job.request_id, "endpoint_id": job.endpoint_id, "cost_total": fal.past_prices[job.endpoint_id]}
        for job in jobs
    ]
    return JSONResponse({"billing_events": events, "next_cursor": None, "has_more": False})


def _requests(fal: Emulator, visit: "Visit") -> Response:
    """Fact sheet §6.8."""
    wanted, start = _listed(visit, "endpoint_id"), visit.query.get("start", "")
    if not wanted:
        return _error(400, "validation_error", "endpoint_id is required")
    found = [job for job in fal.jobs.values() if job.endpoint_id in wanted and job.sent >= start]
    items = [
        {
            "request_id": job.request_id,
            "endpoint_id": job.endpoint_id,
            "sent_at": job.sent,
            "started_at": job.sent,
            **({"json_input": job.input} if job.script.keeps_payloads else {}),
        }
        for job in reversed(found)
    ]
    return JSONResponse({"items": items[: int(visit.query.get("limit", "50"))], "next_cursor": None, "has_more": False})


def _price(fal: Emulator, endpoint_id: str) -> dict[str, Any]:
    amount, unit = fal.prices[endpoint_id]
    return {"endpoint_id": endpoint_id, "unit_price": amount, "unit": unit, "currency": "USD"}


def _expanded(fal: Emulator, endpoint_id: str) -> Any:
    document = fal.documents.get(endpoint_id)
    if document is None:
        return {"error": {"code": "expansion_failed", "message": "No document"}}
    return document.content


def _page(visit: "Visit") -> tuple[int, int]:
    limit = int(visit.query.get("limit", _DEFAULT_LIMIT))
    cursor = visit.query.get("cursor")
    if limit < 1:
        raise ValueError("limit")
    try:
        return limit, int(base64.b64decode(cursor, validate=True)) if cursor else 0
    except binascii.Error as error:
        raise ValueError("cursor") from error


def _matches(item: dict[str, Any], visit: "Visit") -> bool:
    metadata = item["metadata"]
    text = f"{item['endpoint_id']} {metadata.get('display_name')} {metadata.get('description')}".casefold()
    return (
        visit.query.get("q", "").casefold() in text
        and visit.query.get("category") in (None, metadata.get("category"))
        and visit.query.get("status") in (None, metadata.get("status"))
    )


def _listed(visit: "Visit", name: str) -> list[str]:
    return [part for value in visit.query.getlist(name) for part in value.split(",") if part]


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": {"type": kind, "message": message}}, status)
