"""The Platform host's door: which operation is asked for, whether the key will do, and who answers.

A request with an idempotency key is answered once and its answer repeated for ten minutes. Fact F6.1.
"""

import time

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator import models_api, queue
from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import (
    access,
    account,
    analytics,
    answers,
    app_files,
    app_logs,
    apps,
    asset_characters,
    asset_collections,
    asset_tags,
    assets,
    billing,
    compute,
    keys,
    records,
    usage,
    workflows,
)
from fal_mcp.emulator.platform.idempotency import MEMORY_SECONDS, Remembered
from fal_mcp.emulator.platform.operations import Operation, operations
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request, read
from fal_mcp.emulator.visit import Visit

_ANSWERS: dict[str, Answer] = {
    **(models_api.ANSWERS | records.ANSWERS | usage.ANSWERS | analytics.ANSWERS | billing.ANSWERS | account.ANSWERS),
    **(assets.ANSWERS | asset_collections.ANSWERS | asset_characters.ANSWERS | asset_tags.ANSWERS | access.ANSWERS),
    **(apps.ANSWERS | app_files.ANSWERS | app_logs.ANSWERS | compute.ANSWERS | keys.ANSWERS | workflows.ANSWERS),
}


async def answer(fal: Emulator, visit: Visit) -> Response:
    """Whatever the Platform host is asked."""
    if visit.path == "/v1/openapi.json":
        return Response(fal.platform_file.read_bytes(), media_type="application/json")
    match = operations().find(visit.method, visit.raw_path.removeprefix("/v1"))
    if match is None:
        return Refused(404).response()
    operation, path = match
    # Before the key is looked at: a test may want any answer to anything.
    if scripted := fal.platform_replies.get(operation.operation_id):
        return queue.reply(scripted)
    try:
        _admit(fal, visit, operation)
        return _once(fal, read(visit, operation, path))
    except Refused as refused:
        return refused.response()


def _admit(fal: Emulator, visit: Visit, operation: Operation) -> None:
    scheme, _, key = visit.headers.get("authorization", "").partition(" ")
    if operation.key == "none":
        return
    if scheme != "Key" or key not in fal.keys | fal.admin_keys:
        raise Refused(401)
    # 403 and not 401: fal knows the key, and it may not do this.
    if operation.key == "admin" and key not in fal.admin_keys:
        raise Refused(403)


def _once(fal: Emulator, request: Request) -> Response:
    token = request.idempotency_key
    if token is None:
        return _answer(fal, request)
    known = fal.idempotent.get(token)
    if known is None or time.monotonic() - known.at >= MEMORY_SECONDS:
        known = fal.idempotent[token] = Remembered(request.operation.operation_id, _answer(fal, request))
    else:
        # The same answer and nothing done: what an idempotency key is for.
        known.repeats += 1
    return known.response


def _answer(fal: Emulator, request: Request) -> Response:
    operation = request.operation
    give = _ANSWERS.get(operation.operation_id)
    value = give(fal, request) if give else answers.value(operation.answer or {})
    fal.changed()
    if isinstance(value, Response):
        return value
    return Response(status_code=204) if operation.status == 204 else JSONResponse(value, operation.status)
