"""Looks at each request before a byte of its body is read: its names, its size, who it is of, and whether they may.

An ASGI application round the whole server, own routes included. Whoever is let in is set for the request, and so for
everything that it begins; it is set anew for each, as one connection may carry many people's.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fal_mcp import logs
from fal_mcp.json_values import JsonObject
from fal_mcp.server.web import cors, visit
from fal_mcp.server.web.client_address import client_address
from fal_mcp.server.web.limits import WebLimits
from fal_mcp.server.web.names import Names
from fal_mcp.server.web.rush import Rush
from fal_mcp.team.gate import Gate, Headers
from fal_mcp.team.principal import Principal, calling
from fal_mcp.team.refusal import NotLetIn

OPEN = ("/health", "/ready", "/webhooks/fal", "/.well-known/oauth-protected-resource")
"""Paths that are asked for without a token; what each says is for anybody. Callbacks are known by fal's signature."""
LOCAL = ("/metrics",)
"""Paths that a program of this machine may ask for, and elsewhere whoever has a token."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is for, as far as the guard has to know. `lacking` is the scope that it needs and the principal
    has not, empty where it lacks none; `receive` is what its body is read from since; `run` is the message of one that
    would begin a run."""

    lacking: str
    receive: Receive
    run: JsonObject | None = None


Wanting = Callable[[Principal, Scope, Receive], Awaitable[Wanted]]


async def _nothing(principal: Principal, scope: Scope, receive: Receive) -> Wanted:
    return Wanted("", receive)


