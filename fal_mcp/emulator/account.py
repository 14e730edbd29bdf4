"""What the Platform host answers about an account's files and storage settings. Fact sheet §4.8."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.emulator import Emulator

if TYPE_CHECKING:
    from fal_mcp.emulator.app import Visit

_OPEN: dict[str, Any] = {"default": "allow", "rules": []}


def storage(fal: Emulator, visit: "Visit") -> Response:
    """The five storage operations."""
    if visit.headers.get("authorization", "").removeprefix("Key ") not in fal.keys:
        return _error(401, "authorization_error", "Authentication required")
    if visit.path == "/v1/storage/settings":
        if visit.method == "PUT":
            given = json.loads(visit.body)
            fal.storage_settings = {key: given.get(key) for key in fal.storage_settings}
        return JSONResponse(fal.storage_settings)
    url: str = visit.query.get("url", "")
    place = urlsplit(url).path.removeprefix("/cdn")
    if place not in fal.files:
        return _error(404, "not_found", "Resource not found")
    match visit.method, visit.path:
        case "GET", "/v1/storage/files/acl":
            return JSONResponse(fal.access.get(place, _OPEN))
        case "PUT", "/v1/storage/files/acl":
            given = json.loads(visit.body)
            fal.access[place] = {"default": given["default"], "rules": given.get("rules", [])}
            return JSONResponse(fal.access[place])
        case "POST", "/v1/storage/files/sign":
            seconds: Any = json.loads(visit.body)["expiration_seconds"]
            return JSONResponse({"signed_url": f"{url}?identity=emulated-{seconds}"})
        case _:
            return _error(404, "not_found", "Resource not found")


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": {"type": kind, "message": message}}, status)
