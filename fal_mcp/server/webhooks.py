"""`POST /webhooks/fal`: fal's own callbacks over HTTP. A verified one completes its job without a poll."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fal_mcp.client.webhooks import LARGEST
from fal_mcp.errors import FalError, NotAuthentic, NotRecorded
from fal_mcp.server.shared import Shared

_REMEMBERED = 700.0
"""Seconds: longer than a delivery is taken for."""


class Callbacks:
    """What fal calls back on."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
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
        try:
            # In the ledger: what one server took must not be played to another.
            mark = f"webhook:{delivery.request_id}:{delivery.timestamp}"
            if not await self._shared.is_first(mark, _REMEMBERED):
                return JSONResponse({"error": "replayed"}, 409)
            await self._shared.account.know()
            is_known = await self._shared.jobs.called_back(delivery)
        except NotRecorded:
            return JSONResponse({"error": "it cannot be written down now"}, 503)
        return JSONResponse({"ok": True, "known": is_known})


def routes(shared: Any) -> list[Route]:
    """The routes to add to the HTTP server."""
    return [Callbacks(shared).route]
