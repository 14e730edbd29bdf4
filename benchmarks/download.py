"""One gibibyte down: a film saved to disk as any result is, and the memory it takes."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import anyio.to_thread

SIZE = 1024**3
Figure = tuple[str, float, float, str]

_SAVES = """
import anyio, resource, sys, time
from pathlib import Path
from fal_mcp.client.fal import Fal
from fal_mcp.config import Hosts, Settings
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.outputs import saving
from fal_mcp.outputs.outcome import Media

async def main():
    url, folder = sys.argv[1], OutputFolder(Path(sys.argv[2]))
    async with Fal("emulator:emulator", hosts=Hosts.at(url)) as fal:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        path, _ = await saving.save(Media(f"{url}/cdn/film.mp4", "video"), fal, folder, folder.place(None), "film")
        took = time.perf_counter() - began
    print(took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, path.stat().st_size)

anyio.run(main)
"""


async def one_gibibyte() -> list[Figure]:
    """From a file server in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        await anyio.to_thread.run_sync(_make, Path(root))
        serve = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", root, "0"]
        async with await anyio.open_process(serve, stderr=subprocess.DEVNULL) as server:
            assert server.stdout
            found = re.search(r"http://[\d.:]+", (await server.stdout.receive()).decode())
            assert found
            try:
                done = await anyio.run_process([sys.executable, "-c", _SAVES, found[0], f"{root}/out"], stderr=None)
            finally:
                server.terminate()
    seconds, memory, size = map(float, done.stdout.split())
    assert size == SIZE
    return [(f"one gibibyte down in {seconds:.1f} s: memory it took besides", memory, 64, "MiB")]


def _make(root: Path) -> None:
    (root / "cdn").mkdir()
    with (root / "cdn" / "film.mp4").open("wb") as target:
        target.write(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")
        target.truncate(SIZE)
