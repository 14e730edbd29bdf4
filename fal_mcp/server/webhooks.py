"""`POST /webhooks/fal`: fal's own callbacks over HTTP. A verified one completes its job without a poll."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fal_mcp.client.webhooks import LARGEST
from fal_mcp.errors import FalError, NotAuthentic
from fal_mcp.server.shared import Shared

_REMEMBERED = 700.0
"""Seconds: longer than a delivery is taken for."""


class Callbacks:
    """What fal calls back on."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._seen: dict[tuple[str, int], float] = {}
        self.route = Route("/webhooks/fal", self._take, methods=["POST"])

    async def _take(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return JSONResponse({"error": "too large"}, 413)
        try:
            delivery = await self._shared.fal.webhooks.verified(dict(request.headers), body)
        # Before it is looked up: what is not fal's must not learn which requests are known here.
        except NotAuthentic as error:
            return JSONResponse({"error": error.message}, 401)
        except FalError:
            # fal tries again later; by then its keys may be had.
            return JSONResponse({"error": "fal's keys cannot be had"}, 503)
        if not self._is_new((delivery.request_id, delivery.timestamp)):
            return JSONResponse({"error": "replayed"}, 409)
        is_known = await self._shared.jobs.called_back(delivery)
        return JSONResponse({"ok": True, "known": is_known})

    def _is_new(self, mark: tuple[str, int]) -> bool:
        now = time.monotonic()
        for old in [one for one, seen in self._seen.items() if seen < now - _REMEMBERED]:
            del self._seen[old]
        is_new = mark not in self._seen
        self._seen[mark] = now
        return is_new


def routes(shared: Any) -> list[Route]:
    """The routes to add to the HTTP server."""
    return [Callbacks(shared).route]
