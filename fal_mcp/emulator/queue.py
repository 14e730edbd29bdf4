"""The queue host: submit, status, status stream, result, cancel. Fact F2."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.job import Job
from fal_mcp.emulator.script import Reply
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

# The only two that fal has; after one of them owner and alias are the second and third part.
_NAMESPACES = frozenset({"workflows", "comfy"})
_REQUEST = re.compile(r"/(?P<app>.+)/requests/(?P<id>[^/]+)(?P<what>/status/stream|/status|/cancel|/response)?/?")
_PING_SECONDS = 15.0


async def answer(fal: Emulator, visit: Visit) -> Response:
    """Whatever the queue host is asked."""
    match = _REQUEST.fullmatch(visit.path)
    if match is None:
        return await _submit(fal, visit) if visit.method == "POST" else _not_allowed()
    if match["app"] != app_id(match["app"]):
        # With a sub-path the gateway takes it for a call of the app, which only takes POST.
        return _not_allowed()
    job = fal.jobs.get(match["id"])
    # A job is known under its app alone: asked for under another one's address it is not there.
    if job is None or app_id(job.endpoint_id) != match["app"]:
        return JSONResponse({"status": "NOT_FOUND"}, 404)
    if visit.method == "GET" and not match["what"]:
        await fal.held(job.script.hold_result and not job.is_released)
    return _of_job(job, visit, match["what"] or "")


def app_id(endpoint_id: str) -> str:
    """The endpoint's app: owner and alias, after a namespace where there is one. Fact F2.1."""
    parts = endpoint_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def _not_allowed() -> Response:
    return JSONResponse({"detail": "Method Not Allowed"}, 405)


def reply(scripted: Reply) -> Response:
    """A scripted answer."""
    body = scripted.body if isinstance(scripted.body, bytes) else json.dumps(scripted.body).encode()
    return Response(body, scripted.status, dict(scripted.headers), "application/json")


def _of_job(job: Job, visit: Visit, what: str) -> Response:
    script = job.script
    match visit.method, what:
        case "GET", "/status":
            return reply(script.status) if script.status else _status(job, visit)
        case "GET", "/status/stream":
            return reply(script.stream) if script.stream else _stream(job, visit)
        case "GET", "" | "/response":
            return reply(script.result) if script.result else _result(job, visit)
        case "PUT", "/cancel":
            taken = job.cancel()
            word = "CANCELLATION_REQUESTED" if taken else "ALREADY_COMPLETED"
            # 202, as a runner may go on all the same: whether it was cancelled shows in its status.
            return JSONResponse({"status": word}, 202 if taken else 400)
        case _:
            return _not_allowed()


async def _submit(fal: Emulator, visit: Visit) -> Response:
    endpoint_id = visit.path.strip("/")
    document = fal.document(endpoint_id)
    script = fal.script_of(endpoint_id)
    if script.submit is not None:
        return reply(script.submit)
    if refusal := fal.own_apps.refusal(endpoint_id):
        return refusal
    if document is None:
        return JSONResponse({"detail": f'Application "{endpoint_id}" not found'}, 404)
    try:
        arguments = json.loads(visit.body or b"{}")
    except ValueError:
        return JSONResponse({"detail": "The body is not JSON."}, 400)
    await fal.held(script.hold_submit == "before")
    job = fal.submit(document, arguments, visit.base("cdn"), visit.query.get("fal_webhook"))
    job.account = fal.accounts.get(visit.key, "")
    await fal.held(script.hold_submit == "after")
    # The job exists and the answer breaks off: what a client has to take for "may have been received".
    if script.submit_drop:
        return StreamingResponse(_broken(), headers={"content-length": "500"})
    accepted = {"status": "IN_QUEUE", "queue_position": job.position, "gateway_request_id": job.request_id}
    return JSONResponse({**accepted, **_names(job, visit), "logs": None, "metrics": {}}, headers=_id(job))


def _status(job: Job, visit: Visit) -> Response:
    logs = visit.query.get("logs", "0") in {"1", "true", "True"}
    status: JsonObject = {**(job.history[-1] if job.history else {"status": "IN_QUEUE", "queue_position": 0})}
    # Null in the queue and a list later: fal's own clients index the key, so it is always there.
    status["logs"] = None if job.state == "IN_QUEUE" else job.logs if logs else []
    # fal's SDK tells that a job is over by the 200 alone, and by 202 that it is not.
    return JSONResponse({**_names(job, visit), **status}, 200 if job.state == "COMPLETED" else 202, _id(job))


def _stream(job: Job, visit: Visit) -> Response:
    logs = visit.query.get("logs", "0") in {"1", "true", "True"}
    return _EventStream(_events(job, _names(job, visit), logs), media_type="text/event-stream", headers=_id(job))


class _EventStream(StreamingResponse):
    """Ends with its last event, not with an empty chunk of its own after it."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for frames, more in cast(AsyncIterator[tuple[bytes, bool]], self.body_iterator):
            await send({"type": "http.response.body", "body": frames, "more_body": more})


async def _events(job: Job, names: dict[str, str], logs: bool) -> AsyncGenerator[Any]:
    sent = 0
    while not job.closed:
        statuses = await job.news(sent, _PING_SECONDS)
        if (drop := job.script.drop_stream_after) is not None:
            statuses = statuses[: drop - sent]
        sent += len(statuses)
        more = not job.is_over or sent < len(job.history)
        # Each event with its new log lines only, other than a status that is asked for, which has all of them.
        yield b"".join(_frame(job, {**names, **status}, logs) for status in statuses) or b": ping\n\n", more
        if sent == job.script.drop_stream_after:
            raise ConnectionAbortedError("as scripted")
        if not more:
            return
    yield b"", False


def _frame(job: Job, status: JsonObject, logs: bool) -> bytes:
    if job.script.stream_garbage:
        return b"data: {nonsense\n\n"
    shown: JsonObject = status if logs or not status["logs"] else {**status, "logs": []}
    return f"data: {json.dumps(shown)}\n\n".encode()


async def _broken() -> AsyncGenerator[bytes]:
    yield b'{"request_id"'
    raise ConnectionAbortedError("as scripted")


def _result(job: Job, visit: Visit) -> Response:
    if job.state != "COMPLETED":
        # 400, with the addresses to ask at: so fal answers who fetches a result too early.
        return JSONResponse({"detail": "Request is still in progress", **_names(job, visit)}, 400, _id(job))
    if job.failure is None:
        return JSONResponse(job.output, headers=_id(job))
    headers = {**_id(job), **job.failure.headers}
    if error_type := job.failure.body.get("error_type"):
        headers["x-fal-error-type"] = error_type
    return JSONResponse(dict(job.failure.body), job.failure.status, headers)


def _names(job: Job, visit: Visit) -> dict[str, str]:
    # The app's address without the endpoint's further path, whatever fal's own documents of each model print.
    here = f"{visit.base('queue')}/{app_id(job.endpoint_id)}/requests/{job.request_id}"
    return {
        "request_id": job.request_id,
        "response_url": here,
        "status_url": f"{here}/status",
        "cancel_url": f"{here}/cancel",
    }


def _id(job: Job) -> dict[str, str]:
    return {"x-fal-request-id": job.request_id}
