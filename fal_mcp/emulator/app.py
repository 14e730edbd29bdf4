"""The emulator's front door: which of fal's hosts a request is for, whether its key will do, and who answers.

One path prefix per host (`/queue`, `/run`, `/rest`, `/api`, `/cdn`, `/www`, `/docs`), or fal's own host names, so that
fal's own client can be pointed here unchanged. Addresses in answers take the form the caller used.
"""

import time
from email.utils import formatdate

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from fal_mcp.emulator import docs, models_api, queue, realtime, run, storage
from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform import door
from fal_mcp.emulator.visit import Answer, Visit

ROLES = ("queue", "run", "rest", "api", "cdn", "www", "docs")
_HOSTS = {
    "queue.fal.run": "queue",
    "fal.run": "run",
    "rest.fal.ai": "rest",
    "rest.alpha.fal.ai": "rest",
    "api.fal.ai": "api",
    "v3.fal.media": "cdn",
    "fal.ai": "www",
    "docs.fal.ai": "docs",
}
_PUBLIC = {
    "queue": "https://queue.fal.run",
    "run": "https://fal.run",
    "rest": "https://rest.fal.ai",
    "api": "https://api.fal.ai",
    "cdn": "https://v3.fal.media",
    "www": "https://fal.ai",
    "docs": "https://docs.fal.ai",
}
# The Platform's operations each say for themselves what key they take, and the others are public.
_NEED_A_KEY = frozenset({"queue", "run", "rest"})


_ANSWERS: dict[str, Answer] = {
    "queue": queue.answer,
    "run": run.answer,
    "rest": storage.control,
    "cdn": storage.cdn,
    "api": door.answer,
    "www": models_api.website,
    "docs": docs.answer,
}


class App:
    """The ASGI application."""

    def __init__(self, fal: Emulator) -> None:
        self._fal = fal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await realtime.answer(self._fal, _visit(HTTPConnection(scope), b""), scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        visit = _visit(request, await request.body())
        if visit is None:
            response: Response = JSONResponse({"detail": "Not Found"}, 404)
        else:
            self._fal.record(visit.call())
            # Recorded before it is answered: a test asks what was sent, refused or not.
            response = self._refusal(visit) or await _ANSWERS[visit.role](self._fal, visit)
        response.headers.setdefault("date", formatdate(time.time() + self._fal.ahead, usegmt=True))
        await response(scope, receive, send)

    def _refusal(self, visit: Visit) -> Response | None:
        """Fact F1.4: the gateways' words for a key that will not do."""
        # The keys that callbacks are verified with are for everybody.
        if visit.role not in _NEED_A_KEY or visit.path.startswith("/.well-known/"):
            return None
        scheme, _, key = visit.headers.get("authorization", "").partition(" ")
        if scheme not in {"Key", "Bearer"} or not key:
            return _detail(401, "Authentication is required to access this application.")
        # The form of the key first: one without a colon is nobody's.
        if ":" not in key:
            return _detail(401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.")
        if key in self._fal.locked_keys:
            return _detail(403, "User is locked. Reason: Exhausted balance. Top up your balance.")
        if key in self._fal.unpaid_keys:
            return _detail(402, "Payment required.")
        return None if key in self._fal.keys else _detail(401, "No user found for Key ID and Secret")


def _visit(request: HTTPConnection, body: bytes) -> Visit | None:
    host = (request.url.hostname or "").casefold()
    path, raw_path = request.url.path, request.scope["raw_path"].decode("ascii")
    if host in _HOSTS:
        role, bases = _HOSTS[host], _PUBLIC
    else:
        role, _, rest = path.lstrip("/").partition("/")
        path, raw_path = f"/{rest}", f"/{raw_path.lstrip('/').partition('/')[2]}"
        # Addresses in answers are for HTTP, also where a WebSocket asked.
        root = f"{request.url.scheme.replace('ws', 'http')}://{request.url.netloc}"
        bases = {name: f"{root}/{name}" for name in ROLES}
    if role not in ROLES:
        return None
    method = request.scope.get("method", "GET")
    return Visit(method, role, path, raw_path, request.query_params, request.headers, body, bases)


def _detail(status: int, text: str) -> Response:
    return JSONResponse({"detail": text}, status, {"x-fal-request-id": "0" * 32})
