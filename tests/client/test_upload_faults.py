"""Uploads through trouble: a part that is refused for the moment, an answer that is lost, an upload that is over."""

import io
import re
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.client.fal import Fal
from fal_mcp.client.storage import PART, Parts, Upload
from fal_mcp.errors import FalError, ServiceFailed, UploadClosed
from tests.client.scripted import KEY, FreeClock, network

SIZE = PART + 10
BOUND = 60
Fault = Callable[[str, int], httpx.Response | None]


class Cdn:
    """fal's storage, as far as uploads in parts go; `fault` is asked before each answer, by step and how often."""

    def __init__(self, fault: Fault = lambda step, count: None) -> None:
        self.fault = fault
        self.begun = 0
        self.over: set[int] = set()
        self.calls: list[str] = []
        self.files: dict[str, int] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        step, number = self.step(request)
        self.calls.append(step)
        fault = self.fault(step, self.calls.count(step))
        lost = fault is not None and fault.extensions.get("after") is True
        if fault is not None and not lost:
            return fault
        answer = self.answer(request, step, number)
        if lost:
            raise httpx.ReadError("lost")
        return answer

    def step(self, request: httpx.Request) -> tuple[str, int]:
        if request.method == "GET":
            return "look", int(request.url.path.rsplit("/", 1)[-1])
        if request.url.path.endswith("initiate-multipart"):
            return "begin", 0
        found = re.fullmatch(r"/up/(\d+)/(\w+)", request.url.path)
        assert found
        return ("complete" if found[2] == "complete" else f"part {found[2]}"), int(found[1])

    def answer(self, request: httpx.Request, step: str, number: int) -> httpx.Response:
        if step == "begin":
            self.begun += 1
            address = "https://v3.fal.media"
            about = {"upload_url": f"{address}/up/{self.begun}", "file_url": f"{address}/files/{self.begun}"}
            return httpx.Response(200, json=about)
        if step == "look":
            size = self.files.get(str(number))
            headers = {"content-range": f"bytes 0-0/{size}"}
            return httpx.Response(206, headers=headers, content=b"x") if size else httpx.Response(404)
        if number in self.over:
            return httpx.Response(404, json={"detail": "No such upload"})
        if step == "complete":
            self.over.add(number)
            self.files[str(number)] = SIZE
            return httpx.Response(200, json={})
        return httpx.Response(200, headers={"etag": step})


def lost() -> httpx.Response:
    return httpx.Response(200, extensions={"after": True})


async def put(cdn: Cdn, parts: Parts | None = None) -> tuple[str, list[Parts]]:
    kept: list[Parts] = []

    async def tell(sent: int, size: int) -> None:
        return

    async def keep(parts: Parts) -> None:
        kept.append(parts)

    upload = Upload(io.BytesIO(bytes(SIZE)), SIZE, "a.bin", "application/octet-stream")
    with anyio.fail_after(BOUND):
        async with Fal(KEY, transport=httpx.MockTransport(cdn), clock=FreeClock().clock()) as fal:
            begun = parts or await fal.storage.begin_parts(upload)
            return await fal.storage.put_parts(upload, begun, tell, keep), kept


MOMENTARY = [
    *(httpx.Response(429, headers={"retry-after": "0"}), httpx.Response(429, json={"detail": "slow"})),
    *(httpx.Response(status) for status in (408, 425, 500, 502, 503, 504)),
]


@pytest.mark.parametrize("fault", MOMENTARY, ids=lambda fault: str(fault.status_code))
@pytest.mark.parametrize("step", ["part 1", "part 2", "complete"])
async def test_what_is_refused_for_the_moment_is_sent_again(step: str, fault: httpx.Response):
    """One part of ten answered once with 429 lost the whole upload."""
    cdn = Cdn(lambda now, count: fault if now == step and count <= 2 else None)
    url, _ = await put(cdn)
    assert url == "https://v3.fal.media/files/1" and cdn.begun == 1


@pytest.mark.parametrize("step", ["part 1", "complete"])
async def test_a_lost_answer_costs_no_second_upload(step: str):
    """An upload that is complete cannot be completed again; whether it is, the file itself says."""
    cdn = Cdn(lambda now, count: lost() if now == step and count == 1 else None)
    url, _ = await put(cdn)
    assert url == "https://v3.fal.media/files/1" and cdn.begun == 1


async def test_an_upload_that_is_over_is_forgotten_and_begun_anew():
    """It answered the same 404 for hours, and no new upload was begun."""
    cdn = Cdn()
    cdn.begun = 1
    cdn.over.add(1)
    old = Parts("https://v3.fal.media/up/1", "https://v3.fal.media/files/1", {1: "old", 2: "old"})
    url, kept = await put(cdn, old)
    assert url == "https://v3.fal.media/files/2" and kept[-1].upload_url == "https://v3.fal.media/up/2"


async def test_an_upload_that_is_refused_again_and_again_says_so():
    cdn = Cdn(lambda step, count: httpx.Response(403, json={"detail": "Expired"}) if step == "part 2" else None)
    with pytest.raises(UploadClosed, match="Expired"):
        await put(cdn)
    assert cdn.begun == 2


async def test_a_ledger_that_cannot_keep_a_part_says_so_in_one_error():
    async def refuse(parts: Parts) -> None:
        raise FalError("the disk is full")

    async def tell(sent: int, size: int) -> None:
        return

    upload = Upload(io.BytesIO(bytes(SIZE)), SIZE, "a.bin", "x/y")
    async with Fal(KEY, transport=httpx.MockTransport(Cdn()), clock=FreeClock().clock()) as fal:
        with pytest.raises(FalError, match="the disk is full"):
            await fal.storage.put_parts(upload, await fal.storage.begin_parts(upload), tell, refuse)


FOREIGN = [
    *(
        "http://127.0.0.1:8080/x",
        "https://evil.example/x",
        "http://v3.fal.media/x",
        "https://v3.fal.media.evil.example/",
    ),
    *("https://user:p@v3.fal.media/x", "https://v3.fal.media:8443/x", "https://[x", "file:///etc/passwd", "", None, 7),
    *("https://169.254.169.254/", "https://xfal.media/", "https://v3.fal.media\n.evil.example/"),
]


@pytest.mark.parametrize("address", FOREIGN)
@pytest.mark.parametrize("name", ["upload_url", "file_url"])
async def test_a_file_goes_to_no_address_that_is_not_fals(name: str, address: Any):
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        good = {"upload_url": "https://v3.fal.media/up", "file_url": "https://v3.fal.media/files/a"}
        return httpx.Response(200, json={**good, name: address})

    async def tell(sent: int, size: int) -> None:
        return

    upload = Upload(io.BytesIO(b"secret"), 6, "a.txt", "text/plain")
    async with Fal(KEY, transport=network(answer), clock=FreeClock().clock()) as fal:
        for ask in (fal.storage.put(upload, tell), fal.storage.ticket("a", "x/y"), fal.storage.begin_parts(upload)):
            with pytest.raises(ServiceFailed):
                await ask
    assert set(asked) == {"rest.fal.ai"}
