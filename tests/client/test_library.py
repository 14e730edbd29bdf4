"""The client by itself, as others' programs use it: against a local fal, with no server and no settings."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from fal_mcp import Completed, Fal, FalError, InProgress, MaybeReceived, Queued, Request, ServiceFailed, errors
from fal_mcp.client.status import Status
from fal_mcp.client.storage import LARGE
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Reply, Script
from tests.client.scripted import FreeClock, network
from tests.conftest import KEY

BOUND = 30
FLUX = "fal-ai/flux/dev"
PIER = {"prompt": "a pier"}


@pytest.fixture
async def client(settings: Settings) -> AsyncGenerator[Fal]:
    async with Fal(KEY, hosts=settings.hosts) as client:
        yield client


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def submits(fal: Emulator) -> int:
    """How many requests came that cost money."""
    return sum(call.method == "POST" and call.host_role in ("queue", "run") for call in fal.calls)


SCRIPTS = {
    "streamed": Script(queue_position=2, log_lines=("warm",)),
    "no stream": Script(queue_position=2, log_lines=("warm",), stream=Reply(503)),
    "garbage": Script(queue_position=2, log_lines=("warm",), stream_garbage=True),
    "broken off": Script(queue_position=2, log_lines=("warm",), drop_stream_after=2),
}


@pytest.mark.parametrize("way", SCRIPTS)
async def test_statuses_end_with_completed_and_tell_each_line_once(way: str, fal: Emulator, client: Fal):
    fal.script(FLUX, SCRIPTS[way])
    with anyio.fail_after(BOUND):
        request = await client.submit(FLUX, PIER)
        statuses = [status async for status in client.statuses(request)]
    *before, last = statuses
    assert isinstance(last, Completed) and not any(isinstance(status, Completed) for status in before)
    lines = [line.message for status in statuses if not isinstance(status, Queued) for line in status.logs]
    assert lines == ["warm", "step 1/4", "step 2/4", "step 3/4", "step 4/4"]


@pytest.mark.parametrize("way", SCRIPTS)
async def test_who_stops_looking_leaves_the_job_as_it_is(way: str, fal: Emulator, client: Fal):
    fal.script(FLUX, replace(SCRIPTS[way], hold_running=True))
    with anyio.fail_after(BOUND):
        request = await client.submit(FLUX, PIER)
        async with aclosing(client.statuses(request)) as statuses:
            async for status in statuses:
                if isinstance(status, InProgress):
                    break
        (job,) = fal.jobs.values()
        assert not job.cancelled and not job.is_over
        job.release()
        last = await client.follow(client.request(FLUX, request.request_id))
        assert isinstance(last, Completed) and (await client.result(request))["images"]
    assert submits(fal) == 1


async def test_polled_lines_come_once_however_often_they_are_shown(fal: Emulator, settings: Settings):
    """What is polled is a window of the lines so far; the same ones are in it each time."""
    fal.script(FLUX, replace(SCRIPTS["no stream"], hold_running=True))
    statuses: list[Status] = []
    async with Fal(KEY, hosts=settings.hosts, clock=FreeClock().clock()) as client:
        with anyio.fail_after(BOUND):
            request = await client.submit(FLUX, PIER)
            async for status in client.statuses(request):
                statuses.append(status)
                if len(statuses) > 5 and isinstance(status, InProgress):
                    fal.jobs[request.request_id].release()
    lines = [line.message for status in statuses if not isinstance(status, Queued) for line in status.logs]
    assert lines == ["warm", "step 1/4", "step 2/4", "step 3/4", "step 4/4"]


async def test_subscribe_tells_the_request_then_each_status(fal: Emulator, client: Fal):
    told: list[Any] = []

    async def on_enqueue(request: Request) -> None:
        told.append(request)

    with anyio.fail_after(BOUND):
        result = await client.subscribe(FLUX, PIER, on_enqueue=on_enqueue, on_queue_update=told.append)
    request, *statuses = told
    assert request == client.request(FLUX, request.request_id) and list(fal.jobs) == [request.request_id]
    assert isinstance(statuses[-1], Completed) and result["images"] and submits(fal) == 1


NEVER_TWICE: dict[str, tuple[Script, type[FalError]]] = {
    "the answer to the submit is lost": (Script(submit_drop=True), MaybeReceived),
    "something between answers": (Script(submit=Reply(502, b"<html>Bad Gateway</html>")), MaybeReceived),
    "it is refused": (Script(submit=Reply(422, {"detail": "no"})), errors.InvalidInput),
    "the model fails": (Script(failure=Failure(500)), errors.GenerationFailed),
    "the model refuses": (Script(failure=Failure(422, {"detail": "no"})), errors.GenerationFailed),
}


@pytest.mark.parametrize("case", NEVER_TWICE)
async def test_subscribe_submits_once_whatever_happens(case: str, fal: Emulator, client: Fal):
    script, kind = NEVER_TWICE[case]
    fal.script(FLUX, script)
    with anyio.fail_after(BOUND), pytest.raises(kind):
        await client.subscribe(FLUX, PIER)
    assert submits(fal) == 1


async def test_a_webhook_and_a_priority_go_along(fal: Emulator, client: Fal):
    with anyio.fail_after(BOUND):
        await client.submit(FLUX, PIER, webhook_url="http://127.0.0.1:1/x", priority="low")
    (call,) = [call for call in fal.calls if call.method == "POST"]
    assert call.headers["x-fal-queue-priority"] == "low"
    assert call.query == "fal_webhook=http%3A%2F%2F127.0.0.1%3A1%2Fx"


async def test_a_stream_gives_its_events_and_then_its_result(fal: Emulator, client: Fal):
    with anyio.fail_after(BOUND):
        events = [event async for event in client.stream(FLUX, PIER)]
    assert [event.get("progress") for event in events] == [0.25, 0.5, 0.75, None] and events[-1]["images"]


async def test_a_stream_that_breaks_off_says_what_came_and_is_not_begun_again(fal: Emulator, client: Fal):
    fal.script(FLUX, Script(drop_stream_after=2))
    events: list[Any] = []
    with anyio.fail_after(BOUND), pytest.raises(MaybeReceived) as caught:
        async for event in client.stream(FLUX, PIER):
            events.append(event)
    assert len(events) == 2 and caught.value.partial == events[-1] and submits(fal) == 1


async def test_who_leaves_a_stream_leaves_its_connection(fal: Emulator, client: Fal):
    with anyio.fail_after(BOUND):
        async with aclosing(client.stream(FLUX, PIER)) as events:
            async for _ in events:
                break
        assert (await client.run(FLUX, PIER))["images"]


AS_ONE = httpx.Response(200, json={"text": "all at once"})
NOTHING = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b": ping\n\n")


async def test_a_model_that_does_not_stream_gives_one_event():
    async with Fal(KEY, transport=network(lambda request: AS_ONE), clock=FreeClock().clock()) as client:
        assert [event async for event in client.stream("fal-ai/any-llm", PIER)] == [{"text": "all at once"}]


async def test_a_stream_of_nothing_is_no_result():
    async with Fal(KEY, transport=network(lambda request: NOTHING), clock=FreeClock().clock()) as client:
        with pytest.raises(MaybeReceived):
            _ = [event async for event in client.stream("fal-ai/any-llm", PIER)]


async def _each_event(client: Fal) -> None:
    async for _ in client.stream(FLUX, PIER):
        pass


async def _one_line(client: Fal) -> None:
    async with client.realtime(FLUX):
        pass


PAID: dict[str, Callable[[Fal], Awaitable[object]]] = {
    "submit": lambda client: client.submit(FLUX, PIER),
    "subscribe": lambda client: client.subscribe(FLUX, PIER),
    "run": lambda client: client.run(FLUX, PIER),
    "stream": _each_event,
    "realtime": _one_line,
    "upload": lambda client: client.upload(b"x"),
    "platform": lambda client: client.platform.call("GET", "/models/usage"),
}


@pytest.mark.parametrize("name", PAID)
async def test_without_a_key_nothing_is_sent(name: str, fal: Emulator, settings: Settings):
    async with Fal(hosts=settings.hosts) as client:
        with anyio.fail_after(BOUND), pytest.raises(errors.NotAuthorised):
            await PAID[name](client)
    assert fal.calls == []


UPLOADS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "file", "application/octet-stream"),
    ({"name": "a pier.png"}, "a pier.png", "image/png"),
    ({"name": "brücke.mp4"}, "brücke.mp4", "video/mp4"),
    ({"name": "x", "content_type": "audio/wav"}, "x", "audio/wav"),
    ({"name": "x.nothing-known"}, "x.nothing-known", "application/octet-stream"),
    ({"name": "x.png", "lifetime": 60}, "x.png", "image/png"),
]


@pytest.mark.parametrize(("chosen", "name", "kind"), UPLOADS)
@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 9])
async def test_bytes_arrive_as_they_are(
    chosen: dict[str, Any], name: str, kind: str, content: bytes, fal: Emulator, client: Fal
):
    with anyio.fail_after(BOUND):
        url = await client.upload(content, **chosen)
    stored = fal.files[urlsplit(url).path.removeprefix("/cdn")]
    assert (stored.content, stored.name, stored.content_type) == (content, name, kind)


@pytest.mark.parametrize("size", [0, 1, 300_000, LARGE])
async def test_a_file_goes_up_and_comes_down_as_it_was(
    size: int, fal: Emulator, settings: Settings, client: Fal, tmp_path: Path
):
    given, back = tmp_path / "given.bin", tmp_path / "back.bin"
    given.write_bytes(bytes(size))
    back.write_text("an older one")
    with anyio.fail_after(BOUND):
        url = await client.upload(str(given))
        assert await client.download(url, back) == back
    assert back.read_bytes() == given.read_bytes() and files_in(tmp_path) == ["back.bin", "given.bin"]
    assert any("multipart" in call.path for call in fal.calls) == (size >= LARGE)


@pytest.mark.parametrize("path", ["nothing-there.png", ".", "file/below", "\0"])
async def test_what_is_no_file_is_not_readable_and_nothing_is_sent(
    path: str, fal: Emulator, client: Fal, tmp_path: Path
):
    (tmp_path / "file").touch()
    with anyio.fail_after(BOUND), pytest.raises(errors.NotReadable):
        await client.upload(tmp_path / path)
    assert fal.calls == []


@pytest.mark.parametrize("path", ["no-folder/x.png", ".", "file/below", "\0"])
async def test_what_cannot_be_written_says_so_and_leaves_nothing(path: str, client: Fal, tmp_path: Path):
    (tmp_path / "file").touch()
    with anyio.fail_after(BOUND):
        url = await client.upload(b"x")
        with pytest.raises(errors.NotWritable):
            await client.download(url, tmp_path / path)
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("url", ["https://example.com/x.png", "file:///etc/passwd", "", "http://[", "/etc/passwd"])
async def test_only_fals_own_files_are_fetched(url: str, fal: Emulator, client: Fal, tmp_path: Path):
    with anyio.fail_after(BOUND), pytest.raises(ServiceFailed):
        await client.download(url, tmp_path / "x.png")
    assert files_in(tmp_path) == [] and fal.calls == []


async def test_a_file_that_is_gone_leaves_the_one_before_it(settings: Settings, client: Fal, tmp_path: Path):
    before = tmp_path / "x.png"
    before.write_text("before")
    with anyio.fail_after(BOUND), pytest.raises(errors.NotFound):
        await client.download(f"{settings.hosts.cdn}/files/b/none/x.png", before)
    assert before.read_text() == "before" and files_in(tmp_path) == ["x.png"]


PLATFORM: list[tuple[bytes, dict[str, Any] | None]] = [
    *((b'{"a": 1}', {"a": 1}), (b"", {}), (b" \n", {})),
    *((b"[]", None), (b"null", None), (b"<html>", None), (b'"x"', None), (b"\xff", None)),
]


@pytest.mark.parametrize(("content", "answer"), PLATFORM)
async def test_a_platform_operation_is_answered_with_an_object_or_an_error(
    content: bytes, answer: dict[str, Any] | None
):
    reply = httpx.Response(200, content=content)
    async with Fal(KEY, transport=network(lambda request: reply), clock=FreeClock().clock()) as client:
        if answer is None:
            with pytest.raises(ServiceFailed):
                await client.platform.call("GET", "/models/usage")
        else:
            assert await client.platform.call("GET", "/models/usage") == answer


async def test_the_admin_key_goes_where_it_is_asked_for():
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    async with Fal(KEY, admin_key="admin:secret-of-it", transport=network(answer)) as client:
        await client.platform.call("GET", "/account/billing", {"expand": "credits"}, as_admin=True)
        await client.platform.call("GET", "/models/usage")
    assert seen == ["Key admin:secret-of-it", f"Key {KEY}"]
