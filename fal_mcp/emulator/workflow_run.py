"""A workflow run step by step, with the events that its stream sends. Fact F10.4.

Each step is a job of its own in the queue, as fal runs them: it has a request id, a script and a place on the bill.
"""

import json
import re
from collections.abc import AsyncGenerator
from graphlib import TopologicalSorter
from typing import Any, cast

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.job import Job
from fal_mcp.json_values import JsonObject

_REFERENCE = re.compile(r"\$([\w-]+)((?:\.[\w-]+)*)")


async def events(fal: Emulator, endpoint_id: str, arguments: JsonObject, cdn: str) -> AsyncGenerator[bytes]:
    """The events of one run, until its output or its first error."""
    contents = fal.workflows[endpoint_id.rpartition("/")[2]]["contents"]
    drop, sent = fal.script_of(endpoint_id).drop_stream_after, 0
    async for event in _run(fal, contents, arguments, cdn):
        yield f"data: {json.dumps(event)}\n\n".encode()
        sent += 1
        if sent == drop:
            raise ConnectionAbortedError("as scripted")


async def _run(fal: Emulator, contents: JsonObject, arguments: JsonObject, cdn: str) -> AsyncGenerator[JsonObject]:
    nodes: JsonObject = contents["nodes"]
    made: JsonObject = {"input": arguments}
    for name in TopologicalSorter({name: node.get("depends", ()) for name, node in nodes.items()}).static_order():
        node: JsonObject = nodes.get(name, {})
        if node.get("type") != "run":
            continue
        document = fal.documents.get(node["app"])
        if document is None:
            yield _error(name, 404, {"detail": f'Application "{node["app"]}" not found'})
            return
        job = fal.submit(document, _filled(node["input"], made), cdn)
        yield {"type": "submit", "node_id": name, "app_id": node["app"], "request_id": job.request_id}
        await _over(fal, job)
        if job.failure is not None:
            yield _error(name, job.failure.status, dict(job.failure.body))
            return
        made[name] = job.output
        yield {"type": "completion", "node_id": name, "output": job.output}
    yield {"type": "output", "output": _filled(contents["output"], made)}


async def _over(fal: Emulator, job: Job) -> None:
    await fal.until(lambda: job.is_over or job.closed)


def _error(name: str, status: int, body: JsonObject) -> JsonObject:
    message = "Error while fetching the result of the request"
    return {"type": "error", "node_id": name, "message": message, "error": {"status": status, "body": body}}


def _filled(value: Any, made: JsonObject) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, made) for key, part in cast(JsonObject, value).items()}
    if isinstance(value, list):
        return [_filled(part, made) for part in cast(list[Any], value)]
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return _led(made.get(match[1]), match[2].split(".")[1:]) if match else value


def _led(value: Any, way: list[str]) -> Any:
    for part in way:
        if isinstance(value, list):
            items = cast(list[Any], value)
            value = items[int(part)] if part.isdecimal() and int(part) < len(items) else None
        else:
            value = cast(JsonObject, value).get(part) if isinstance(value, dict) else None
    return value
