"""Realtime connections on the run host, and the tokens that open them. Fact F3.3 and F1.5.

What a token that will not do is told is known; with which code the connection is closed after it is not.
"""

import base64
import json
import time
import uuid
from typing import Any, cast

import anyio.to_thread
import msgpack  # pyright: ignore[reportMissingTypeStubs]
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from fal_mcp.emulator import pictures
from fal_mcp.emulator.documents import Document
from fal_mcp.emulator.emulator import Emulator, Line, Token
from fal_mcp.emulator.queue import app_id
from fal_mcp.emulator.script import Script
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

_PATH = "/realtime"
_SIDE = 256
_LIFETIME = 120
_NORMAL, _POLICY = 1000, 1008


def give_token(fal: Emulator, visit: Visit) -> Response:
    """A token, by the older address as a bare string, by the newer one in an object."""
    wish: JsonObject = json.loads(visit.body)
    # Two ways to ask are in use, and fal takes both.
    apps = wish.get("allowed_apps") or ([wish["app"]] if "app" in wish else [])
    if not apps:
        missing = {"loc": ["body", "allowed_apps"], "msg": "Field required", "type": "missing", "input": wish}
        return JSONResponse({"detail": [missing]}, 422)
    token = f"emulated-{uuid.uuid4().hex}"
    seconds = wish.get("token_expiration", wish.get("duration", _LIFETIME))
    fal.tokens[token] = Token(tuple(apps), time.time() + seconds)
    return JSONResponse({"token": token} if visit.path.rstrip("/").endswith(_PATH) else token)


async def answer(fal: Emulator, visit: Visit | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever is opened as a WebSocket."""
    websocket = WebSocket(scope, receive, send)
    document = _document(fal, visit) if visit else None
    if visit is not None:
        fal.record(visit.call())
    if visit is None or document is None or not fal.script_of(document.endpoint_id).live.is_there:
        await websocket.send_denial_response(JSONResponse({"detail": f"Path {_PATH} not found"}, 404))
        return
    line = Line(document.endpoint_id, visit.query.get("fal_jwt_token"))
    fal.lines.append(line)
    try:
        # fal opens the connection first and says in a frame that the token will not do.
        await websocket.accept()
        if _may_enter(fal, visit, line):
            await _converse(fal, document, line, websocket)
        else:
            await websocket.send_json({"status": "error", "error": "Unauthorized"})
            await websocket.close(_POLICY)
        # It is over when the other side has said goodbye too.
        while (await receive())["type"] != "websocket.disconnect":
            continue
    except WebSocketDisconnect:
        pass
    finally:
        line.is_open = False
        fal.changed()


def _document(fal: Emulator, visit: Visit) -> Document | None:
    path = visit.path.strip("/")
    if visit.role != "run" or not path.endswith(_PATH):
        return None
    return fal.document(path) or fal.document(path.removesuffix(_PATH))


def _may_enter(fal: Emulator, visit: Visit, line: Line) -> bool:
    live = fal.script_of(line.endpoint_id).live
    if sum(one.endpoint_id == line.endpoint_id for one in fal.lines) <= live.unauthorised:
        return False
    if line.token is None:
        return visit.headers.get("authorization", "").removeprefix("Key ") in fal.keys
    token, app = fal.tokens.get(line.token), app_id(line.endpoint_id)
    # A token is made out to the alias alone by fal's clients, and to the whole id by its documentation.
    known = {app, app.rsplit("/", 1)[-1], line.endpoint_id, f"{line.endpoint_id}{_PATH}"}
    return token is not None and token.expires > time.time() and not known.isdisjoint(token.apps)


async def _converse(fal: Emulator, document: Document, line: Line, websocket: WebSocket) -> None:
    """Answer inputs in their order, until this side has had enough.

    Raises:
        WebSocketDisconnect: the other side had.
    """
    while True:
        live = fal.script_of(line.endpoint_id).live
        done = len(line.inputs)
        if done and done == live.timeout_after:
            return await _failed(websocket, "TIMEOUT", "no inputs, reconnect when needed!")
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        raw: Any = message.get("bytes") or message.get("text")
        given: Any = cast(Any, msgpack).unpackb(raw) if isinstance(raw, bytes) else json.loads(raw)
        line.inputs.append(given)
        fal.changed()
        await fal.held(live.hold)
        if done == live.close_after:
            return await websocket.close(_NORMAL)
        if done == live.error_after:
            return await _failed(websocket, "INTERNAL_ERROR", "as scripted")
        if faults := document.faults(given):
            return await _failed(websocket, "INTERNAL_ERROR", json.dumps(faults))
        fal.charge(str(uuid.uuid4()), document, given, {}, "completed")
        await _answer(fal.script_of(line.endpoint_id), document, given, websocket, is_text=isinstance(raw, str))


async def _failed(websocket: WebSocket, code: str, reason: str) -> None:
    await websocket.send_json({"type": "x-fal-error", "error": code, "reason": reason})
    await websocket.close(_NORMAL)


async def _answer(
    script: Script, document: Document, given: JsonObject, websocket: WebSocket, *, is_text: bool
) -> None:
    # Before each answer: clients have to pass over what is only news.
    await websocket.send_json({"type": "x-fal-message", "action": "timings", "timing": 0.05})
    frame = script.live.answer
    if frame is None:
        output = dict(script.output) if script.output else await _output(document, given, is_text=is_text)
        frame = json.dumps(output) if is_text else cast(bytes, cast(Any, msgpack).packb(output))
    if isinstance(frame, str):
        await websocket.send_text(frame)
    else:
        await websocket.send_bytes(frame)


async def _output(document: Document, given: JsonObject, *, is_text: bool) -> JsonObject:
    seed: Any = given.get("seed", 1)
    text = str(given.get("prompt") or document.endpoint_id)
    content = await anyio.to_thread.run_sync(pictures.encoded, text, seed, _SIDE, _SIDE, "image/jpeg")
    about: JsonObject = {"content_type": "image/jpeg", "width": _SIDE, "height": _SIDE}
    # JSON has no bytes: there a picture is its own address.
    shown = {"url": f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"} if is_text else {"content": content}
    echoed = {"request_id": given["request_id"]} if "request_id" in given else {}
    return {"images": [{**shown, **about}], "seed": seed, **echoed}
