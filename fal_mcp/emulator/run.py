"""The synchronous host: one request, one output. Fact sheet §3.1."""

import json
import uuid
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.emulator import Emulator

if TYPE_CHECKING:
    from fal_mcp.emulator.app import Visit


async def answer(fal: Emulator, visit: "Visit") -> Response:
    """Whatever the run host is asked."""
    endpoint_id = visit.path.strip("/")
    document = fal.documents.get(endpoint_id)
    headers = {"x-fal-request-id": str(uuid.uuid4())}
    if document is None:
        return JSONResponse({"detail": f'Application "{endpoint_id}" not found'}, 404, headers)
    arguments = json.loads(visit.body or b"{}")
    if faults := document.faults(arguments):
        return JSONResponse({"detail": faults}, 422, {**headers, "x-fal-billable-units": "0"})
    if failure := fal.script_of(endpoint_id).failure:
        return JSONResponse(dict(failure.body), failure.status, {**headers, **failure.headers})
    return JSONResponse(fal.output(document, arguments, visit.base("cdn")), headers=headers)
