"""What an operation answers, gone on with from page to page to a stated number of rows."""

from typing import Any, cast

from fal_mcp.errors import FalError, MaybeReceived, NotAuthorised, ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, is_list, is_object, parsed
from fal_mcp.openapi.operation import Operation
from fal_mcp.runs.call import Call

DEFAULT_ROWS = 100
MOST_ROWS = 1000
_MOST_PAGES = 40
_LARGEST_PAGE = 100
_MAY_BE_DONE = "It may have been done. Look at what there is now before you repeat it."
_SCOPES = {
    True: "It needs a key of scope ADMIN, and the permission for it: set one as FAL_ADMIN_KEY. Keys are made at "
    "https://fal.ai/dashboard/keys.",
    False: "The key in FAL_KEY may not do this: a key of scope API works for what its own account owns.",
}


async def fetch(operation: Operation, arguments: JsonMapping, call: Call, *, changes: bool | None = None) -> Any:
    """Send it, and go on from page to page until there are as many rows as asked for: the last answer, with the rows
    of all pages in it. Whatever stands beside the rows, such as a report's summary, is of the whole on every page.

    Raises:
        FalError: what fal has against it; where the key is too small, the hint says which scope it takes.
    """
    if operation.rows is None:
        return await send(operation, arguments, call, changes=changes)
    wanted = int(arguments.get("limit") or DEFAULT_ROWS)
    takes_limit = any(one.name == "limit" for one in operation.arguments)
    whole: JsonObject = {}
    given: JsonObject | None = dict(arguments)
    # A list that never ends, or a cursor that leads back, ends here.
    for _ in range(_MOST_PAGES):
        if given is None:
            break
        if takes_limit:
            # What is still missing: a last page of full size would be thrown away in part.
            given["limit"] = min(wanted - _count(operation, whole), _largest_page(operation))
        answer = await send(operation, given, call, changes=changes)
        given = _next(operation, given, answer, wanted - _count(operation, whole))
        # The last answer's other fields win: its cursor is the one to go on with.
        whole = _joined(operation.rows, whole, answer)
        await call.say(f"{_count(operation, whole)} rows so far")
    return whole


async def send(
    operation: Operation,
    arguments: JsonMapping,
    call: Call,
    *,
    changes: bool | None = None,
    idempotency_key: str | None = None,
) -> Any:
    """One request and its answer: JSON, text, or None where fal answers with nothing. All but GET changes something,
    unless said otherwise.

    Raises:
        MaybeReceived: it changes something, and no answer proves that it was refused.
        FalError: what fal has against it.
    """
    request = operation.request(arguments)
    changes = request.method != "GET" if changes is None else changes
    platform = call.fal().platform
    try:
        response = await platform.send(
            request.method,
            request.path,
            request.query,
            request.body,
            as_admin=operation.needs_admin,
            is_idempotent=operation.takes_idempotency_key,
            idempotency_key=idempotency_key,
            changes=changes,
        )
    except MaybeReceived as error:
        error.hint = _MAY_BE_DONE
        raise
    except NotAuthorised as error:
        # 401 is a key that fal does not know; 403 is one that may not do this, and only there another scope helps.
        if error.status == 403:
            error.hint = _SCOPES[operation.needs_admin]
        raise
    if not operation.answer_type:
        return None
    if operation.answer_type != "application/json":
        return response.text
    try:
        answer: object = parsed(response.content)
    except NotJson as error:
        raise _unreadable(f"fal's answer to {operation.summary!r} is not JSON.", changes=changes) from error
    if is_object(answer) or not operation.answers_object:
        return cast(Any, answer)
    raise _unreadable(f"fal's answer to {operation.summary!r} is no object.", changes=changes)


def _unreadable(message: str, *, changes: bool) -> FalError:
    # What changed something has done so all the same: asked again it would be done twice.
    return MaybeReceived(message, hint=_MAY_BE_DONE) if changes else ServiceFailed(message)


def _largest_page(operation: Operation) -> int:
    limit = next(one for one in operation.arguments if one.name == "limit")
    return int(limit.schema.get("maximum", _LARGEST_PAGE))


def _next(operation: Operation, given: JsonMapping, answer: JsonMapping, missing: int) -> JsonObject | None:
    """The arguments of the next page; None where there is none, or enough came."""
    page = answer.get(operation.rows or "")
    count = len(page) if is_list(page) else 0
    # An empty page ends the list, whatever its cursor says.
    if not count or count >= missing:
        return None
    cursor = answer.get("next_cursor")
    if isinstance(cursor, str) and cursor:
        return {**given, "cursor": cursor}
    if answer.get("has_more") and any(one.name == "offset" for one in operation.arguments):
        return {**given, "offset": int(given.get("offset") or 0) + count}
    return None


def _joined(rows: str, whole: JsonMapping, answer: JsonMapping) -> JsonObject:
    page = answer.get(rows)
    return {**answer, rows: [*whole.get(rows, ()), *(page if is_list(page) else ())]}


def _count(operation: Operation, whole: JsonMapping) -> int:
    return len(whole.get(operation.rows or "", ()))
