"""Odd values in every answer of fal's to every tool that is not a model's: what comes is told or refused, and nothing
ends in an internal error."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Hosts, Settings
from fal_mcp.emulator import Emulator
from fal_mcp.openapi.example import example
from fal_mcp.server import app
from tests.faults import clock
from tests.faults.bench import KEY, MODELS
from tests.faults.faults import Chunks
from tests.faults.test_values import sound
from tests.faults.wire import ROOT, Wire

BOUND = 20_000
ODD: Mapping[str, Any] = {
    "text": "x",
    "true": True,
    "infinite": float("inf"),
    "null": None,
    "a list": [7],
    "a list of lists": [[]],
    "an object": {"x": 1},
    "nothing": {},
}


class OddWire(httpx.AsyncBaseTransport):
    """A way to the emulator on which what stands below the root of each answer, or in its lists, is the odd value."""

    def __init__(self, wire: Wire, value: Any, *, is_in_lists: bool) -> None:
        self._wire, self._value, self._is_in_lists = wire, value, is_in_lists

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._wire.handle_async_request(request)
        # The account's name, whose jobs these are; and what the key may, without which nothing is asked.
        if not request.url.path.startswith("/api/") or request.url.path.endswith("/auth/me"):
            return answer
        body = await answer.aread()
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return httpx.Response(answer.status_code, headers=headers, stream=Chunks([self._odd(body)]))

    def _odd(self, body: bytes) -> bytes:
        try:
            known = json.loads(body)
        except ValueError:
            return body
        if not isinstance(known, dict):
            return body
        items = cast(dict[str, Any], known).items()
        if self._is_in_lists:
            return json.dumps(
                {key: [self._value] if isinstance(value, list) else value for key, value in items}
            ).encode()
        return json.dumps({key: self._value for key, _ in items}).encode()


def wished(schema: dict[str, Any], category: str) -> dict[str, Any]:
    """Arguments that work, with a value for each optional one that names its values."""
    named = {
        name: choice["enum"][0]
        for name, part in schema.get("properties", {}).items()
        for choice in [part, *part.get("anyOf", ())]
        if choice.get("enum")
    }
    return {**named, **example(schema, category, "x")}


@pytest.mark.parametrize("is_in_lists", [False, True], ids=["below the root", "in lists"])
@pytest.mark.parametrize("name", ODD)
def test_whatever_fal_answers_no_tool_fails_inside(name: str, is_in_lists: bool, tmp_path: Path):
    async def play() -> None:
        async with anyio.create_task_group() as tasks:
            fal = Emulator(models_dirs=[MODELS], keys={KEY})
            fal.tasks = tasks
            wire = OddWire(Wire(fal, tasks), ODD[name], is_in_lists=is_in_lists)
            settings = Settings(
                key=KEY,
                admin_key=KEY,
                hosts=Hosts.at(ROOT),
                models=MODELS,
                data=tmp_path,
                toolsets=(*TOOLSETS, *MORE_TOOLSETS),
                listed=("search",),
                page_size=0,
                wait=5.0,
            )
            with anyio.fail_after(BOUND):
                async with Client(app.build(settings, wire)) as client:
                    tools = (await client.list_tools()).tools
                    for tool in tools:
                        sound(await client.call_tool(tool.name, wished(dict(tool.input_schema), "unknown")))
            assert len(tools) > 80
            tasks.cancel_scope.cancel()

    clock.run(play, within=240.0)
