"""`fal-mcp emulate`: the local fal on a port, with prices, as fast or as slow as told."""

from collections.abc import Mapping
from pathlib import Path

import anyio

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.terminal import screen

SPEEDS: Mapping[str, Script] = {
    "instant": Script(),
    "quick": Script(queue_position=1, queue_seconds=0.3, steps=10, step_seconds=0.1),
    "real": Script(queue_position=2, queue_seconds=1.5, steps=28, step_seconds=0.25),
}


async def run(folder: Path, port: int, speed: str) -> None:
    """Listen until stopped."""
    fal = Emulator(models_dirs=[folder])
    fal.prices.update(_prices(folder))
    fal.script(None, SPEEDS[speed])
    async with serve(fal, port=port) as url:
        screen.say(screen.out(), f"A local fal is listening on {url} (key: emulator:emulator). Stop it with Ctrl-C.")
        screen.say(
            screen.errors(), f"Try:\n  FAL_KEY=emulator:emulator fal-mcp run fal-ai/flux/dev prompt=x --fal-url {url}"
        )
        await anyio.sleep_forever()


def _prices(folder: Path) -> dict[str, tuple[float, str]]:
    """What the models' documents say they cost: a catalog that is fetched from here knows its prices."""
    catalog = Catalog(Folder(folder))
    endpoints = [endpoint for each in catalog.ids if (endpoint := catalog.get(each))]
    return {each.endpoint_id: (each.price.amount, each.price.unit) for each in endpoints if each.price}
