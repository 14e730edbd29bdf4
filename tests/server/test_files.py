"""Files in, over MCP: a path goes in, a URL reaches the model, and the bytes are the same. Both protocol eras."""

import base64
import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from PIL import Image

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import FileArgument
from fal_mcp.catalog.source import Folder
from fal_mcp.client.file_stream import Upload
from fal_mcp.client.storage import LARGE, PART
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, serve
from fal_mcp.errors import FalError, NotReadable
from fal_mcp.machine.readable import Readable
from fal_mcp.openapi.example import example
from fal_mcp.runs import file_checks, input_files
from fal_mcp.server import app
from fal_mcp.ways_to_fal import fal_of
from tests.conftest import KEY, kept

KONTEXT, TOOL = "fal-ai/flux-pro/kontext", "fal-ai_flux-pro_kontext"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "models"
BOUND = 60
Host = Callable[..., Client]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    Image.new("RGB", (64, 64), "red").save(made / "a.png")
    Image.new("RGB", (64, 64), "blue").save(made / "b.jpg")
    (made / "notes.txt").write_text("no picture at all, only words\n")
    (made / "empty.png").touch()
    return made


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, folder: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"data": tmp_path / "data", "allow_dirs": (folder,), **changes})
        return Client(app.build(chosen), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def stored(fal: Emulator, url: str) -> bytes:
    return fal.files[urlsplit(url).path.removeprefix("/cdn")].content


def uploads(fal: Emulator) -> int:
    return sum("/storage/upload/initiate" in call.path for call in fal.calls)


async def test_a_path_reaches_the_model_as_a_url_with_the_same_bytes(fal: Emulator, host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, {"prompt": str(folder / "a.png"), "image_url": str(folder / "a.png")})
    assert not result.is_error, text(result)
    (job,) = fal.jobs.values()
    assert job.input["prompt"] == str(folder / "a.png"), "free text is never touched"
    assert stored(fal, job.input["image_url"]) == (folder / "a.png").read_bytes()
    signed = [call for call in fal.calls if call.host_role == "cdn" and call.method == "PUT"]
    assert signed and all("authorization" not in call.headers for call in signed)


async def test_one_file_in_ten_calls_is_uploaded_once(fal: Emulator, host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host() as client:
            for number in range(10):
                await client.call_tool(TOOL, {"prompt": f"{number}", "image_url": f"file://{folder}/a.png"})
    assert uploads(fal) == 1 and len(fal.jobs) == 10


async def test_a_file_of_an_earlier_job_and_an_address_are_passed_on(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await client.call_tool("fal-ai_flux_dev", {"prompt": "a pier"})
            job_id = first.structured_content["job_id"]
            second = await client.call_tool(TOOL, {"prompt": "at night", "image_url": f"fal://jobs/{job_id}/files/1"})
            third = await client.call_tool(TOOL, {"prompt": "x", "image_url": "https://e.x/a.png"})
            wrong = await client.call_tool(TOOL, {"prompt": "x", "image_url": f"fal://jobs/{job_id}/files/9"})
    made, edited, passed = fal.jobs.values()
    assert not second.is_error and not third.is_error and uploads(fal) == 0
    assert edited.input["image_url"] == made.output["images"][0]["url"]
    assert passed.input["image_url"] == "https://e.x/a.png"
    assert wrong.is_error and "that job has 1" in text(wrong)


@pytest.mark.parametrize(
    ("name", "says"),
    [("empty.png", "is empty"), ("no.png", "no file")],
)
async def test_a_file_is_checked_before_it_costs_anything(
    fal: Emulator, host: Host, folder: Path, name: str, says: str
):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, {"prompt": "x", "image_url": str(folder / name)})
    assert result.is_error and says in text(result) and "$.image_url" in text(result)
    assert fal.jobs == {} and uploads(fal) == 0


async def test_a_kind_that_only_the_arguments_name_suggests_is_doubted_and_goes_up(
    fal: Emulator, host: Host, folder: Path
):
    """fal's own examples give a .gif as `video_url`: a name is no proof of what a model takes."""
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    with anyio.fail_after(BOUND):
        async with host() as client:
            arguments = {"prompt": "x", "image_url": str(folder / "notes.txt")}
            result = await client.call_tool(TOOL, arguments, progress_callback=hear)
    assert not result.is_error and uploads(fal) == 1
    assert any("takes a file of the kind 'image'" in line for line in heard)


KINDS = [("image", "notes.txt"), ("video", "a.png"), ("audio", "a.png"), ("image", "a.ts")]


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_kind_that_fal_marks_is_held_to_and_a_guessed_one_is_not(folder: Path, kind: str, name: str):
    (folder / "a.ts").write_bytes(b"G" * 400)
    with Readable([folder]).opened(str(folder / name)) as file:
        guessed, marked = FileArgument(("x",), kind), FileArgument(("x",), kind, accepts=file_checks.KINDS[kind])
        assert file_checks.fault(file, guessed, {}) is None and file_checks.doubt(file, guessed)
        assert file_checks.fault(file, marked, {}) and file_checks.doubt(file, marked) is None


async def test_a_check_sends_nothing_and_what_was_checked_is_what_goes_up(
    fal: Emulator, settings: Settings, folder: Path, tmp_path: Path
):
    """So that money can be asked about in between; a file that was swapped meanwhile does not go up."""
    server = app.build(replace(settings, data=tmp_path / "data", allow_dirs=(folder,)))
    with anyio.fail_after(BOUND):
        async with server.shared as shared:
            endpoint, call = shared.tools.catalog.get(KONTEXT), shared.unheard()
            call = replace(call, readable=shared.readable)
            assert endpoint is not None
            arguments = {"prompt": "x", "image_url": str(folder / "a.png")}
            checked = await input_files.check(endpoint, arguments, call)
            assert uploads(fal) == 0 and len(checked.files) == 1
            ready = await input_files.put_up(endpoint, arguments, call, checked)
            assert uploads(fal) == 1 and ready["image_url"].startswith("http")
            (folder / "b.jpg").replace(folder / "a.png")
            with pytest.raises(NotReadable, match="changed since"):
                await input_files.put_up(endpoint, arguments, call, checked)
    assert uploads(fal) == 1


async def test_a_picture_is_held_against_the_models_bounds(fal: Emulator, host: Host, folder: Path):
    """kling's document: at least 300 by 300 pixels."""
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(
                "fal-ai_kling-video_v2_5-turbo_standard_image-to-video",
                {"prompt": "x", "image_url": str(folder / "a.png")},
            )
    assert result.is_error and "64x64" in text(result) and "at least 300" in text(result)


async def test_what_may_not_be_read_is_asked_about_once_where_a_person_can_be_asked(
    fal: Emulator, host: Host, folder: Path
):
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"allow": True})

    arguments = {"prompt": "x", "image_url": str(folder / "a.png")}
    with anyio.fail_after(BOUND):
        async with host(answer, allow_dirs=(), may_ask_for_folders=True) as client:
            first = await client.call_tool(TOOL, arguments)
            await client.call_tool(TOOL, {**arguments, "prompt": "y"})
        async with host(allow_dirs=(), may_ask_for_folders=True) as client:
            refused = await client.call_tool(TOOL, arguments)
        async with host(answer, allow_dirs=()) as client:
            silent = await client.call_tool(TOOL, arguments)
    assert not first.is_error and len(asked) == 1 and str(folder) in asked[0]
    assert refused.is_error and silent.is_error and "--allow-dir" in text(refused)


