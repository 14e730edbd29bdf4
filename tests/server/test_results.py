"""What comes out: pictures the model sees, files on disk, and what is never fetched or shown."""

import base64
import io
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client import Client
from PIL import Image

from fal_mcp.client.http import Http
from fal_mcp.client.media import MediaFiles
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, StoredFile
from fal_mcp.errors import NotWritable
from fal_mcp.machine.output_folder import OutputFolder, slug
from fal_mcp.outputs.film_and_sound import film_seconds
from fal_mcp.outputs.pictures import NotAPicture, TooLarge, shrunk
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "A red bicycle / at night!", "seed": 7}
BOUND = 30
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, **changes)), mode=request.param)

    return client


def pictures(result: types.CallToolResult) -> list[Image.Image]:
    blocks = [block for block in result.content if isinstance(block, types.ImageContent)]
    return [Image.open(io.BytesIO(base64.b64decode(block.data))) for block in blocks]


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def test_the_model_sees_what_it_made_within_a_budget(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool(TOOL, {**ARGUMENTS, "num_images": 4, "image_size": "square_hd"})
            film = await client.call_tool("fal-ai_veo3", {"prompt": "x", "duration": "4s"})
    seen = pictures(result)
    assert len(seen) == 4 and all(max(picture.size) <= 1024 for picture in seen)
    assert len(result.model_dump_json()) <= 1024 * 1024
    assert {block.type for block in film.content} <= {"text", "image", "resource_link"}, "video is never inlined"
    assert "is 3.0 s long" in text(film)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_shows_no_pictures_beside_data_gets_the_pictures_and_the_text(
    settings: Settings, mode: Any
):
    """What its model is not handed as data stands in the text, and programs still have the data."""
    server = app.build(replace(settings, previews=True))
    codex = types.Implementation(name="codex-mcp-client", version="0.171.0")
    with anyio.fail_after(BOUND):
        async with Client(server, mode=mode, client_info=codex) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
            read = await client.call_tool("get_model", {"endpoint_id": ENDPOINT})
    assert len(pictures(result)) == 1 and result.structured_content is None
    data = (result.meta or {})["fal/data"]
    assert data["status"] == "completed"
    assert all(each in text(result) for each in (data["job_id"], data["files"][0]["url"], "seed: 7"))
    assert read.structured_content and "fal/data" not in (read.meta or {}), (
        "without a picture there is nothing that data would hide"
    )


async def test_a_sound_is_shown_as_its_waveform(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool("fal-ai_elevenlabs_tts_eleven-v3", {"text": "the ferry leaves at seven"})
    (waveform,) = pictures(result)
    assert waveform.size == (640, 120) and "s long and its waveform is shown" in text(result)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="a frame of a film needs ffmpeg")
async def test_a_film_is_shown_by_its_first_frame(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool("fal-ai_veo3", {"prompt": "x", "duration": "4s"})
    (frame,) = pictures(result)
    assert frame.size == (480, 272) and "its first frame is shown" in text(result)


@pytest.mark.parametrize(
    "content", [b"", b"#EXTM3U\nfile:///etc/passwd", b"\x00\x00\x00\x18ftypmp42" + bytes(500), b"RIFF\0\0\0\0WAVEfmt "]
)
async def test_what_is_no_film_or_sound_is_linked_and_not_shown(fal: Emulator, host: Host, content: bytes):
    files = {"/files/b/1/a.mp4": "video/mp4", "/files/b/1/a.wav": "audio/wav"}
    for path, kind in files.items():
        fal.files[path] = StoredFile("a", kind, lambda: content)
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            first = await client.call_tool(TOOL, ARGUMENTS)
            base = first.structured_content["files"][0]["url"].split("/files/")[0]
            fal.script(
                ENDPOINT, Script(output={"video": {"url": base + "/files/b/1/a.mp4"}, "audio_url": base + [*files][1]})
            )
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and pictures(result) == [] and len(result.structured_content["files"]) == 2


async def test_a_decoder_that_fails_as_nobody_expects_costs_no_result(fal: Emulator, host: Host):
    """Pillow raises NotImplementedError for this one, and other things for others."""
    texture = b"DDS " + struct.pack("<I", 124) + bytes(120)
    uri = "data:image/vnd-ms.dds;base64," + base64.b64encode(texture).decode()
    fal.script(ENDPOINT, Script(output={"images": [{"url": uri, "content_type": "image/png"}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and pictures(result) == [] and "seed: 7" in text(result)


async def test_an_address_with_something_invisible_in_it_is_no_file(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(output={"images": [{"url": "https://v3.fal.media/a\u202egnp.exe"}]}))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and result.structured_content["files"] == [] and "\u202e" not in result.model_dump_json()


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_the_length_of_a_film_is_told_or_not_and_never_a_crash(before: bytes, after: bytes):
    found = film_seconds(before + b"mvhd" + after)
    assert found is None or 0 <= found <= 86_400


async def test_previews_can_be_off(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=False) as client:
            assert pictures(await client.call_tool(TOOL, ARGUMENTS)) == []


@pytest.mark.parametrize(
    "url", ["https://evil.example/a.png", "http://169.254.169.254/a.png", "https://fal.media.evil/a"]
)
async def test_what_is_not_on_fals_hosts_is_linked_and_never_fetched(
    fal: Emulator, host: Host, tmp_path: Path, url: str
):
    fal.script(ENDPOINT, Script(output={"images": [{"url": url, "content_type": "image/png"}]}))
    with anyio.fail_after(BOUND):
        async with host(previews=True, output_dir=tmp_path / "out") as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and pictures(result) == [] and url in text(result)
    assert not (tmp_path / "out").exists()


async def test_a_bad_picture_is_left_out_and_the_result_stays(fal: Emulator, host: Host):
    bad = "data:image/png;base64," + base64.b64encode(b"\x89PNG no picture").decode()
    fal.script(ENDPOINT, Script(output={"images": [{"url": bad, "content_type": "image/png"}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool(TOOL, ARGUMENTS)
    assert not result.is_error and pictures(result) == [] and "seed: 7" in text(result)


async def test_files_are_saved_under_safe_names_with_a_note_and_never_over_another(
    fal: Emulator, host: Host, tmp_path: Path
):
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            first = await client.call_tool(TOOL, ARGUMENTS)
            await client.call_tool(TOOL, {**ARGUMENTS, "image_size": "square"})
            below = await client.call_tool(
                "run_model", {"endpoint_id": ENDPOINT, "arguments": {"prompt": "y"}, "save_to": "trip/day 1"}
            )
            outside = await client.call_tool(
                "run_model", {"endpoint_id": ENDPOINT, "arguments": {"prompt": "z"}, "save_to": "../elsewhere"}
            )
    path = Path(first.structured_content["files"][0]["path"])
    assert path.name == "flux-dev_a-red-bicycle-at-night_7-1.png" and str(path) in text(first)
    assert (path.parent / "flux-dev_a-red-bicycle-at-night_7-1-2.png").is_file()
    with Image.open(path) as picture:
        assert picture.size == (1024, 768)
    note = json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))
    assert note["endpoint_id"] == ENDPOINT and note["arguments"] == ARGUMENTS and note["seed"] == 7
    assert Path(below.structured_content["files"][0]["path"]).parent == tmp_path / "out" / "trip" / "day 1"
    assert outside.is_error and "is not inside" in text(outside) and not (tmp_path / "elsewhere").exists()
    assert list((tmp_path / "out").glob(".*.part")) == []


@pytest.mark.parametrize(
    "place", ["~/pictures", "a/~root", "CON", "trip/nul.txt", "../out2", "/tmp", "a\0b", "x" * 300]
)
async def test_a_place_that_cannot_be_is_told_before_anything_is_paid(
    fal: Emulator, host: Host, tmp_path: Path, place: str
):
    given = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "y"}, "save_to": place}
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            result = await client.call_tool("run_model", given)
    assert result.is_error and not fal.jobs
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_twelve_megapixel_picture_is_shown_small():
    target = io.BytesIO()
    Image.effect_noise((4000, 3000), 60).convert("RGB").save(target, "JPEG", quality=85)
    small = shrunk(target.getvalue(), 500_000).content
    with Image.open(io.BytesIO(small)) as picture:
        assert max(picture.size) <= 1024


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(50), b"<svg/>"])
def test_what_is_no_picture_gives_no_preview(content: bytes):
    with pytest.raises(NotAPicture):
        shrunk(content, 500_000)


def test_a_picture_that_unpacks_to_gigapixels_is_refused():
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with pytest.raises(TooLarge):
        shrunk(bomb.getvalue(), 500_000)


@pytest.mark.parametrize(
    ("url", "is_fals"),
    [
        ("https://v3.fal.media/files/b/1/x.png", True),
        ("https://v3b.fal.media/files/b/1/x.png", True),
        ("https://fal.media/files/x.png", True),
        ("http://v3.fal.media/files/x.png", False),
        ("https://fal.media.evil.example/x.png", False),
        ("https://evilfal.media/x.png", False),
        ("https://user@v3.fal.media/x.png", False),
        ("https://v3.fal.media:8443/x.png", False),
        ("https://127.0.0.1/x.png", False),
        ("file:///etc/passwd", False),
    ],
)
def test_only_fals_media_hosts_are_fals(url: str, is_fals: bool):
    assert MediaFiles(Http(Hosts(), None), Hosts()).is_fals(url) is is_fals


@pytest.mark.parametrize(
    ("text_", "name"), [("../../etc/passwd", "etc-passwd"), ("CON", "con-"), ("a\x00\u202eb", "a-b"), ("???", "")]
)
def test_names_are_safe_on_every_system(text_: str, name: str):
    assert slug(text_) == name


def test_the_output_folder_is_never_left(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    for below in ("..", "../x", "link/x", "/etc", "a/../../x"):
        with pytest.raises(NotWritable):
            OutputFolder(tmp_path / "out").place(below)


async def test_asked_for_again_a_result_is_not_saved_again(fal: Emulator, host: Host, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out", data=tmp_path / "data") as client:
            ran = await client.call_tool(TOOL, ARGUMENTS)
            asked = {"job_id": ran.structured_content["job_id"]}
            looked = await client.call_tool("get_job", asked)
            waited = await client.call_tool("wait_for_job", asked)
            direct = await client.call_tool(
                "run_model", {"endpoint_id": ENDPOINT, "arguments": {"prompt": "y"}, "mode": "sync"}
            )
    path = ran.structured_content["files"][0]["path"]
    assert [one.structured_content["files"][0]["path"] for one in (looked, waited)] == [path, path]
    assert len(list_pictures(tmp_path / "out")) == 2, "one of each run"
    assert Path(direct.structured_content["files"][0]["path"]).parent == tmp_path / "out"


def list_pictures(folder: Path) -> list[Path]:
    return list(folder.glob("*.png"))
