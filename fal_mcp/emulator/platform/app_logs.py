"""What the account's apps log: the past in pages, the present as a stream. Fact F8."""

import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import cast

import anyio
from starlette.responses import StreamingResponse

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Answer, Request, moment
from fal_mcp.json_values import JsonObject

_LEVELS = ("trace", "debug", "info", "warning", "error", "critical")
_DEFAULT_LIMIT = 50
_PING_SECONDS = 15.0
_LABELS = {"job_id": "fal_job_id", "request_id": "fal_request_id", "run_source": "fal_source"}


def _history(fal: Emulator, request: Request) -> object:
    """Newest first; the cursor is the moment that the next page's lines are older than."""
    limit, endless = request.query.get("limit", _DEFAULT_LIMIT), request.operation.operation_id in fal.endless
    until = None if endless else _until(request)
    lines = [one for one in fal.logs if _fits(one, request) and (until is None or moment(one["timestamp"]) < until)]
    page, more = lines[:limit], len(lines) > limit or (endless and bool(lines))
    return {"items": page, "next_cursor": page[-1]["timestamp"] if more else None, "has_more": more}


def _until(request: Request) -> datetime | None:
    cursor = request.query.get("cursor")
    try:
        return moment(cursor) if cursor else None
    except ValueError as error:
        raise Refused(400, f"Unknown cursor {cursor!r}") from error


def _stream(fal: Emulator, request: Request) -> StreamingResponse:
    return StreamingResponse(_events(fal, request), media_type="text/event-stream")


async def _events(fal: Emulator, request: Request) -> AsyncGenerator[bytes]:
    """Every live line that fits, until the logs end or the reader leaves; a comment where nothing comes for long."""
    sent = 0
    fal.log_watchers += 1
    fal.changed()
    try:
        yield b": ping\n\n"
        while not fal.are_logs_over or sent < len(fal.live_logs):
            lines = fal.live_logs[sent:]
            sent += len(lines)
            for line in lines:
                if _fits(line, request):
                    yield f"data: {json.dumps(line)}\n\n".encode()
            with anyio.move_on_after(_PING_SECONDS) as patience:
                await fal.until(lambda: len(fal.live_logs) > sent or fal.are_logs_over)  # noqa: B023 - called here
            if patience.cancelled_caught:
                yield b": ping\n\n"
    finally:
        fal.log_watchers -= 1
        fal.changed()


def _fits(line: JsonObject, request: Request) -> bool:
    query, apps = request.query, request.listed("app_id")
    labels: dict[str, str] = line.get("labels", {})
    return (
        (not apps or line["app"] in apps)
        and query.get("search", "").casefold() in line["message"].casefold()
        and query.get("revision") in (None, line["revision"])
        and _rank(line["level"]) >= _rank(query.get("level", "trace"))
        and all(query.get(name) in (None, labels.get(label)) for name, label in _LABELS.items())
        and ("start" not in query or moment(line["timestamp"]) >= moment(query["start"]))
        and ("end" not in query or moment(line["timestamp"]) < moment(query["end"]))
        and all(_meets(labels, condition) for condition in cast(list[JsonObject], request.body or []))
    )


def _rank(level: str) -> int:
    if level.casefold() not in _LEVELS:
        raise Refused(400, f"Unknown level {level!r}")
    return _LEVELS.index(level.casefold())


def _meets(labels: dict[str, str], condition: JsonObject) -> bool:
    value: str | list[str] = condition["value"]
    found = labels.get(condition["key"]) in ([value] if isinstance(value, str) else value)
    return found != condition.get("condition_type", "equals").startswith("not")


ANSWERS: dict[str, Answer] = {"serverlessLogsHistory": _history, "serverlessLogsStream": _stream}
