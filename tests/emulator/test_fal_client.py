"""fal's own client drives the emulator, unmodified and under fal's own host names."""

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from fal_mcp.emulator import Emulator, Script, serve
from tests.conftest import KEY
from tests.proxy import certificates, proxy

THEIRS = Path(__file__).with_name("theirs.py")
OURS = """
import anyio, json, os
from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings

async def seen(status): pass

async def main():
    async with Fal(os.environ["FAL_KEY"]) as fal:
        request = await fal.queue.submit("fal-ai/flux/dev", {"prompt": "a red bicycle", "seed": 7})
        await fal.queue.follow(request, seen)
        result = await fal.queue.result(request)
        async with fal.realtime("fal-ai/flux/dev") as line:
            live = await line.ask({"prompt": "a red bicycle", "seed": 8}, 20)
        print(json.dumps({**result, "live": live["seed"]}))

anyio.run(main)
"""


@asynccontextmanager
async def as_fal(fal: Emulator, folder: Path) -> AsyncGenerator[dict[str, str]]:
    """The environment in which fal's host names are this emulator."""
    ca, cert, key = certificates(folder)
    async with serve(fal, port=0, ssl_certfile=str(cert), ssl_keyfile=str(key)) as url:
        async with proxy(urlsplit(url).port or 0) as through:
            yield {**os.environ, "HTTPS_PROXY": through, "SSL_CERT_FILE": str(ca), "FAL_KEY": KEY, "NO_PROXY": ""}


async def python(environment: dict[str, str], *arguments: str) -> bytes:
    with anyio.fail_after(60):
        done = await anyio.run_process([sys.executable, *arguments], env=environment, stderr=None)
    return done.stdout


async def test_fals_own_client_is_content(fal: Emulator, tmp_path: Path):
    """Run, submit, status, result, cancel, subscribe with logs, upload; and realtime."""
    fal.script("fal-ai/flux/schnell", Script(hold_in_queue=True, queue_position=0))
    fal.script("fal-ai/flux/dev", Script(queue_position=1, queue_seconds=0.3, steps=3, step_seconds=0.2))
    async with as_fal(fal, tmp_path) as environment:
        found = json.loads(await python(environment, str(THEIRS), str(tmp_path)))
    live = [[seed, "r", "ffd8", 256] for seed in (7, 8, 7, 8)]
    refused = [422, ["body", "num_images"]]
    assert found["seeds"] == [7, 7, 7, 7] and found["async"] == {"seed": 7, "refused": refused, "live": live}
    assert [(line.token is None, len(line.inputs)) for line in fal.lines] == [(False, 2), (True, 2)]
    assert found["status"] == "Completed"
    assert {"Queued", "InProgress", "Completed", "step 2/3"} <= set(found["said"])
    assert found["waiting"] == ["Queued", 0]
    assert found["cancelled"] == 499
    urls: list[str] = found["uploads"]
    stored = [fal.files[urlsplit(url).path].content for url in urls]
    assert stored[0] == b"hello" and stored[1] == bytes(101 * 1024 * 1024) and stored[2] == b"raw"


async def test_our_client_honours_the_proxy_and_the_certificates(fal: Emulator, tmp_path: Path):
    async with as_fal(fal, tmp_path) as environment:
        output = json.loads(await python(environment, "-c", OURS))
    assert output["seed"] == 7 and output["live"] == 8
    assert output["images"][0]["url"].startswith("https://v3.fal.media/files/b/")


async def test_an_unknown_authority_is_not_trusted(fal: Emulator, tmp_path: Path):
    (tmp_path / "other").mkdir()
    other, _, _ = certificates(tmp_path / "other")
    script = OURS.replace("print(", "print('reached', ").replace("anyio.run(main)", "")
    script += "try:\n    anyio.run(main)\nexcept BaseException as error:\n    print(type(error).__name__)\n"
    async with as_fal(fal, tmp_path) as environment:
        said = await python({**environment, "SSL_CERT_FILE": str(other)}, "-c", script)
    assert said.decode().strip() == "Unreachable" and fal.jobs == {}
