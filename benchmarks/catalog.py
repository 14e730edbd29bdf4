"""The catalog at fal's size: what lists weigh, how fast search answers, what a refresh and a start cost."""

import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from benchmarks import start
from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.config import Hosts, Settings
from fal_mcp.engine import Engine
from fal_mcp.server import app, tool_list
from fal_mcp.toolsets import search_models
from fal_mcp.toolsets.search_models import SearchArguments
from fal_mcp.toolsets.selection import Selection
from fal_mcp.toolsets.toolbox import Toolbox

SIZE = 1600
QUERIES = (
    "animate a photo|remove background|read this text aloud|make it 3d|talking head|transcribe|LoRA training|"
    "nano banana|kling|flux kontext|a logo with text|music for a podcast|upscale an image|edit a video|sound of rain|"
    "what is in this picture|cheap fast image|veo 3 with sound|swap faces|lip sync"
).split("|")

Figure = tuple[str, float, float, str]


@contextmanager
def at_fals_size(models: Path) -> Iterator[Path]:
    """`models` repeated under other ids until there are 1,600, with their catalog items."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "models"
        folder.mkdir()
        source = Folder(models)
        items: list[str] = []
        for number in range(SIZE):
            endpoint_id = source.ids[number % len(source.ids)]
            copy = endpoint_id + (f"-{number // len(source.ids)}" if number >= len(source.ids) else "")
            text = source.document(endpoint_id).decode().replace(f'{endpoint_id}"', f'{copy}"')
            text = text.replace(f"/{endpoint_id}/requests", f"/{copy}/requests")
            (folder / (copy.replace("/", "__") + ".json")).write_text(text, "utf-8")
            item = dict(source.items.get(endpoint_id) or {})
            if item:
                items.append(json.dumps({**item, "endpoint_id": copy}))
        (Path(root) / "catalog.jsonl").write_text("\n".join(items), "utf-8")
        yield folder


def lists(models: Path) -> list[Figure]:
    """What the lists weigh, as JSON on the wire, and how long a page takes once its tools are made."""
    chosen = Settings()
    starter = Toolbox(Catalog(Folder(bundled.schemas() / "models")), Selection(pins=chosen.pins), chosen.toolsets)
    narrow = Toolbox(starter.catalog, Selection(("search",)), ("models", "jobs"))
    fixed = _listed(narrow)
    others = [tool for tool in _listed(starter, Selection(("search",))) if tool not in fixed]
    pinned = [tool for tool in _listed(starter) if "fal/endpoint_id" in tool.get("_meta", {})]
    whole = Toolbox(Catalog(Folder(models)), Selection(("all",)))
    tools = _listed(whole)
    times = []
    cursor = None
    while True:
        began = time.perf_counter()
        page = tool_list.list_tools(whole, cursor)
        times.append((time.perf_counter() - began) * 1000)
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    count = len(tools)
    return [
        ("default list", _size(_listed(starter)) / 1000, 32, "KB"),
        ("of it, discovery and jobs", _size(fixed) / 1000, 8, "KB"),
        ("of it, everything else", _size(others) / 1000, 8, "KB"),
        (f"of it, {len(pinned)} pinned models", _size(pinned) / 1000, 16, "KB"),
        ("list of --list search --toolsets models,jobs", _size(fixed) / 1000, 8, "KB"),
        (f"a tool of the whole list of {count}, on average", _size(tools) / count / 1000, 2.4, "KB"),
        (f"the list of {count} tools once they are made, the slowest page of {len(times)}", max(times), 10, "ms"),
    ]


def searching(models: Path) -> list[Figure]:
    """How fast and how short an answer is."""
    toolbox = Toolbox(Catalog(Folder(models)), Selection())

    def ask(query: str) -> tuple[float, int, int]:
        began = time.perf_counter()
        outcome = search_models.search(toolbox.models, SearchArguments(query=query), [])
        data = json.dumps(outcome.data, ensure_ascii=False)
        return (time.perf_counter() - began) * 1000, len(outcome.note.encode()), len(data.encode())

    for query in QUERIES:
        ask(query)
    times, texts, data = zip(*(ask(query) for _ in range(5) for query in QUERIES), strict=True)
    return [
        (f"search_models over {SIZE} models, p50", statistics.median(times), 5, "ms"),
        ("the longest text of ten hits", max(texts) / 1000, 3, "KB"),
        ("the longest data of ten hits", max(data) / 1000, 3.5, "KB"),
    ]


async def refreshing(models: Path) -> list[Figure]:
    """How long a refresh takes, and the longest that the server's event loop stood still meanwhile."""
    command = [sys.executable, "-m", "fal_mcp", "emulate", "--models", str(models)]
    with tempfile.TemporaryDirectory() as cache:
        async with await anyio.open_process(command, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as emulator:
            assert emulator.stdout
            said = (await emulator.stdout.receive()).decode()
            found = re.search(r"http://[\d.:]+", said)
            assert found, said
            settings = Settings(hosts=Hosts.at(found[0]), cache=Path(cache), refresh_hours=0)
            try:
                seconds, stall, count = await _refresh(app.build(settings).shared)
            finally:
                emulator.terminate()
    return [
        (f"a refresh of {count} models", seconds, 10, "s"),
        ("the longest stall of the server meanwhile", stall * 1000, 50, "ms"),
    ]


async def _refresh(engine: Engine) -> tuple[float, float, int]:
    gaps: list[float] = []

    async def watch() -> None:
        last = time.perf_counter()
        while True:
            await anyio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async with engine, anyio.create_task_group() as tasks:
        engine.tools.names()
        _ = engine.fal
        tasks.start_soon(watch)
        await anyio.sleep(0.05)
        gaps.clear()
        began = time.perf_counter()
        await engine.refresh()
        seconds = time.perf_counter() - began
        count = len(engine.tools.catalog)
        tasks.cancel_scope.cancel()
    return seconds, max(gaps), count


def memory(models: Path) -> list[Figure]:
    """Resident memory after the first list, against a bare SDK server's."""
    bare, ours = start.resident(start.bare()), start.resident(start.ours(models, "pinned"))
    return [(f"resident memory {ours:.0f} MB, bare SDK server {bare:.0f} MB", ours / bare, 1.3, "times")]


def _listed(toolbox: Toolbox, selection: Selection | None = None) -> list[dict[str, Any]]:
    return toolbox.page(toolbox.names(selection), tool_list.listed)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