async def test_upload_file_takes_a_path_bytes_or_text(fal: Emulator, host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host() as client:
            path = await client.call_tool("upload_file", {"path": str(folder / "b.jpg")})
            words = await client.call_tool("upload_file", {"text": "hello", "name": "a.txt", "lifetime": "1d"})
            both = await client.call_tool("upload_file", {"text": "hello", "base64": "AA=="})
            inside = await client.call_tool("upload_file", {"url": "https://169.254.169.254/latest"})
    assert path.structured_content["content_type"] == "image/jpeg"
    assert stored(fal, path.structured_content["url"]) == (folder / "b.jpg").read_bytes()
    assert stored(fal, words.structured_content["url"]) == b"hello"
    initiated = [call for call in fal.calls if "initiate" in call.path][-1]
    assert json.loads(initiated.headers["x-fal-object-lifecycle"]) == {"expiration_duration_seconds": 86_400}
    assert both.is_error and inside.is_error and "not an address" in text(inside)


async def test_a_ticket_is_an_address_that_curl_can_put_to(fal: Emulator, host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host() as client:
            ticket = (await client.call_tool("create_upload_ticket", {"name": "a.png"})).structured_content
        await anyio.run_process(["sh", "-c", ticket["command"]], cwd=folder, stderr=subprocess.DEVNULL)
    assert stored(fal, ticket["url"]) == (folder / "a.png").read_bytes()


async def test_who_may_see_a_file_and_what_becomes_of_new_ones(fal: Emulator, host: Host):
    """Fact F4.8: all five operations."""
    with anyio.fail_after(BOUND):
        async with host() as client:
            url = (await client.call_tool("upload_file", {"text": "hello"})).structured_content["url"]
            before = await client.call_tool("file_access", {"url": url})
            rules = [{"user": "alice", "decision": "allow"}]
            after = await client.call_tool("file_access", {"url": url, "default": "hide", "rules": rules})
            signed = await client.call_tool("sign_file_url", {"url": url, "seconds": 60})
            unknown = await client.call_tool("file_access", {"url": "https://v3.fal.media/files/b/0/none.png"})
            await client.call_tool("storage_settings", {"lifetime": "7d"})
            settings = await client.call_tool("storage_settings", {"default": "forbid"})
    assert before.structured_content == {"default": "allow", "rules": []}
    assert after.structured_content == {"default": "hide", "rules": rules}
    assert signed.structured_content["url"] == f"{url}?identity=emulated-60"
    assert unknown.is_error
    assert settings.structured_content["expiration_duration_seconds"] == 604_800
    assert settings.structured_content["initial_acl"]["default"] == "forbid"


async def test_an_address_that_opens_a_restricted_file_is_no_reading(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(read_only=True) as client:
            result = await client.call_tool("sign_file_url", {"url": "https://v3.fal.media/files/b/0/a.png"})
    assert result.is_error and not any("sign" in call.path for call in fal.calls)


MALFORMED = [
    "file://[x",
    "https://[x/",
    "https://example.com:99999/a",
    "https://[::1",
    "file://localhost:x/y",
    "/a\0b.png",
]


@pytest.mark.parametrize("value", MALFORMED)
async def test_a_malformed_address_is_refused_at_every_door(fal: Emulator, host: Host, tmp_path: Path, value: str):
    uses: list[tuple[str, dict[str, Any]]] = [
        ("upload_file", {"path": value}),
        ("upload_file", {"url": value}),
        ("download_file", {"file": value}),
        (TOOL, {"prompt": "x", "image_url": value}),
    ]
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            for name, arguments in uses:
                result = await client.call_tool(name, arguments)
                assert "inside this server" not in text(result) and "A job may be running" not in text(result)
                assert result.is_error or name == TOOL
    assert uploads(fal) == 0


async def nobody(sent: int, size: int) -> None:
    return


def write_over(file: Path, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.write(content)


@pytest.mark.parametrize("size", [64, LARGE])
async def test_a_file_that_changes_while_it_is_sent_is_not_run_with_nor_taken_for_what_it_was(
    fal: Emulator, host: Host, folder: Path, size: int
):
    """A program still writes to it; and what was there before comes back later."""
    old, new = (b"\0\0\0\x18ftypmp42" + letter * size for letter in (b"a", b"b"))
    film = folder / "film.mp4"
    await anyio.Path(film).write_bytes(old)
    results = list[types.CallToolResult]()
    with anyio.fail_after(BOUND):
        async with host() as client, anyio.create_task_group() as tasks:

            async def run() -> None:
                results.append(await client.call_tool("fal-ai_birefnet_v2_video", {"video_url": str(film)}))
                await anyio.Path(film).write_bytes(old)
                results.append(await client.call_tool("fal-ai_birefnet_v2_video", {"video_url": str(film)}))

            tasks.start_soon(run)
            await fal.until(lambda: uploads(fal) > 0)
            # At once, before fal's answer is read.
            write_over(film, new)
    assert results[0].is_error and "changed while it was sent" in text(results[0])
    (job,) = fal.jobs.values()
    assert stored(fal, job.input["video_url"]) == old


async def test_an_upload_in_parts_that_was_broken_off_sends_only_what_is_missing(fal: Emulator, settings: Settings):
    content = bytes(range(256)) * (3 * PART // 256) + b"the end"
    upload = Upload(io.BytesIO(content), len(content), "big.bin", "application/octet-stream")
    async with fal_of(settings) as client:
        parts = await client.storage.begin_parts(upload)

        async def stop(now: Any) -> None:
            if len(now.etags) == 2:
                raise FalError("killed")

        async def go_on(now: Any) -> None:
            return

        with pytest.raises((FalError, ExceptionGroup)):
            await client.storage.put_parts(upload, parts, nobody, stop)
        done = set(parts.etags)
        before = len(fal.calls)
        url = await client.storage.put_parts(upload, parts, nobody, go_on)
    sent = {call.path.rsplit("/", 1)[-1] for call in fal.calls[before:] if call.method == "PUT"}
    assert sent == {str(number) for number in range(1, 5) if number not in done} and len(done) >= 2
    assert hashlib.sha256(stored(fal, url)).digest() == hashlib.sha256(content).digest()


MEDIA = {
    "image": "a.png",
    "video": "clip.mp4",
    "audio": "voice.wav",
    "archive": "set.zip",
    "3d": "o.glb",
    "file": "a.png",
}


async def test_every_file_argument_of_the_corpus_takes_a_path(tmp_path: Path, folder: Path):
    """URLs in exactly the file positions, bytes identical."""
    if not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not here.")
    made = await anyio.to_thread.run_sync(_media, folder)
    catalog = Catalog(Folder(CORPUS))
    endpoints = [endpoint for endpoint in catalog.endpoints() if endpoint.files]
    fal = Emulator(models_dirs=[CORPUS], keys={KEY})
    refused: list[str] = []
    checked = 0
    async with kept(serve(fal)) as url:
        settings = Settings(key=KEY, hosts=Hosts.at(url), models=CORPUS, allow_dirs=(folder,), data=tmp_path / "data")
        async with Client(app.build(settings)) as client:
            for endpoint in endpoints:
                arguments = example(endpoint.input_schema)
                given = input_files.find(endpoint, arguments)
                for one in given:
                    _set(arguments, one.path, str(made[one.argument.kind]))
                if not given:
                    continue
                before = set(fal.jobs)
                result = await client.call_tool(
                    "run_model", {"endpoint_id": endpoint.endpoint_id, "arguments": arguments}
                )
                (job,) = [fal.jobs[one] for one in set(fal.jobs) - before] or [None]
                if job is None:
                    refused.append(f"{endpoint.endpoint_id}: {text(result)[:200]}")
                    continue
                for one in given:
                    assert stored(fal, _get(job.input, one.path)) == made[one.argument.kind].read_bytes()
                    _set(job.input, one.path, str(made[one.argument.kind]))
                assert job.input == arguments
                checked += 1
    assert refused == [] and checked > 300


def _media(folder: Path) -> dict[str, Path]:
    from fal_mcp.emulator import meshes, mp4, sounds

    Image.new("RGB", (1024, 1024), "green").save(folder / "a.png")
    (folder / "clip.mp4").write_bytes(mp4.movie("x", 1))
    (folder / "voice.wav").write_bytes(sounds.tune("one two", 1))
    (folder / "o.glb").write_bytes(meshes.gem(1))
    (folder / "set.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    return {kind: folder / name for kind, name in MEDIA.items()}


def _get(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _set(value: Any, path: tuple[str | int, ...], to: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = to


ADDRESSES = ("", "  ", "https://", "http:///a.png", "https://[::1/a.png", "https://x:99999/a")
INLINE = ("data:", "data:image/png;base64,", "data:image/png;base64,iVBO\u2026", "data:image/png;base64,iVBORw0KGg...")


@pytest.mark.parametrize("address", [*ADDRESSES, *INLINE])
async def test_an_address_that_is_none_is_refused_before_anything_is_paid(fal: Emulator, host: Host, address: str):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, {"prompt": "x", "image_url": address})
    assert result.is_error and "$.image_url" in text(result) and not fal.jobs
    assert "image_url" in json.dumps(result.structured_content)


_FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(20_000)
_PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(20_000)


def _uri(kind: str, content: bytes, line: int = 0) -> str:
    body = base64.b64encode(content).decode()
    lines = [body[start : start + line] for start in range(0, len(body), line)] if line else [body]
    return f"data:{kind};base64,{chr(10).join(lines)}"


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        (_uri("video/mp4", _FILM), "video/mp4"),
        (_uri("image/png", _FILM), "video/mp4"),
        (_uri("", _FILM, 77), "video/mp4"),
        (_uri("text/html", b"<p>"), "text/html"),
        ("data:image/svg+xml,<svg/>", None),
        (_uri("image/png", b"\x00\x01"), None),
        (_uri("text/plain", _PICTURE), None),
        (_uri("application/octet-stream", _PICTURE, 77), None),
        (_uri("", b"\x00\x01"), None),
    ],
)
def test_a_file_inside_an_argument_is_looked_at_like_one_of_the_disk(uri: str, kind: str | None):
    """By its bytes, or by what it says of itself where they say nothing. What only a name suggests, fal tells."""
    shown, named = FileArgument(("image_url",), "image", ("image/",)), FileArgument(("image_url",), "image")
    assert file_checks.address_fault(uri, named) is None
    said = file_checks.address_fault(uri, shown)
    assert said is None if kind is None else said and kind in said and "'image'" in said
