"""One call over MCP against a local fal without delays: its wall time and its requests, beside fal's own client.

All make calls of the same model against the same emulator, in turns, each with words of its own. fal_client is pointed
at it with a transport that rewrites the address; nothing else of it is touched.
"""

import json
import secrets
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import anyio
import anyio.to_thread
import fal_client
import httpx
from mcp import types
from mcp.client import Client
from mcp.server.lowlevel import Server

from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.server import app

ROUNDS = 40
MOST = 1.0
MOST_OF_NOTHING = 1.4
"""A job that takes no time at all. `_Bare`, which is measured beside it, is the least that a tool can do that loses
nothing."""
MOST_REQUESTS = 4
KEY = "emulator:emulator"
ENDPOINT = "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "a red bicycle"}


async def wall_time(seconds: float) -> tuple[str, float]:
    """The figures in one line, and the ratio to fal_client, for a job that runs for so long."""
    own, other, bare = await _medians(seconds)
    line = (
        f"one call of a job of {seconds * 1000:.0f} ms: {own * 1000:.1f} ms over MCP, fal_client {other * 1000:.1f} ms"
    )
    return f"{line}, fal_client in a tool that writes three times what it does {bare * 1000:.1f} ms", own / other


async def _medians(seconds: float) -> list[float]:
    fal = Emulator(models_dirs=[_starter()], keys={KEY})
    fal.script(None, Script(steps=4, step_seconds=seconds / 4))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(fal, port=0))
        theirs = await _their_client(url)
        folder = stack.enter_context(TemporaryDirectory())
        client = await stack.enter_async_context(Client(app.build(_settings(url))))
        tool = await stack.enter_async_context(Client(_Bare(theirs, Path(folder, "jobs")).server()))
        number = count()

        async def ours() -> None:
            result = await client.call_tool("fal-ai_flux_dev", {"prompt": f"a red bicycle, {next(number)}"})
            assert not result.is_error

        async def fals() -> None:
            assert "images" in await theirs.subscribe(ENDPOINT, {"prompt": f"a red bicycle, {next(number)}"})

        async def bare() -> None:
            await tool.call_tool("run", {"prompt": f"a red bicycle, {next(number)}"})

        calls = (ours, fals, bare)
        for call in calls:
            await call()
        rounds = [[await _timed(call) for call in calls] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


class _Bare:
    """A tool that does with fal_client what any must that loses nothing, and nothing else: it writes down what it is
    about to submit, what fal calls it, and how it ended."""

    def __init__(self, fal: fal_client.AsyncClient, file: Path) -> None:
        self._fal = fal
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._turn = anyio.CapacityLimiter(1)
        for statement in (
            *("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"),
            "CREATE TABLE job (id TEXT PRIMARY KEY, arguments TEXT, request TEXT, output TEXT)",
        ):
            self._database.execute(statement).fetchall()

    def server(self) -> Server:
        """A server with this one tool."""
        return Server("bare", on_list_tools=self._list, on_call_tool=self._call)

    async def _list(self, context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="run", input_schema={"type": "object"})])

    async def _call(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        job_id, arguments = secrets.token_hex(8), params.arguments or {}
        await self._write("INSERT INTO job (id, arguments) VALUES (?, ?)", job_id, json.dumps(arguments))
        request = await self._fal.submit(ENDPOINT, arguments)
        await self._write("UPDATE job SET request = ? WHERE id = ?", request.request_id, job_id)
        output = await request.get()
        await self._write("UPDATE job SET output = ? WHERE id = ?", json.dumps(output), job_id)
        text = types.TextContent(type="text", text=json.dumps(output))
        return types.CallToolResult(content=[text], structured_content=output)

    async def _write(self, statement: str, *values: str) -> None:
        def write() -> None:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(statement, values)
            self._database.execute("COMMIT")

        await anyio.to_thread.run_sync(write, limiter=self._turn)


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
