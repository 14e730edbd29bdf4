"""The gallery as a host with MCP Apps shows it, in a headless Chromium, after a run against the local fal."""

import io
from dataclasses import replace
from pathlib import Path

import anyio
from mcp.client import Client
from PIL import Image, ImageChops
from playwright.async_api import expect

from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, serve
from fal_mcp.server import app
from tests.server.gallery_host import gallery_host

_KEY = "emulator:emulator"
_MARGIN = 24
_BOUND = 90
_SHOWN = {
    "gallery": ("fal-ai/flux/dev", {"prompt": "a pier at night", "num_images": 2, "seed": 7}, "img", {}),
    "gallery-dark": ("fal-ai/flux/dev", {"prompt": "a pier at night", "seed": 7}, "img", {"theme": "dark"}),
}


async def pictures(folder: Path) -> list[Path]:
    """Make them; the files."""
    models = bundled.schemas() / "models"
    fal = Emulator(models_dirs=[models])
    files: list[Path] = []
    with anyio.fail_after(_BOUND):
        async with serve(fal, port=0) as url:
            settings = replace(Settings(models=models), key=_KEY, hosts=Hosts.at(url))
            async with Client(app.build(settings)) as client, gallery_host(fal, settings.hosts) as host:
                for name, (endpoint_id, arguments, tag, context) in _SHOWN.items():
                    asked = {"endpoint_id": endpoint_id, "arguments": arguments}
                    result = await client.call_tool("run_model", asked)
                    data = result.model_dump(mode="json", by_alias=True, exclude_none=True)
                    await host.show(asked, data, **context)
                    await expect(host.gallery.locator(tag).first).to_be_visible()
                    await host.inside.wait_for_function(
                        "() => [...document.querySelectorAll('img')].every(each => each.naturalWidth > 1)"
                    )
                    shot = await host.page.locator("iframe").screenshot()
                    files.append(_small(shot, folder / f"{name}.png"))
    return files


def _small(shot: bytes, file: Path) -> Path:
    """Without the empty page below what is shown."""
    with Image.open(io.BytesIO(shot)) as opened:
        picture = opened.convert("RGB")
    ground = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))  # pyright: ignore[reportArgumentType]
    box = ImageChops.difference(picture, ground).getbbox()
    lowest = min(picture.height, box[3] + _MARGIN) if box else picture.height
    picture.crop((0, 0, picture.width, lowest)).save(file, optimize=True)
    return file
