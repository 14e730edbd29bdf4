"""A local fal and an MCP client for each protocol era, for tests of what happens on the wire."""

import asyncio  # noqa: TID251 - fixtures are pytest-asyncio's
import functools
import inspect
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import hypothesis
import pytest
from mcp.client import Client

from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, serve
from fal_mcp.server import app

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell that starts the run in the background has interrupts ignored, and every server under test would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

KEY = "11111111-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
UNKNOWN_KEY = "00000000-0000-4000-8000-000000000000:ffffffffffffffffffffffffffffffff"
LOCKED_KEY = "22222222-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"
UNPAID_KEY = "33333333-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"

LONGEST = 240
"""Below pytest's own `faulthandler_timeout`, which shows an event loop that waits and not what for."""
_LONGEST_FIXTURE = 60

T = TypeVar("T")
Connect = Callable[..., Client]


def bounded(test: Callable[..., Awaitable[None]], seconds: float = LONGEST) -> Callable[..., Awaitable[None]]:
    """`test`, which fails where it stands if it takes longer than so many seconds."""

    @functools.wraps(test)
    async def run(*arguments: Any, **named: Any) -> None:
        with anyio.fail_after(seconds):
            await test(*arguments, **named)

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = bounded(item.obj)


@pytest.fixture
def starter() -> Path:
    return bundled.schemas() / "models"


@pytest.fixture
def fal(starter: Path) -> Emulator:
    return Emulator(models_dirs=[starter], keys={KEY}, locked_keys={LOCKED_KEY}, unpaid_keys={UNPAID_KEY})


@asynccontextmanager
async def kept(context: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    """`context`, entered and left by one task of its own: a fixture's two halves run in two, which anyio refuses."""
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def keep() -> None:
        async with context as value:
            entered.set_result(value)
            await over.wait()

    task = asyncio.create_task(keep())
    await asyncio.wait([task, entered], return_when=asyncio.FIRST_COMPLETED, timeout=_LONGEST_FIXTURE)
    try:
        yield await entered if entered.done() else await asyncio.wait_for(task, 0)  # pyright: ignore[reportReturnType]
    finally:
        over.set()
        await asyncio.wait_for(task, _LONGEST_FIXTURE)


@pytest.fixture
async def settings(fal: Emulator, starter: Path) -> AsyncGenerator[Settings]:
    async with kept(serve(fal, port=0)) as url:
        yield Settings(key=KEY, hosts=Hosts.at(url), models=starter)


@pytest.fixture(params=["auto", "legacy"])
def connect(request: pytest.FixtureRequest, settings: Settings) -> Connect:
    """A client of a server with these settings, in each era."""

    def client(key: str | None = KEY) -> Client:
        return Client(app.build(replace(settings, key=key)), mode=request.param)

    return client
