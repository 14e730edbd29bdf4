"""Odd values wherever fal puts one: a paid result can always be had, and nothing ends in an internal error."""

import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Reply, Script
from fal_mcp.server import app
from tests.faults import clock
from tests.faults.bench import ENDPOINT, KEY, MODELS, TOOL, data_of, text_of
from tests.faults.odd_values import ODD, places, put, written
from tests.faults.wire import ROOT, Wire

WISH: dict[str, Any] = {"prompt": "a red bicycle", "seed": 7, "image_size": {"width": 1000, "height": 1000}}
RESULT: dict[str, Any] = {
    "images": [
        {"url": "https://v3.fal.media/files/a/b.png", "content_type": "image/png", "width": 10, "height": 10},
        {"url": "https://v3.fal.media/files/a/c.png", "content_type": "image/png", "width": 10, "height": 10},
    ],
    "video": {"url": "https://v3.fal.media/files/a/d.mp4", "file_size": 100},
    "text": "some",
    "seed": 7,
    "timings": {"inference": 0.5},
}
STATUS: dict[str, Any] = {
    "status": "IN_PROGRESS",
    "request_id": "x",
    "queue_position": 1,
    "logs": [{"message": "step 1/4", "timestamp": "2026-01-01T00:00:00Z", "level": "INFO"}],
    "metrics": {"inference_time": 0.5},
    "error": "no",
    "error_type": "x",
}
INTERNAL = ("failed inside this server", "this server lost the job")
EVENTS = {"content-type": "text/event-stream"}
PLACES = 3
BOUND = 3000


def sound(result: types.CallToolResult) -> types.CallToolResult:
    """The result, which is no internal error and can be written as the JSON that clients read."""
    assert not any(words in text_of(result).casefold() for words in INTERNAL), text_of(result)
    json.dumps(result.structured_content, allow_nan=False).encode()
    return result


@asynccontextmanager
async def server(folder: Path) -> AsyncGenerator[tuple[Emulator, Client]]:
    """A server on a local fal, and a client of it."""
    async with anyio.create_task_group() as tasks:
        fal = Emulator(models_dirs=[MODELS], keys={KEY})
        fal.tasks = tasks
        settings = Settings(key=KEY, hosts=Hosts.at(ROOT), models=MODELS, data=folder, previews=True)
        with anyio.fail_after(BOUND):
            async with Client(app.build(settings, Wire(fal, tasks))) as client:
                yield fal, client
        tasks.cancel_scope.cancel()


async def have(client: Client, wish: dict[str, Any]) -> None:
    """Run it, and take every way to its result; all of them have it."""
    first = sound(await client.call_tool(TOOL, wish))
    (row, *_) = data_of(await client.call_tool("list_jobs", {}))["jobs"]
    job_id = {"job_id": row["job_id"]}
    answers = [first, *[sound(await client.call_tool(name, job_id)) for name in ("wait_for_job", "get_job")]]
    states = [(one.is_error, data_of(one).get("status")) for one in answers]
    assert states == [(False, "completed")] * 3, text_of(first)
    assert not sound(await client.call_tool("get_job", {**job_id, "part": 1})).is_error
    assert row["state"] == "completed"


@pytest.mark.parametrize("name", ODD)
def test_a_result_with_something_odd_anywhere_can_be_had(name: str, tmp_path: Path):
    async def play() -> None:
        every = list(places(RESULT))
        async with server(tmp_path) as (fal, client):
            for number, place in enumerate([(), *random.Random(name).sample(every[1:], PLACES)]):
                fal.script(ENDPOINT, Script(result=Reply(body=written(put(RESULT, place, ODD[name])))))
                await have(client, {**WISH, "seed": number})
            assert len(fal.jobs) == PLACES + 1

    clock.run(play)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_status_costs_no_result(name: str, tmp_path: Path):
    """The stream says one after the other, with something odd at every place, and ends as it should."""

    async def play() -> None:
        odd = [written(put(STATUS, place, ODD[name])) for place in places(STATUS)]
        events = [*odd, b'{"status": "COMPLETED", "logs": [], "metrics": {}}']
        stream = Reply(body=b"".join(b"data: " + event + b"\n\n" for event in events), headers=EVENTS)
        async with server(tmp_path) as (fal, client):
            fal.script(ENDPOINT, Script(stream=stream))
            await have(client, WISH)

    clock.run(play)


@pytest.mark.parametrize("name", [name for name in ODD if "deep" not in name])
def test_an_odd_argument_is_refused_or_run_and_nothing_else(name: str, tmp_path: Path):
    """What is too deep, its own client refuses to write."""

    async def play() -> None:
        async with server(tmp_path) as (_, client):
            for place in list(places(WISH))[1:]:
                result = sound(await client.call_tool(TOOL, put(WISH, place, ODD[name])))
                data = data_of(result)
                assert data.get("status") in ("completed", "failed"), text_of(result)
            sound(await client.call_tool("list_jobs", {}))

    clock.run(play)