@dataclass(slots=True)
class Guard:
    """`gate` is None where the server is one person's. `metadata` is the address of RFC 9728's document."""

    application: ASGIApp
    names: Names = field(default_factory=Names)
    limits: WebLimits = field(default_factory=WebLimits)
    gate: Gate | None = None
    metadata: str | None = None
    hops: int = 0
    wanting: Wanting = _nothing
    rush: Rush | None = None
    _answering: dict[str, int] = field(default_factory=dict[str, int])
    _streams: set[anyio.CancelScope] = field(default_factory=set[anyio.CancelScope])
    is_ending: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        headers = _read(scope)
        origins = _values(headers, "origin")
        if (answer := self._at_the_door(scope, headers, origins)) is not None:
            await answer(scope, receive, send)
            return
        if self.names.is_named(origins):
            send = cors.exposing(send, origins[0])
        try:
            principal = await self._principal(scope, headers)
            visit.of(scope).principal = principal.id if principal else ""
            with self._counted(principal):
                wanted = Wanted("", receive) if principal is None else await self.wanting(principal, scope, receive)
                if wanted.lacking:
                    message = f"This needs the scope {wanted.lacking}, which the token has not."
                    raise NotLetIn(403, message, "insufficient_scope", scope=wanted.lacking)
                if wanted.run is None or self.rush is None:
                    await self._let_in(principal, scope, wanted.receive, send)
                    return
                async with self.rush.turn(wanted.run) as refused:
                    if refused is not None:
                        await refused(scope, wanted.receive, send)
                    else:
                        await self._let_in(principal, scope, wanted.receive, send)
        except NotLetIn as refusal:
            visit.of(scope).refused = refusal.message
            await self._refused(refusal)(scope, receive, send)

    def end(self) -> None:
        """No more is taken, and streams that would go on for ever are closed."""
        self.is_ending = True
        for stream in list(self._streams):
            stream.cancel()

    def _at_the_door(self, scope: Scope, headers: Headers, origins: list[str]) -> Response | None:
        hosts = _values(headers, "host")
        if not self.names.is_host(hosts):
            return _turned_away(scope, "Invalid Host header", 421 if len(hosts) == 1 else 400)
        if not self.names.is_origin(origins):
            return _turned_away(scope, "Invalid Origin header", 403)
        if _values(headers, "content-length") and _values(headers, "transfer-encoding"):
            # Two readers may differ about where such a request ends, and what follows would be another's.
            return _turned_away(scope, "Two framings", 400, {"connection": "close"})
        if any(coding.lower() != "chunked" for coding in _values(headers, "transfer-encoding")):
            return _turned_away(scope, "Unknown transfer coding", 501, {"connection": "close"})
        length = "".join(_values(headers, "content-length"))
        if length.isdecimal() and int(length[:20]) > self.limits.body_bytes:
            return _turned_away(scope, f"Larger than {self.limits.body_bytes:,} bytes", 413)
        if scope["method"] == "OPTIONS" and self.names.is_named(origins):
            return cors.preflight(origins[0])
        return None

    async def _principal(self, scope: Scope, headers: Headers) -> Principal | None:
        path = scope["path"].rstrip("/") or "/"
        peer = (scope.get("client") or ("",))[0]
        asker = client_address(peer, headers, self.hops)
        scope["client"] = (asker.address, 0)
        is_open = any(path == known or path.startswith(f"{known}/") for known in OPEN)
        visit.of(scope).is_open = is_open
        if self.gate is None or is_open:
            return None
        if path in LOCAL and asker.is_this_machine and not _values(headers, "authorization"):
            return None
        return await self.gate.admit(headers, scope["query_string"].decode("latin-1"))

    @contextmanager
    def _counted(self, principal: Principal | None) -> Generator[None]:
        if principal is None:
            yield
            return
        count = self._answering.get(principal.id, 0)
        if count >= self.limits.streams_each:
            message = f"{count} requests of yours are being answered already; end one of them first."
            raise NotLetIn(429, message, retry_after=1)
        self._answering[principal.id] = count + 1
        try:
            yield
        finally:
            self._answering[principal.id] -= 1
            if not self._answering[principal.id]:
                del self._answering[principal.id]

    async def _let_in(self, principal: Principal | None, scope: Scope, receive: Receive, send: Send) -> None:
        user = _user(principal)
        if user is not None:
            # The SDK binds sessions and the state of questions to it.
            scope["user"] = user
        mark = auth_context_var.set(user)
        try:
            with calling(principal), logs.about(principal=visit.of(scope).principal):
                if scope["method"] == "GET":
                    await self._streamed(scope, receive, send)
                else:
                    await self.application(scope, receive, send)
        finally:
            auth_context_var.reset(mark)

    async def _streamed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer that may go on for ever; when the server ends, it ends as if it had said all."""
        is_open = False

        async def watched(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or bool(message.get("more_body"))
            await send(message)

        with anyio.CancelScope() as stream:
            self._streams.add(stream)
            try:
                await self.application(scope, receive, watched)
            finally:
                self._streams.discard(stream)
        if stream.cancelled_caught and is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _refused(self, refusal: NotLetIn) -> Response:
        headers = {"cache-control": "no-store"}
        if refusal.status in (401, 403):
            headers["www-authenticate"] = self._challenge(refusal)
        if refusal.retry_after:
            headers["retry-after"] = str(refusal.retry_after)
        body = {"error": refusal.error or "unauthorized", "error_description": refusal.message}
        return JSONResponse(body, refusal.status, headers)

    def _challenge(self, refusal: NotLetIn) -> str:
        # What a client that has nothing yet should ask its user for: enough to look around and to run models.
        parts = {
            "error": refusal.error,
            "error_description": refusal.message if refusal.error else "",
            "scope": refusal.scope or "fal:read fal:run",
            "resource_metadata": self.metadata or "",
        }
        said = ", ".join(f'{name}="{_quoted(value)}"' for name, value in parts.items() if value)
        return f"Bearer {said}"


def _turned_away(scope: Scope, why: str, status: int, headers: dict[str, str] | None = None) -> Response:
    visit.of(scope).refused = why
    return PlainTextResponse(why, status, headers)


def _read(scope: Scope) -> Headers:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]


def _values(headers: Headers, wanted: str) -> list[str]:
    return [value for name, value in headers if name == wanted]


def _quoted(text: str) -> str:
    return "".join(each if each.isascii() and each.isprintable() and each not in '"\\' else "'" for each in text)


def _user(principal: Principal | None) -> AuthenticatedUser | None:
    if principal is None:
        return None
    claims = {"iss": principal.issuer}
    scopes = sorted(principal.scopes)
    # Without the token itself: nobody here needs it again.
    token = AccessToken(token="", client_id=principal.client, scopes=scopes, subject=principal.subject, claims=claims)
    return AuthenticatedUser(token)
