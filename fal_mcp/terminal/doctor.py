"""`fal-mcp doctor`: what is set, what is amiss in the catalog, and what fal changed in its Platform API."""

import json
import shutil
import sys
import time
from collections.abc import Iterator

import anyio
from rich.console import Console

from fal_mcp import __version__, bundled
from fal_mcp.catalog.cache import Cache
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings
from fal_mcp.engine import source_of
from fal_mcp.errors import FalError
from fal_mcp.openapi.corrections import differences

_PATIENCE = 15.0
"""Seconds in which fal's document must be here."""
_MOST_SHOWN = 30


async def run(settings: Settings) -> None:
    """Say all of it. Nothing that is amiss makes it fail."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _of_this_machine(settings):
        console.print(line, markup=False)
    for line in await _of_the_platform(settings):
        console.print(line, markup=False)


def _of_this_machine(settings: Settings) -> Iterator[str]:
    source = source_of(settings)
    catalog = Catalog(source)
    problems = catalog.problems()
    yield f"fal-mcp {__version__} on Python {sys.version.split()[0]}"
    yield f"Key: {'set' if settings.key else 'not set; create one at https://fal.ai/dashboard/keys'}"
    yield f"Admin key: {'set' if settings.admin_key else 'not set; costs, keys and machines need one in FAL_ADMIN_KEY'}"
    yield f"ffmpeg: {'found' if shutil.which('ffmpeg') else 'not found; films are shown without a frame of them'}"
    yield f"fal's command line: {'found' if settings.fal_cli else 'not found; apps are not deployed from here'}"
    if isinstance(source, Cache):
        age = (time.time() - source.fetched_at) / 3600
        yield f"Catalog: fal's, fetched {age:.1f} hours ago, in {settings.catalog_folder}"
    else:
        yield f"Catalog: {settings.models or 'the starter catalog; fal-mcp models refresh fetches all of it'}"
    yield f"Model documents: {len(catalog) - len(problems)} usable, {len(problems)} not"
    yield from (f"  {endpoint_id}: {reason}" for endpoint_id, reason in problems.items())
    oddities = catalog.oddities()
    if oddities:
        yield f"Model documents with a part that was mended or left open: {len(oddities)}"
        yield from (f"  {endpoint_id}: {' '.join(parts)}" for endpoint_id, parts in oddities.items())


async def _of_the_platform(settings: Settings) -> list[str]:
    file = anyio.Path(bundled.schemas() / "platform.json")
    ours = json.loads(await file.read_text("utf-8"))
    try:
        with anyio.fail_after(_PATIENCE):
            async with Fal(settings) as fal:
                theirs = await fal.platform.document()
    except FalError as error:
        return [f"Platform API: not compared with fal's document. {error.message}"]
    except TimeoutError:
        return [f"Platform API: not compared with fal's document, which did not come within {_PATIENCE:.0f} seconds."]
    found = differences(ours, theirs)
    if not found:
        return ["Platform API: no difference from fal's document"]
    more = [f"  and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    shown = [f"  {sentence}" for sentence in found[:_MOST_SHOWN]]
    return [f"Platform API: fal's document differs from what this version knows ({len(found)})", *shown, *more]
