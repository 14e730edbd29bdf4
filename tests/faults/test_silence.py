"""fal says nothing, or not for long: every tool answers within the call's own time, before its host gives up."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from mcp.client import Client

from fal_mcp.client.http import Http
from fal_mcp.client.retry import Retry
from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Hosts, Settings
from fal_mcp.emulator import Emulator
from fal_mcp.errors import MaybeReceived
from fal_mcp.server import app
from tests.faults import clock
from tests.faults.bench import KEY, MODELS
from tests.faults.test_odd_platform import wished
from tests.faults.test_values import sound
from tests.faults.wire import ROOT, Wire

BOUND = 50_000
SLACK = 6.0
"""Seconds: what a second try is given at least."""
SHORTEST = 20.0
"""Seconds that any answer of fal's is given, however little the call may wait for a job."""


class SilentWire(httpx.AsyncBaseTransport):
    """fal answers each of the first requests of a call with an error, after so many seconds, and then no more."""

    def __init__(self, wire: Wire, errors: int, seconds: float) -> None:
        self._wire, self._errors, self._seconds = wire, errors, seconds
        self.is_silent = False
        self.left = errors

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # Whose key it is, without which no call begins, is asked once and known.
        if not self.is_silent or request.url.path.endswith("/auth/me"):
            return await self._wire.handle_async_request(request)
        if self.left > 0:
            self.left -= 1
            await anyio.sleep(self._seconds)
            return httpx.Response(503, json={"detail": "Later."})
        await anyio.sleep(request.extensions["timeout"].get("read") or 3600)
        raise httpx.ReadTimeout("silence", request=request)

    def begin(self) -> None:
        self.is_silent, self.left = True, self._errors


@pytest.mark.parametrize(("errors", "seconds"), [(0, 0.0), (1, 18.0), (2, 8.0)])
@pytest.mark.parametrize("wait", [50.0, 5.0])
def test_no_tool_waits_for_fal_longer_than_its_call_may(wait: float, errors: int, seconds: float, tmp_path: Path):
    async def play() -> None:
        took: dict[str, float] = {}
        async with anyio.create_task_group() as tasks:
            fal = Emulator(models_dirs=[MODELS], keys={KEY})
            fal.tasks = tasks
            wire = SilentWire(Wire(fal, tasks), errors, seconds)
            settings = Settings(
                key=KEY,
                admin_key=KEY,
                hosts=Hosts.at(ROOT),
                models=MODELS,
                data=tmp_path,
                toolsets=(*TOOLSETS, *MORE_TOOLSETS),
                listed=("search",),
                page_size=0,
                wait=wait,
            )
            with anyio.fail_after(BOUND):
                async with Client(app.build(settings, wire)) as client:
                    tools = (await client.list_tools()).tools
                    for tool in tools:
                        wire.begin()
                        began = anyio.current_time()
                        sound(await client.call_tool(tool.name, wished(tool.input_schema, "unknown")))
                        took[tool.name] = anyio.current_time() - began
            tasks.cancel_scope.cancel()
        assert len(took) > 80
        assert {name: time for name, time in took.items() if time > max(wait, SHORTEST) + SLACK} == {}

    clock.run(play, within=240.0)


def test_an_answer_that_comes_as_its_time_is_up_is_lost_and_no_fault():
    """Its clock has run out and is not put on again: else what is cut would be neither an answer nor an error."""

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            await anyio.sleep(1)
            yield b"{}"

    class Late(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            # What waits so is not broken off, as an answer that is there already is not.
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2 * SHORTEST)
            return httpx.Response(200, stream=Body())

    async def ask() -> None:
        async with Http(Hosts(), KEY, Late()) as http:
            with pytest.raises(MaybeReceived, match="did not answer in time"):
                retry = Retry("never", patience=SHORTEST)
                await http.request("POST", "https://queue.fal.run/a/b", retry=retry, json={}, changes=True)

    clock.run(ask)
