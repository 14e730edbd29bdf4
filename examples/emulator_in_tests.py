"""A local fal in place of the real one in your own tests: pytest examples/emulator_in_tests.py"""

import anyio
import pytest

from fal_mcp import Fal, Hosts, MaybeReceived
from fal_mcp.emulator import Emulator, Script, serve, starter_models

FLUX = "fal-ai/flux/dev"


async def poster(client: Fal, title: str) -> str:
    """What is tested: your own code."""
    result = await client.subscribe(FLUX, {"prompt": f"A poster: {title}"})
    return result["images"][0]["url"]


def run(fal: Emulator, title: str) -> str:
    async def main() -> str:
        async with serve(fal) as url, Fal(key="test:key", hosts=Hosts.at(url)) as client:
            return await poster(client, title)

    return anyio.run(main)


def test_a_poster_shows_its_title():
    fal = Emulator(models_dirs=[starter_models()], keys={"test:key"})
    assert run(fal, "Jaws").endswith(".png")
    assert [job.input["prompt"] for job in fal.jobs.values()] == ["A poster: Jaws"]


def test_a_lost_answer_is_not_paid_for_twice():
    fal = Emulator(models_dirs=[starter_models()], keys={"test:key"})
    fal.script(FLUX, Script(submit_drop=True))
    with pytest.raises(MaybeReceived):
        run(fal, "Jaws")
    assert len(fal.jobs) == 1
