"""Odd arguments for every tool, and odd words of a host's wherever else it is heard: each is refused or taken, and
nothing ends in an internal error or says what is inside."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Hosts, Settings
from fal_mcp.emulator import Emulator
from fal_mcp.server import app
from tests.faults import clock
from tests.faults.bench import ENDPOINT, KEY, MODELS, TOOL, data_of, text_of
from tests.faults.odd_values import ODD
from tests.faults.test_odd_platform import wished
from tests.faults.test_values import sound
from tests.faults.wire import ROOT, Wire

BOUND = 20_000
DIGITS = "9" * 5000
"""More than Python reads."""
STEP = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "a"}}
MOMENTS: Mapping[str, Any] = {
    "the first of all": "0001-01-01T00:00:00+23:59",
    "the last of all": "9999-12-31T23:59:59-23:59",
    "the last of all in the zone": "9999-12-31T12:00:00",
    "the first day": "0001-01-01",
    "no month": "2026-13-01",
    "other digits": "2026-01-01".translate({48 + digit: 0x660 + digit for digit in range(10)}),
    "an offset that is none": "2026-01-01T00:00:00+99:99",
}
NUMBERS: Mapping[str, Any] = {
    "digits": DIGITS,
    "a version": f"fal-ai/flux/v{DIGITS}.{DIGITS}",
    "a size": f"{DIGITS}x{DIGITS}",
    "seconds": f"a film of {DIGITS} seconds under {DIGITS} USD",
    "a reference": f"${DIGITS}.images",
    "a file": f"fal://jobs/x/files/{DIGITS}",
    "a step": [STEP, {**STEP, "arguments": {"prompt": f"${DIGITS}.images"}}],
    "an item": [STEP, {**STEP, "arguments": {"prompt": f"$1.images[{DIGITS}].url"}}],
}
PATHS: Mapping[str, Any] = {
    "home of nobody": "~nobody-of-that-name/a.png",
    "environment": "/proc/self/environ",
    "a device": "/dev/zero",
    "NUL": "/tmp/a\x00b.png",
    "of a share": "\\\\host\\share\\a.png",
    "longer than any": "/a" * 3000,
    "of another host": "file://host/etc/passwd",
    "NUL in an address": "file:///%00",
}
ALWAYS = {**MOMENTS, **NUMBERS, **PATHS}


@asynccontextmanager
async def server(folder: Path, mode: Any, **more: Any) -> AsyncGenerator[Client]:
    """A server with every tool, on a local fal, and a client of it."""
    async with anyio.create_task_group() as tasks:
        fal = Emulator(models_dirs=[MODELS], keys={KEY})
        fal.tasks = tasks
        settings = Settings(
            key=KEY,
            admin_key=KEY,
            hosts=Hosts.at(ROOT),
            models=MODELS,
            data=folder,
            output_dir=folder / "out",
            allow_dirs=(Path("/proc"), Path("/dev"), folder),
            toolsets=(*TOOLSETS, *MORE_TOOLSETS),
            listed=("search",),
            page_size=0,
            wait=5.0,
        )
        with anyio.fail_after(BOUND):
            async with Client(app.build(settings, Wire(fal, tasks)), mode=mode, **more) as client:
                yield client
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("part", range(4))
def test_whatever_an_argument_is_no_tool_fails_inside(part: int, tmp_path: Path):
    """Each argument of each tool is each of what breaks readers of dates, numbers and paths, and something odd."""

    async def play() -> None:
        chance = random.Random(part)
        # What is too deep, its own client refuses to write.
        odd = {name: value for name, value in ODD.items() if "deep" not in name and "long" not in name}
        async with server(tmp_path, "legacy" if part % 2 else "auto") as client:
            for tool in (await client.list_tools()).tools[part::4]:
                schema = dict(tool.input_schema)
                usual = wished(schema, "unknown")
                for name in schema.get("properties", {}):
                    for value in [*ALWAYS.values(), *(odd[key] for key in chance.sample(list(odd), 3))]:
                        result = sound(await client.call_tool(tool.name, {**usual, name: value}))
                        assert text_of(result).strip() and data_of(result), (tool.name, name, ascii(value))

    clock.run(play, within=240.0)


ADDRESSES = (
    *("fal://jobs/{}", "fal://jobs/{}/output/1", "fal://jobs/{}/files/1", "fal://jobs/JOB/output/{}"),
    *("fal://jobs/JOB/files/{}", "fal://models/{}", "fal://models/{}/schema", "fal://apps/{}/x", "fal://apps/x/{}"),
    *("fal://usage/{}", "fal://account/{}", "fal://categories/{}", "ui://{}", "file:///{}", "{}"),
)
NAMES = (DIGITS, "9" * 12, "0", "", "a" * 50_000, "\ud800", "\x00", "%00", "../..", "a/b", "\u202e", "[x", "?a#b")


async def refusal(client: Client, uri: str) -> types.ErrorData | None:
    try:
        await client.read_resource(uri)
    except MCPError as error:
        return error.error
    return None


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_address_that_is_none_is_no_resource_and_nothing_else(mode: str, tmp_path: Path):
    async def play() -> None:
        async with server(tmp_path, mode) as client:
            job_id = data_of(await client.call_tool(TOOL, {"prompt": "a"}))["job_id"]
            for address in ADDRESSES:
                # The client of 2026 writes the address into a header too, and fails on half a character itself.
                for name in NAMES if mode == "legacy" else [name for name in NAMES if name != "\ud800"]:
                    uri = address.replace("JOB", job_id).replace("{}", name)
                    error = await refusal(client, uri)
                    # pytest cannot tell of half a character.
                    assert error is not None and error.code == -32602, ascii((uri, error))
                    assert "no resource" in error.message, ascii(error)

    clock.run(play, within=120.0)
