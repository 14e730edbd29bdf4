"""How long a person waits: for a cancel to reach fal, for the first streamed word, for a preview."""

import io
import statistics
import time
from typing import Any

import anyio
from mcp.client import Client
from PIL import Image

from benchmarks.call import KEY
from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.outputs.pictures import shrunk
from fal_mcp.server import app

ROUNDS = 10
LLM, WORD = "nvidia/nemotron-3-nano-omni", 0.1
Figure = tuple[str, float, float, str]


async def measured() -> list[Figure]:
    """The medians, in milliseconds."""
    models = bundled.schemas() / "models"
    fal = Emulator(models_dirs=[models], keys={KEY})
    async with serve(fal) as url, Client(app.build(Settings(key=KEY, hosts=Hosts.at(url), models=models))) as client:
        cancels = [await _cancelled(fal, client, number) for number in range(ROUNDS)]
        words = [await _first_word(fal, client) for _ in range(ROUNDS)]
    previews = [_preview() for _ in range(ROUNDS)]
    return [
        ("from the client's cancel to fal's, p50", statistics.median(cancels), 200, "ms"),
        ("from the emulator's first word to the client's, p50", statistics.median(words), 50, "ms"),
        ("a preview of a picture of 12 megapixels, p50", statistics.median(previews), 150, "ms"),
    ]


async def _cancelled(fal: Emulator, client: Client, number: int) -> float:
    fal.script("fal-ai/flux/dev", Script(hold_in_queue=True))
    fal.calls.clear()
    began = 0.0
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "fal-ai_flux_dev", {"prompt": "x", "seed": number})
            await fal.until(lambda: any(call.path.endswith("/stream") for call in fal.calls))
            began = time.perf_counter()
            scope.cancel()
    await fal.until(lambda: any(call.path.endswith("/cancel") for call in fal.calls))
    return (time.perf_counter() - began) * 1000


async def _first_word(fal: Emulator, client: Client) -> float:
    fal.script(LLM, Script(step_seconds=WORD))
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        if message == "The":
            heard.append(time.perf_counter())

    asked: dict[str, Any] = {"endpoint_id": LLM, "arguments": {"prompt": "x"}, "mode": "stream"}
    fal.calls.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.call_tool("run_model", asked, progress_callback=hear))
        await fal.until(lambda: bool(fal.calls))
        # The emulator waits so long before its first word.
        began = time.perf_counter() + WORD
    return (heard[0] - began) * 1000


def _preview() -> float:
    target = io.BytesIO()
    Image.effect_noise((4000, 3000), 60).convert("RGB").save(target, "JPEG", quality=85)
    began = time.perf_counter()
    assert shrunk(target.getvalue(), 500_000)
    return (time.perf_counter() - began) * 1000
