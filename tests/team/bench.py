"""A shared server on a real socket, its callers, an issuer whose keys are on another, and what each may send."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from fal_mcp.config import Settings
from fal_mcp.server import app, http
from fal_mcp.server.web.limits import WebLimits
from fal_mcp.team.scopes import SCOPES
from fal_mcp.team.token_file import TokenFile
from tests.server.http_host import Host
from tests.server.stdio_host import INITIALIZED, initialize

BOUND = 40
AUDIENCE = "http://fal.example.com/mcp"
ORIGIN = "https://app.example.com"
JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
# Short, so that no test waits long for what a real server waits for half a minute.
LIMITS = WebLimits(
    **{"head_seconds": 0.3, "body_seconds": 0.4, "write_seconds": 0.4, "keep_alive_seconds": 1},
    **{"connections": 30, "sessions": 6, "streams_each": 5, "body_bytes": 200_000},
)


@cache
def _made(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def key_pair(name: str = "issuer") -> rsa.RSAPrivateKey:
    """A key pair, by what it is for."""
    return _made(name)


def public_jwk(name: str = "issuer", kid: str = "k1") -> dict[str, Any]:
    """The public half, as an issuer publishes it."""
    made: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key_pair(name).public_key()))
    return {**made, "kid": kid, "use": "sig", "alg": "RS256"}


class IssuerHere:
    """An issuer: what it says at which address, and how often it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.is_away = False
        self.keys: list[dict[str, Any]] = [public_jwk()]

    async def handle(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one request."""
        async with stream:
            if self.is_away:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            about = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            document = {"/.well-known/oauth-authorization-server": about, "/keys": {"keys": self.keys}}.get(path)
            body = json.dumps(document).encode()
            status = b"200 OK" if document else b"404 Not Found"
            await stream.send(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
                % (status, len(body), body)
            )

    def token(self, *, key: Any = None, algorithm: str = "RS256", header: Any = None, **claims: Any) -> str:
        """A token of this issuer's, good unless told otherwise; a claim that is None is left out."""
        now = int(time.time())
        usual = {
            **{"iss": self.url, "aud": AUDIENCE, "sub": "carol", "client_id": "app", "exp": now + 300, "iat": now},
            "scope": "fal:read fal:run fal:write",
        }
        whole = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        headers: dict[str, Any] = {"kid": "k1", **(header or {})}
        return jwt.encode(whole, key or key_pair(), algorithm, {k: v for k, v in headers.items() if v is not None})


@dataclass
class Team:
    """The server, and whoever talks to it."""

    url: str
    settings: Settings
    tokens: dict[str, str]
    issuer: IssuerHere
    server: app.FalServer
    tasks: anyio.abc.TaskGroup
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict[str, httpx.AsyncClient])

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")

    def client(self, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        """A plain client with these headers."""
        name = json.dumps(headers)
        if name not in self.clients:
            self.clients[name] = httpx.AsyncClient(headers={**JSON, **(headers or {})}, timeout=BOUND)
        return self.clients[name]

    def headers(self, who: str) -> dict[str, str]:
        """What proves who it is."""
        return {"authorization": f"Bearer {self.tokens.get(who, who)}"}

    def of(self, who: str) -> httpx.AsyncClient:
        """The client of somebody."""
        return self.client(self.headers(who))

    def host(self, who: str) -> Host:
        """A client of revision 2026-07-28."""
        return Host(self.url, self.of(who))

    async def post(self, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """An initialize with these headers."""
        return await self.client().post(self.url, json=initialize(), headers=headers, **more)

    async def with_token(self, token: str) -> httpx.Response:
        """The same with a token."""
        return await self.post({"authorization": f"Bearer {token}"})

    async def session(self, who: str) -> dict[str, str]:
        """A session of 2025 of somebody's, as the header that names it."""
        hello = await self.of(who).post(self.url, json=initialize())
        assert hello.status_code == 200, hello.text
        named = {"mcp-session-id": hello.headers["mcp-session-id"]}
        await self.of(who).post(self.url, json=INITIALIZED, headers=named)
        return named

    async def call(self, who: str, tool: str, arguments: Any = None, capabilities: Any = None) -> Any:
        """The result of a tool."""
        answer = await self.host(who).ask("tools/call", capabilities or {}, name=tool, arguments=arguments or {})
        return answer.get("result", answer)

    async def raw(self, *parts: bytes, pause: float = 0.0, quiet: float = 3.0) -> bytes:
        """What comes back for these bytes, until the server closes or says nothing for so long."""
        got = bytearray()
        async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:

            async def read() -> None:
                while True:
                    try:
                        with anyio.fail_after(quiet):
                            got.extend(await stream.receive())
                    except TimeoutError:
                        return
                    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                        got.extend(b"<closed>")
                        # Whoever was cut off has nobody to send the rest to.
                        tasks.cancel_scope.cancel()
                        return

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    for part in parts:
                        await stream.send(part)
                        # Time is what it is about.
                        await anyio.sleep(pause)
        return bytes(got)


@asynccontextmanager
async def team(settings: Settings, folder: Path, limits: WebLimits = LIMITS, **more: Any) -> AsyncGenerator[Team]:
    """A shared server, with tokens in a file and an issuer."""
    file = TokenFile(folder / "tokens.json")
    tokens = {
        name: file.create(name, scopes)
        for name, scopes in {
            **{"alice": SCOPES[:3], "bob": SCOPES[:3], "reader": SCOPES[:1], "admin": SCOPES, "nothing": ()},
        }.items()
    }
    issuer = IssuerHere()
    async with anyio.create_task_group() as tasks:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        issuer.url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"

        async def serve_issuer() -> None:
            async with listener:
                await listener.serve(issuer.handle)

        tasks.start_soon(serve_issuer)
        usual: dict[str, Any] = {
            **{"tokens": folder / "tokens.json", "issuer": issuer.url, "public_url": AUDIENCE},
            **{"data": folder / "data", "refresh_hours": 0.0},
            **{"allow_hosts": ("fal.example.com",), "allow_origins": (ORIGIN,)},
        }
        settings = replace(settings, **{**usual, **more})
        async with served(settings, limits, tasks, issuer, tokens) as here:
            yield here
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def served(
    settings: Settings, limits: WebLimits, tasks: anyio.abc.TaskGroup, issuer: IssuerHere, tokens: dict[str, str]
) -> AsyncGenerator[Team]:
    """The server of these settings."""
    urls: list[str] = []
    known = anyio.Event()

    def ready(url: str) -> None:
        urls.append(url)
        known.set()

    server = app.build(settings)
    tasks.start_soon(http.serve_app, server, 0, ready, limits)
    with anyio.fail_after(BOUND):
        await known.wait()
    here = Team(urls[0], settings, tokens, issuer, server, tasks)
    try:
        yield here
    finally:
        for client in here.clients.values():
            await client.aclose()
