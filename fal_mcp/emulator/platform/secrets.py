"""The secrets of the account's apps, on the REST host: set, listed by name, never shown.

The Platform API has none; `/serverless/secrets` is an old client's word for where they are (fact F8).
"""

import json

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.visit import Visit

PATH = "/serverless/secrets"


def answer(fal: Emulator, visit: Visit) -> Response:
    """The list of names, or a new value for one."""
    name = visit.path.removeprefix(PATH).strip("/")
    if visit.method == "GET" and not name:
        at = fal.born.isoformat()
        return JSONResponse({"secrets": [{"name": one, "created_at": at} for one in fal.secrets]})
    if visit.method != "PUT" or not name:
        return JSONResponse({"detail": "Method Not Allowed"}, 405)
    try:
        value = json.loads(visit.body)["value"]
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"detail": "A value is required"}, 422)
    fal.secrets[name] = value
    return JSONResponse({"name": name})
