"""A page on this machine where the user writes one secret: past the client and the model, straight to this server.

MCP allows secrets to be asked for in no other way (client/elicitation, URL mode). Who is asked, and how, is `asking`'s
business.
"""

import base64
import hashlib
import html
import logging
import secrets
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import parse_qs

import anyio
import anyio.abc
import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from fal_mcp.errors import RequestRejected
from fal_mcp.machine.loopback import listener, port_of

LARGEST = 64 * 1024
"""Bytes of what is posted."""
_MOST_OPEN = 8
_GOODBYE_SECONDS = 1
logger = logging.getLogger("fal_mcp")
_STYLE = (
    ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{max-width:32rem;margin:4rem auto;"
    "padding:0 1rem}code{overflow-wrap:anywhere}input,button{font:inherit;padding:.5rem;box-sizing:border-box}"
    "input{display:block;width:100%;margin:.25rem 0 1rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # With `no-referrer` a browser says `Origin: null` when it posts the form (Fetch, "append a request Origin header"),
    # as it does for a stranger's page; this tells others as little.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class SecretPage:
    """An ASGI app at one address nobody can guess, which takes one value once.

    `purpose` is a sentence for the user about where the value goes. `id` names the page and does not lead to it.
    """

    def __init__(self, name: str, purpose: str, lifetime: float) -> None:
        self.name = name
        self.purpose = purpose
        # Another than the address: the client and its model hear the id, and must not be able to read or post to the
        # page by it.
        self.id = secrets.token_urlsafe(16)
        self.port = 0
        self.lifetime = lifetime
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + lifetime)
        self.settled = anyio.Event()
        """Set once there is a value, or will never be one."""
        self._path = f"/{secrets.token_urlsafe(32)}"
        self._value: str | None = None

    @property
    def url(self) -> str:
        return self._origin + self._path

    async def value(self) -> str:
        """What the user wrote, once they have.

        Raises:
            TimeoutError: they wrote nothing while the page was there.
        """
        await self.settled.wait()
        if self._value is None:
            raise TimeoutError
        return self._value

    def close(self) -> None:
        """Take the page away, and forget the value."""
        self.scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._is_from_here(request):
            return _page(403, "<p>This page is opened at its own address only.</p>")
        # The same answer for a wrong address and for one that was used: it tells nobody that there was a page.
        if self.settled.is_set() or not secrets.compare_digest(request.url.path.encode(), self._path.encode()):
            return _gone()
        match request.method:
            case "GET":
                return self._form(200)
            case "POST":
                return await self._take(request)
            case _:
                return _page(405, "<p>This page is read or posted to.</p>")

    def _is_from_here(self, request: Request) -> bool:
        """Whether neither a foreign name that leads to this machine nor a foreign page is behind it."""
        host, origin = request.headers.get("host"), request.headers.get("origin", self._origin)
        # Any page in the user's browser may post to this machine; none can say that it comes from here.
        return f"http://{host}" == origin == self._origin

    async def _take(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            # Read to its end even where it is too long: a browser shows no answer to what it could not send.
            body = (body + chunk)[: LARGEST + 1]
        if len(body) > LARGEST:
            return self._form(413)
        if self.settled.is_set():
            return _gone()
        self._value = _posted(body)
        if self._value is None:
            return self._form(400)
        self.settled.set()
        return _page(200, "<p>Done, you may close this page. Your assistant hears whether fal took the value.</p>")

    def _form(self, status: int) -> Response:
        name = html.escape(self.name)
        wrong = "" if status == 200 else f"<p><strong>Not taken: empty, or longer than {LARGEST:,} bytes.</strong></p>"
        return _page(
            status,
            f'{wrong}<form method="post"><label for="value">Value of <code>{name}</code></label>'
            '<input id="value" name="value" type="password" autocomplete="off" required autofocus>'
            f"<p>{html.escape(self.purpose)} A value of several lines cannot be written here: it would lose its line "
            "breaks. Put it into a file.</p><button>Send</button></form>",
        )

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class SecretPages:
    """The pages that are there now, each for `lifetime` seconds at most, and no longer than the server."""

    def __init__(self, tasks: anyio.abc.TaskGroup, lifetime: float) -> None:
        self._tasks = tasks
        self._lifetime = lifetime
        self._open: dict[str, SecretPage] = {}

    async def open(self, name: str, purpose: str) -> SecretPage:
        """A new page, for the secret `name`.

        Raises:
            RequestRejected: too many are open.
        """
        # A model that asks over and over would open a port for each. One that is closed is only letting go of its own.
        if sum(not page.scope.cancel_called for page in self._open.values()) >= _MOST_OPEN:
            hint = "The user closes them by giving their values or declining; each ends by itself within minutes."
            raise RequestRejected(f"{_MOST_OPEN} pages already wait for secrets.", hint=hint)
        page = SecretPage(name, purpose, self._lifetime)
        self._open[page.id] = page
        try:
            await self._tasks.start(self._keep, page)
        except OSError as error:
            self._open.pop(page.id, None)
            raise RequestRejected(
                f"No page can be opened on this machine now ({error.strerror}).",
                hint="Nothing was set. Call again when the machine has room for another connection.",
            ) from error
        return page

    def find(self, page_id: str | None) -> SecretPage | None:
        """The page of that id, while it or its value is there."""
        return self._open.get(page_id or "")

    async def _keep(self, page: SecretPage, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            with page.scope:
                async with _served(page):
                    task_status.started()
                    await page.settled.wait()
                # The page is gone; its value waits for the call that asked, or for the repeated one.
                await anyio.sleep_forever()
        except Exception:
            if page.port == 0:
                # Nothing was opened, and whoever asked is told why.
                raise
            # It hangs in the server's own group: a page that ends badly takes nothing with it.
            logger.exception("The page for a secret ended.")
        finally:
            page.settled.set()
            del self._open[page.id]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # Ctrl-C belongs to the MCP server.
        yield


@asynccontextmanager
async def _served(page: SecretPage) -> AsyncGenerator[None]:
    with listener(0) as listening:
        page.port = port_of(listening)
        config = uvicorn.Config(
            page,
            # Not the parser that is there for speed, which wants a guard of its own.
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
        )
        server = _Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve, server, listening)
            try:
                yield
            finally:
                server.should_exit = True


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    # It ends by `should_exit` alone, so that the user still gets the answer to what they sent.
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listening])


def _posted(body: bytes) -> str | None:
    """The value in a posted form; None where there is none."""
    try:
        fields = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=1)
    except ValueError:
        return None
    return fields.get("value", [None])[0]


def _gone() -> Response:
    return _page(404, "<p>There is no such page, or no longer.</p>")


def _page(status: int, content: str) -> Response:
    whole = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>A secret for fal</title><style>{_STYLE}</style><h1>A secret for fal</h1>{content}</html>"
    )
    return HTMLResponse(whole, status, _HEADERS)
