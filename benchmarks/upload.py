"""One gibibyte up, in parts: wall time beside fal's own client, and the memory it takes."""

import os
import re
import sys
import tempfile
from pathlib import Path

import anyio
import anyio.to_thread

SIZE = 1024**3
Figure = tuple[str, float, float, str]

_OURS = """
import anyio, sys, time, resource
from pathlib import Path
from fal_mcp.client.fal import Fal
from fal_mcp.client.file_stream import Upload
from fal_mcp.ways_to_fal import fal_of
from fal_mcp.config import Hosts, Settings

async def nobody(*_): pass

async def main():
    settings = Settings(key="emulator:emulator", hosts=Hosts.at(sys.argv[1]))
    file = Path(sys.argv[2])
    async with fal_of(settings) as fal:
        with file.open("rb", buffering=0) as stream:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.perf_counter()
            item = Upload(stream, file.stat().st_size, "big.bin", "application/octet-stream")
            await fal.storage.put_parts(item, await fal.storage.begin_parts(item), nobody, nobody)
            took = time.perf_counter() - began
    print(took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)

anyio.run(main)
"""
_THEIRS = """
import anyio, sys, time, resource, httpx
import fal_client
from fal_client import client as module
from benchmarks.call import ToEmulator

async def main():
    to = ToEmulator(sys.argv[1])
    own = httpx.AsyncClient.__init__
    def init(self, *arguments, **options):
        options["transport"] = to
        own(self, *arguments, **options)
    httpx.AsyncClient.__init__ = init
    client = fal_client.AsyncClient(key="emulator:emulator")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    await client.upload_file(sys.argv[2])
    print(time.perf_counter() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)

anyio.run(main)
"""


async def one_gibibyte() -> list[Figure]:
    """Each side against an emulator of its own: one that holds a gibibyte already takes the next at half the speed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "big.bin"
        await anyio.to_thread.run_sync(_make, file)
        theirs, _ = await _against_an_emulator(_THEIRS, file)
        ours, memory = await _against_an_emulator(_OURS, file)
    line = f"one gibibyte up: {ours:.1f} s, fal_client {theirs:.1f} s"
    return [(line, ours / theirs, 1, "times"), ("memory it took besides", memory, 64, "MiB")]


async def _against_an_emulator(script: str, file: Path) -> tuple[float, float]:
    emulate = [sys.executable, "-m", "fal_mcp", "emulate"]
    async with await anyio.open_process(emulate, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as emulator:
        assert emulator.stdout
        found = re.search(r"http://[\d.:]+", (await emulator.stdout.receive()).decode())
        assert found
        try:
            return await _measured(script, found[0], file)
        finally:
            emulator.terminate()


def _make(file: Path) -> None:
    with file.open("wb") as target:
        target.truncate(SIZE)


async def _measured(script: str, url: str, file: Path) -> tuple[float, float]:
    done = await anyio.run_process([sys.executable, "-c", script, url, str(file)], stderr=None)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory
