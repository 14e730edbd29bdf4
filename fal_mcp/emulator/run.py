"""The synchronous host: one request, one output, or a stream of events. Fact F3.1 and F3.2."""

import json
import uuid
from collections.abc import AsyncGenerator

import anyio
from starlette.responses import JSONResponse, Response, StreamingResponse

from fal_mcp.emulator import workflow_run
from fal_mcp.emulator.emulator import WORKFLOWS, Emulator
from fal_mcp.emulator.script import Script
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

_WORDS = "The emulator made this up, word by word, so that there is something to watch.".split()


async def answer(fal: Emulator, visit: Visit) -> Response:
    """Whatever the run host is asked."""
    path = visit.path.strip("/")
    # A few ids of fal's end in `/stream` themselves.
    endpoint_id = path if fal.document(path) else path.removesuffix("/stream")
    document = fal.document(endpoint_id)
    request_id = str(uuid.uuid4())
    headers = {"x-fal-request-id": request_id}
    if refusal := fal.own_apps.refusal(endpoint_id):
        return refusal
    if document is None:
        return JSONResponse({"detail": f'Application "{endpoint_id}" not found'}, 404, headers)
    arguments = json.loads(visit.body or b"{}")
    if faults := document.faults(arguments):
        fal.charge(request_id, document, arguments, {}, "refused")
        return JSONResponse({"detail": faults}, 422, {**headers, "x-fal-billable-units": "0"})
    script = fal.script_of(endpoint_id)
    if failure := script.failure:
        fal.charge(request_id, document, arguments, {}, "failed on fal's side" if failure.status >= 500 else "refused")
        return JSONResponse(dict(failure.body), failure.status, {**headers, **failure.headers})
    if path.endswith("/stream") and endpoint_id.startswith(WORKFLOWS):
        events = workflow_run.events(fal, endpoint_id, arguments, visit.base("cdn"))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    output = dict(script.output) if script.output else fal.output(document, arguments, visit.base("cdn"))
    is_streamed = path.endswith("/stream")
    is_broken = is_streamed and script.drop_stream_after is not None
    # Whether anybody hears the answer changes nothing: the model ran.
    fal.charge(request_id, document, arguments, output, "broken off" if is_broken else "completed")
    if is_streamed:
        return StreamingResponse(_events(script, output), media_type="text/event-stream", headers=headers)
    return JSONResponse(output, headers=headers)


async def _events(script: Script, output: JsonObject) -> AsyncGenerator[bytes]:
    """Partial answers, then the whole."""
    partial = [{"output": " ".join(_WORDS[:count]), "partial": True} for count in range(1, len(_WORDS) + 1)]
    # A model of words sends words; any other its output again and again, with how far it is.
    if "output" not in output:
        partial = [{**output, "progress": step / script.steps} for step in range(1, script.steps)]
    for number, event in enumerate([*partial, output], 1):
        await anyio.sleep(script.step_seconds)
        yield f"data: {json.dumps(event)}\n\n".encode()
        if number == script.drop_stream_after:
            raise ConnectionAbortedError("as scripted")
