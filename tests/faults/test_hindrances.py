"""A job that cannot be looked at says why, in text and in data: waiting for it alone may not help. Once it can be
looked at again, nothing more is said of that."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client

from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.server import app
from tests.faults import clock
from tests.faults.bench import ENDPOINT, KEY, MODELS, TOOL, data_of, text_of
from tests.faults.wire import ROOT, Wire

BOUND = 3000
LOCKED = "User is locked. Reason: Exhausted balance."
TROUBLES: dict[str, tuple[httpx.Response | Exception, str]] = {
    "out of credit": (httpx.Response(402, json={"detail": "Payment required"}), "Payment required"),
    "locked": (httpx.Response(403, json={"detail": LOCKED}), LOCKED),
    "revoked": (httpx.Response(401, json={"detail": "No user found for Key ID and Secret"}), "No user found"),
    "a proxy": (httpx.Response(502, text="<html>Bad gateway</html>"), "502"),
    "a page to sign in on": (httpx.Response(200, text="<html>Sign in</html>"), "JSON"),
    "no network": (httpx.ConnectError("Name or service not known"), "fal could not be reached"),
    "red": (httpx.Response(500, json={"detail": f"\x1b[31mred\u202e key {KEY}" + "x" * 5000}), "red key <key>"),
}


class Hindered(httpx.AsyncBaseTransport):
    """A way to fal on which no status is had, or no result, as long as there is trouble."""

    def __init__(self, wire: Wire, what: str) -> None:
        self._wire, self._what = wire, what
        self.trouble: httpx.Response | Exception | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        asks = "status" if "/status" in path else "result" if request.method == "GET" and "/requests/" in path else ""
        if self.trouble is None or asks != self._what:
            return await self._wire.handle_async_request(request)
        if isinstance(self.trouble, Exception):
            raise self.trouble
        return httpx.Response(self.trouble.status_code, headers=self.trouble.headers, content=self.trouble.content)


@asynccontextmanager
async def hindered(folder: Path, what: str) -> AsyncGenerator[tuple[Emulator, Hindered, Client]]:
    async with anyio.create_task_group() as tasks:
        fal = Emulator(models_dirs=[MODELS], keys={KEY})
        fal.tasks = tasks
        way = Hindered(Wire(fal, tasks), what)
        settings = Settings(key=KEY, hosts=Hosts.at(ROOT), models=MODELS, data=folder, wait=50.0)
        with anyio.fail_after(BOUND):
            async with Client(app.build(settings, way)) as client:
                yield fal, way, client
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("what", ["status", "result"])
@pytest.mark.parametrize("name", TROUBLES)
def test_what_stands_in_the_way_is_told_as_long_as_it_does(name: str, what: str, tmp_path: Path):
    reply, words = TROUBLES[name]

    async def play() -> None:
        async with hindered(tmp_path, what) as (fal, way, client):
            fal.script(ENDPOINT, replace(Script(), hold_running=what == "status"))
            way.trouble = reply
            answer: Any = await client.call_tool(TOOL, {"prompt": "x"})
            data, said = data_of(answer), text_of(answer)
            assert (answer.is_error, data["status"]) == (False, "in_progress")
            assert words in data["trouble"] and data["trouble"] in said and len(said) < 1200
            assert KEY not in said and "\x1b" not in said and "not to be run again" in said
            way.trouble = None
            again = await client.call_tool("wait_for_job", {"job_id": data["job_id"]})
            assert "trouble" not in data_of(again) and words not in text_of(again)
            for job in fal.jobs.values():
                job.release()
            last = await client.call_tool("wait_for_job", {"job_id": data["job_id"]})
            assert data_of(last)["status"] == "completed" and len(fal.jobs) == 1

    clock.run(play)
