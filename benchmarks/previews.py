"""Eight large pictures shown at once: the memory that the whole process takes, and how long it is."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import anyio.to_thread

Figure = tuple[str, float, float, str]
MOST = 600
"""MiB of the process, everything of it counted."""
_SIDE = 10_909
"""119 megapixels."""
_FITTING = {"PNG": 7500, "WEBP": 4700, "TIFF": 7500}
"""Near the largest that is unpacked."""

_SHOWS = """
import anyio, resource, sys, time
from fal_mcp.client.fal import Fal
from fal_mcp.config import Hosts, Settings
from fal_mcp.outputs import previews
from fal_mcp.outputs.outcome import Media

async def main():
    url, names = sys.argv[1], sys.argv[2:]
    seen = []
    async with Fal("emulator:emulator", hosts=Hosts.at(url)) as fal:
        async def one(name):
            seen.append(await previews.of((Media(f"{url}/cdn/{name}", "image"),), fal))
        began = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(one, name)
        took = time.perf_counter() - began
    shown = sum(len(one.previews) for one in seen)
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, shown)

anyio.run(main)
"""


async def eight_at_once() -> list[Figure]:
    """From a file server in a process of its own, each kind eight times, and then all kinds together."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as root:
        made = await anyio.to_thread.run_sync(_made, Path(root, "cdn"))
        serve = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", root, "0"]
        async with await anyio.open_process(serve, stderr=subprocess.DEVNULL) as server:
            assert server.stdout
            found = re.search(r"http://[\d.:]+", (await server.stdout.receive()).decode())
            assert found
            try:
                for names in [*([name] * 8 for name in made), made]:
                    figures.append(await _shown(found[0], names))
            finally:
                server.terminate()
    return figures


async def _shown(url: str, names: list[str]) -> Figure:
    done = await anyio.run_process([sys.executable, "-c", _SHOWS, url, *names], stderr=None)
    seconds, memory, shown = map(float, done.stdout.split())
    what = f"{len(names)} x {names[0]}" if len(set(names)) == 1 else "one of each"
    return f"previews of {what} in {seconds:.1f} s, {shown:.0f} shown: memory of all", memory, MOST, "MiB"


def _made(folder: Path) -> list[str]:
    """The pictures, made in a process of their own: it takes more memory than it measures."""
    subprocess.run([sys.executable, "-c", _MAKES, str(folder), str(_SIDE), repr(_FITTING)], check=True)
    return sorted(path.name for path in folder.iterdir())


_MAKES = """
import ast, sys
from pathlib import Path
from PIL import Image
folder, side, fitting = Path(sys.argv[1]), int(sys.argv[2]), ast.literal_eval(sys.argv[3])
folder.mkdir()
def save(name, kind, mode, side, **options):
    picture = Image.new(mode, (side, side))
    picture.paste(Image.effect_noise((1500, 1500), 60).convert(mode), (0, 0))
    picture.save(folder / name, kind, **options)
save("119-megapixels.png", "PNG", "RGBA", side)
save("119-megapixels.jpg", "JPEG", "RGB", side)
save("119-megapixels-progressive.jpg", "JPEG", "RGB", side, progressive=True)
save("119-megapixels.webp", "WEBP", "RGB", side, method=0)
save("119-megapixels.tif", "TIFF", "RGBA", side, compression="tiff_lzw")
for kind, side in fitting.items():
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    save(f"fitting.{kind.lower()}", kind, "RGB", side, **options)
"""
