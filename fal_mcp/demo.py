"""The demonstration: a local fal, this server as a host would start it, and three models called over MCP.

Talks to the server over standard input and output only, as any host does, and to the local fal to fetch the files.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import mcp_types as types
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, get_default_environment
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fal_mcp import bundled
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.json_values import JsonObject

_PROMPT = "a lighthouse on a cliff at dusk, warm light in the windows"
_SHOW: tuple[tuple[str, str, JsonObject], ...] = (
    ("A picture", "fal-ai_flux_dev", {"prompt": _PROMPT, "image_size": "landscape_4_3", "seed": 7}),
    ("A video", "fal-ai_veo3", {"prompt": f"Slow aerial shot of {_PROMPT}", "duration": "4s"}),
    ("Some speech", "fal-ai_inworld-tts", {"text": "Every model on fal is now a tool of your assistant."}),
)
_LONGEST_RUN = 120.0
_NARROW = 80
"""Columns."""


async def run(out: Path, program: str = "fal-mcp") -> int:
    """Show it, leave the files in `out`, and say where and what `program` does next. Returns the exit code."""
    console = Console(highlight=False)
    try:
        await anyio.Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        about = f"Nothing can be written to {str(out)!r}: {error.strerror}. --out names another."
        Console(highlight=False, soft_wrap=True, stderr=True).print(about, markup=False)
        return 1
    fal = Emulator(models_dirs=[bundled.schemas() / "models"])
    fal.script(None, Script(queue_position=2, queue_seconds=0.5, steps=14, step_seconds=0.12))
    # What is only shown belongs in nobody's ledger.
    with anyio.fail_after(_LONGEST_RUN), tempfile.TemporaryDirectory() as scratch:
        async with serve(fal, port=0) as url:
            _say(console, f"[dim]A local fal listens on {url}; nothing leaves this machine, and no key is needed.[/]")
            async with Client(_server(url, scratch)) as client:
                return await _show(client, console, anyio.Path(out), program)


def _server(url: str, scratch: str) -> StdioServerParameters:
    environment = {**get_default_environment(), "FAL_KEY": "emulator:emulator"}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    arguments = ["-m", "fal_mcp", "--list", "all", "--fal-url", url, "--data-dir", scratch, "--refresh-hours", "0"]
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment)


async def _show(client: Client, console: Console, out: anyio.Path, program: str) -> int:
    tools = [tool async for tool in _tools(client)]
    _say(console, f"The server lists [bold]{len(tools)}[/] tools over MCP, all its models included. Calling three:\n")
    failed = 0
    for title, name, arguments in _SHOW:
        failed += not await _call(client, console, out, title, name, arguments)
    if not failed:
        _say(console, "\nWith a key of your own it talks to fal:")
        for command in ("login", 'run fal-ai/flux/dev prompt="a pier at night"'):
            # One that is broken in two cannot be copied.
            console.print(f"  [bold]{escape(program)} {command}[/]", soft_wrap=True)
    return 1 if failed else 0


def _say(console: Console, text: str) -> None:
    # Words wrap at a terminal; in a pipe nothing does.
    console.print(text, soft_wrap=not console.is_terminal)


async def _tools(client: Client) -> AsyncIterator[types.Tool]:
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield tool
        cursor = page.next_cursor
        if cursor is None:
            return


async def _call(
    client: Client, console: Console, out: anyio.Path, title: str, name: str, arguments: JsonObject
) -> bool:
    bar = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}", table_column=None),
        # At a narrow terminal the words are worth more.
        *([BarColumn(bar_width=24)] if console.width >= _NARROW else []),
        TextColumn("[dim]{task.fields[said]}[/]"),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(f"{title:<12} [bold]{name}[/]", total=100, said="")

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            bar.update(task, completed=progress, total=total, said=(message or "")[:40])

        result = await client.call_tool(name, arguments, progress_callback=hear)
        bar.update(task, completed=100, total=100, said="failed" if result.is_error else "done")
    if result.is_error:
        texts = (block.text for block in result.content if isinstance(block, types.TextContent))
        console.print(*texts, style="red", soft_wrap=True)
        return False
    for file in await _save(result.structured_content["files"], out, name):
        # A path that is broken in two cannot be copied.
        console.print(f"  [green]{file}[/] ({file.stat().st_size / 1000:.0f} kB)", soft_wrap=True)
    return True


async def _save(files: list[JsonObject], out: anyio.Path, name: str) -> list[Path]:
    saved: list[Path] = []
    async with httpx.AsyncClient() as client:
        for number, file in enumerate(files, 1):
            answer = await client.get(file["url"])
            answer.raise_for_status()
            ending = Path(file["url"].split("?")[0]).suffix or ".bin"
            target = out / f"{name.removeprefix('fal-ai_')}-{number}{ending}"
            await target.write_bytes(answer.content)
            saved.append(Path(await target.resolve()))
    return saved
