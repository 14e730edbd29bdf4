"""One call over MCP against a local fal without delays: its wall time and its requests, beside fal's own client.

Both sides make the same call of the same model against the same emulator, in turns. fal_client is pointed at it with
a transport that rewrites the address; nothing else of it is touched.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import fal_client
import httpx
from mcp.client import Client

from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.server import app

ROUNDS = 40
MOST = 1.0
MOST_OF_NOTHING = 1.4
"""A job that takes no time at all: what MCP and a stream cost beside one poll, before either client ever waits."""
MOST_REQUESTS = 4
KEY = "emulator:emulator"
ENDPOINT = "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "a red bicycle"}


async def wall_time(seconds: float) -> tuple[str, float]:
    """The figures in one line, and the ratio, for a job that runs for so long."""
    fal = Emulator(models_dirs=[_starter()], keys={KEY})
    fal.script(None, Script(steps=4, step_seconds=seconds / 4))
    async with serve(fal, port=0) as url, Client(app.build(_settings(url))) as client:
        theirs = await _their_client(url)

        async def ours() -> None:
            result = await client.call_tool("fal-ai_flux_dev", ARGUMENTS)
            assert not result.is_error

        async def fals() -> None:
            assert "images" in await theirs.subscribe(ENDPOINT, ARGUMENTS)

        await ours()
        await fals()
        pairs = [(await _timed(ours), await _timed(fals)) for _ in range(ROUNDS)]
    own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    line = (
        f"one call of a job of {seconds * 1000:.0f} ms: {own * 1000:.1f} ms over MCP, fal_client {other * 1000:.1f} ms"
    )
    return line, own / other


async def requests(seconds: float) -> tuple[str, float]:
    """HTTP requests of one job that runs for so long, ours and fal_client's."""
    fal = Emulator(models_dirs=[_starter()], keys={KEY})
    fal.script(None, Script(steps=10, step_seconds=seconds / 10))
    async with serve(fal, port=0) as url, Client(app.build(_settings(url))) as client:
        assert not (await client.call_tool("fal-ai_flux_dev", ARGUMENTS)).is_error
        own = len(fal.calls)
        theirs = await _their_client(url)
        await theirs.subscribe(ENDPOINT, ARGUMENTS)
        other = len(fal.calls) - own
    return f"HTTP requests of a job of {seconds:.0f} s: {own}, fal_client {other}", own


async def _timed(call: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await call()
    return time.perf_counter() - started


def _starter() -> Path:
    return bundled.schemas() / "models"


def _settings(url: str) -> Settings:
    return Settings(key=KEY, hosts=Hosts.at(url), models=_starter(), wait=3600)


class ToEmulator(httpx.AsyncHTTPTransport):
    """Sends what is meant for queue.fal.run to the emulator's `/queue`."""

    ROLES: ClassVar = {"queue.fal.run": "queue", "fal.run": "run", "rest.fal.ai": "rest", "v3.fal.media": "cdn"}

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if role := self.ROLES.get(request.url.host):
            path = f"/{role}{request.url.raw_path.decode()}".encode()
            request.url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port, raw_path=path)
            request.headers["host"] = f"{self._url.host}:{self._url.port}"
        return await super().handle_async_request(request)


async def _their_client(url: str) -> fal_client.AsyncClient:
    client = fal_client.AsyncClient(key=KEY)
    own = await client._client  # pyright: ignore[reportPrivateUsage] - the one seam it has
    own._transport = ToEmulator(url)  # pyright: ignore[reportPrivateUsage]
    own._mounts = {}  # pyright: ignore[reportPrivateUsage]
    return client
