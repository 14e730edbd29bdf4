"""`python -m benchmarks.team.fal SECONDS`: the stand-in for fal in a process of its own, and what was submitted to it.

Its jobs take so long; every picture is the same, and drawn before anybody asks, so that the stand-in uses little.
It says its address, and how things stand for every line that it is sent.
"""

import json
import sys
from collections import Counter

import anyio

from benchmarks import call
from fal_mcp import bundled
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.emulator.script import Failure

FAILING, LARGE = "fal-ai/flux/schnell", "fal-ai/fast-sdxl"
"""The models that fail, and that answer with what is too large to be kept."""
_LARGE = 600 * 1024


async def run(seconds: float) -> None:
    """Listen until standard input ends."""
    fal = Emulator(models_dirs=[bundled.schemas() / "models"], keys={call.KEY})
    async with serve(fal) as url:
        document = fal.document(call.ENDPOINT)
        assert document
        output = fal.output(document, {**call.ARGUMENTS, "output_format": "jpeg"}, f"{url}/cdn")
        for file in fal.files.values():
            assert file.content
        usual = Script(steps=4, step_seconds=seconds / 4, output=output)
        fal.script(None, usual)
        fal.script(FAILING, Script(failure=Failure()))
        fal.script(LARGE, Script(output={**output, "prompt": "x" * _LARGE}))
        _say({"url": url})
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            _say(_standing(fal))


def _standing(fal: Emulator) -> dict[str, object]:
    seeds = Counter(job.input.get("seed") for job in fal.jobs.values())
    twice = sum(count > 1 for count in seeds.values())
    running = sum(not job.is_over for job in fal.jobs.values())
    return {"submits": len(fal.jobs), "twice": twice, "running": running, "requests": len(fal.calls)}


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(run, float(sys.argv[1]))
