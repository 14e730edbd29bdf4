"""The two ways in: standard input and output as a host starts it, and HTTP on this machine; both eras."""

import re
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import mcp_types as types
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, get_default_environment

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator

Mode = Literal["auto", "legacy"]
BOUND = 30
TOOL = "fal-ai_flux_dev"
ARGUMENTS = {"prompt": "a red bicycle", "seed": 7}
VARIABLES = {"TOKEN": "hush", "OTHER": "other"}


def command(settings: Settings, *more: str) -> list[str]:
    root = settings.hosts.queue.removesuffix("/queue")
    return ["-m", "fal_mcp", *more, "--fal-url", root]


def environment(key: str | None) -> dict[str, str]:
    # A home of their own: a test leaves nothing in the ledger of whoever runs it.
    home = tempfile.mkdtemp()
    return {
        **get_default_environment(),
        **{"PYTHONWARNINGS": "ignore", "FAL_MCP_DATA_DIR": home, "FAL_MCP_REFRESH_HOURS": "0"},
        **({"FAL_KEY": key} if key else {}),
    }


@asynccontextmanager
async def over_http(settings: Settings, mode: Mode, *more: str) -> AsyncGenerator[tuple[Client, str]]:
    """A client of `serve --http 0`, and the URL it said it serves on."""
    started = [sys.executable, *command(settings, "serve", "--http", "0", *more)]
    async with await anyio.open_process(started, env=environment(settings.key) | VARIABLES) as process:
        assert process.stderr
        said = b""
        while not (found := re.search(rb"http://[^\s]+", said)):
            said += await process.stderr.receive()
        url = found[0].decode()
        try:
            async with Client(url, mode=mode) as client:
                yield client, url
        finally:
            process.terminate()
            await process.wait()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_starts_it_and_calls_a_model(settings: Settings, mode: Mode):
    server = StdioServerParameters(command=sys.executable, args=command(settings), env=environment(settings.key))
    said: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    with anyio.fail_after(BOUND):
        async with Client(server, mode=mode) as client:
            result = await client.call_tool(TOOL, ARGUMENTS, progress_callback=hear)
    assert not result.is_error and said
    assert result.structured_content is not None and result.structured_content["output"]["seed"] == 7


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_it_serves_over_http_on_this_machine(settings: Settings, mode: Mode):
    with anyio.fail_after(BOUND):
        async with over_http(settings, mode) as (client, url):
            result = await client.call_tool(TOOL, ARGUMENTS)
            assert not result.is_error
            async with httpx.AsyncClient() as stranger:
                refused = await stranger.post(url, json={}, headers={"origin": "https://evil.example"})
    assert url.startswith("http://127.0.0.1:")
    assert refused.status_code == 403


async def test_without_a_key_it_lists_and_says_how_to_get_one(settings: Settings):
    server = StdioServerParameters(command=sys.executable, args=command(settings), env=environment(None))
    with anyio.fail_after(BOUND):
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert tools and result.is_error
    text = " ".join(block.text for block in result.content if isinstance(block, types.TextContent))
    assert "https://fal.ai/dashboard/keys" in text and "FAL_KEY" in text


@pytest.mark.parametrize(
    ("arguments", "names"),
    [(["--fal-url", "nonsense"], "nonsense"), (["--models", "/nowhere/at/all"], "/nowhere/at/all")],
)
async def test_a_setting_that_cannot_be_used_is_named_at_the_start(arguments: list[str], names: str):
    with anyio.fail_after(BOUND):
        done = await anyio.run_process([sys.executable, "-m", "fal_mcp", *arguments], check=False)
    assert done.returncode == 2 and names in done.stderr.decode() and b"Traceback" not in done.stderr


async def test_over_http_a_caller_chooses_the_list_within_the_servers_bounds(settings: Settings):
    started = [sys.executable, *command(settings, "serve", "--http", "0", "--only", "fal-ai/flux/*")]
    with anyio.fail_after(BOUND):
        async with await anyio.open_process(started, env=environment(settings.key)) as process:
            assert process.stderr
            said = b""
            while not (found := re.search(rb"http://[^\s]+", said)):
                said += await process.stderr.receive()
            url = found[0].decode()
            try:
                names: dict[str, list[str]] = {}
                for query in ("", "?list=search", "?list=all"):
                    async with Client(url + query) as client:
                        names[query] = [tool.name for tool in (await client.list_tools()).tools]
            finally:
                process.terminate()
                await process.wait()
    models = {query: [name for name in listed if name.startswith("fal-ai")] for query, listed in names.items()}
    assert models == {
        "": ["fal-ai_flux_dev"],
        "?list=search": [],
        "?list=all": ["fal-ai_flux_dev", "fal-ai_flux_schnell"],
    }


async def agrees(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"agree": True})


async def set_secrets(client: Client) -> dict[str, bool]:
    """Which variables were taken for a secret."""
    taken: dict[str, bool] = {}
    for name in (*VARIABLES, "FAL_KEY"):
        result = await client.call_tool("set_secret", {"name": name, "from_env": name})
        taken[name] = not result.is_error
    return taken


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ((), {"TOKEN": True, "OTHER": True, "FAL_KEY": False}),
        (("--secret-env", "TOKEN", "--secret-env", "FAL_KEY"), {"TOKEN": True, "OTHER": False, "FAL_KEY": False}),
    ],
    ids=["none named", "one named"],
)
async def test_on_standard_input_any_variable_but_our_own_may_be_a_secret_unless_some_are_named(
    fal: Emulator, settings: Settings, more: tuple[str, ...], taken: dict[str, bool]
):
    arguments = command(settings, "--toolsets", "serverless", *more)
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment(settings.key) | VARIABLES)
    with anyio.fail_after(BOUND):
        async with Client(server, elicitation_callback=agrees) as client:
            assert await set_secrets(client) == taken
    assert fal.secrets == {name: VARIABLES[name] for name in VARIABLES if taken[name]}


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ((), {"TOKEN": False, "OTHER": False, "FAL_KEY": False}),
        (("--secret-env", "TOKEN"), {"TOKEN": True, "OTHER": False, "FAL_KEY": False}),
    ],
    ids=["none named", "one named"],
)
async def test_over_http_only_variables_that_are_named_may_be_a_secret(
    fal: Emulator, settings: Settings, more: tuple[str, ...], taken: dict[str, bool]
):
    with anyio.fail_after(BOUND):
        async with over_http(settings, "auto", "--toolsets", "serverless", *more) as (client, _):
            assert await set_secrets(client) == taken
    assert fal.secrets == {name: VARIABLES[name] for name in VARIABLES if taken[name]}


@pytest.mark.skipif(sys.platform == "win32", reason="there, nobody can delete the folder somebody is in")
async def test_it_starts_where_the_folder_it_was_started_in_is_gone(settings: Settings, tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@" < /dev/null'
    started = ["sh", "-c", script, "sh", str(gone), sys.executable, *command(settings)]
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(started, env=environment(settings.key), check=False)
    assert (done.returncode, done.stdout) == (0, b"") and b"Traceback" not in done.stderr
