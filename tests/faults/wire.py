"""The way to the emulator in this process: httpx on one side, its ASGI application on the other, and each chunk of an
answer handed over as it comes."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.abc
import httpx

from fal_mcp.emulator.app import App
from fal_mcp.emulator.emulator import Emulator

ROOT = "http://fal.test"


class Wire(httpx.AsyncBaseTransport):
    """A transport; what the application does for a request that nobody waits for any more is ended with it."""

    def __init__(self, fal: Emulator, tasks: anyio.abc.TaskGroup) -> None:
        self._app = App(fal)
        self._tasks = tasks

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        visit = _Visit(request, body)
        self._tasks.start_soon(visit.run, self._app)
        with _within(request, "read"):
            await visit.started.wait()
        return httpx.Response(visit.status, headers=visit.headers, stream=_Stream(visit, request))


class _Visit:
    """One request of the application's, while it is answered."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.started = anyio.Event()
        self.is_broken = False
        self.scope = anyio.CancelScope()
        self._request, self._body = request, body
        self._chunks: deque[bytes] = deque()
        self._is_done = False
        self._news = anyio.Event()
        self._left = anyio.Event()

    def leave(self) -> None:
        """Nobody listens any more."""
        self._left.set()
        self.scope.cancel()

    async def chunk(self) -> bytes | None:
        """The next piece of the answer, as soon as there is one; None at its end."""
        while not self._chunks and not self._is_done:
            await self._news.wait()
        return self._chunks.popleft() if self._chunks else None

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def run(self, app: App) -> None:
        url = self._request.url
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port or 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }
        try:
            with self.scope:
                await app(scope, self._receive, self._send)
        except Exception:
            # A server would break the connection off here.
            self.is_broken = True
        finally:
            self._is_done = True
            self.started.set()
            self._tell()

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None  # pyright: ignore[reportAttributeAccessIssue]
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
            self.started.set()
        elif message.get("body"):
            self._chunks.append(message["body"])
            self._tell()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, visit: _Visit, request: httpx.Request) -> None:
        self._visit, self._request = visit, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            with _within(self._request, "read"):
                chunk = await self._visit.chunk()
            if chunk is None:
                break
            yield chunk
        if self._visit.is_broken:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    async def aclose(self) -> None:
        self._visit.leave()


class _within:
    """The request's own time limit for one step, as httpx's transports keep it."""

    def __init__(self, request: httpx.Request, step: str) -> None:
        seconds = request.extensions.get("timeout", {}).get(step)
        self._scope = anyio.move_on_after(seconds)
        self._request = request

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(self, *exc: Any) -> bool | None:
        swallowed = self._scope.__exit__(*exc)
        if self._scope.cancelled_caught:
            raise httpx.ReadTimeout("as scripted", request=self._request)
        return swallowed
