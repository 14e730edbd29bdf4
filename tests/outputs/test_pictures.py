"""Pictures of others are opened safely: known formats alone, bounded before they are unpacked, one kind of error."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from mcp.client import Client
from PIL import Image

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script, StoredFile
from fal_mcp.outputs import pictures
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
BOUND = 60
Host = Callable[..., Client]
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n"


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, data=tmp_path / "data", **changes)), mode=request.param)

    return client


def made(kind: str, mode: str = "RGB", side: int = 64, **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new(mode, (side, side)).save(target, kind, **options)
    return target.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


WIDE = [(mode, most) for mode in ("I;16", "I", "F") for most in (1, 200, 65_535)] + [("F", 1e6), ("F", 1e-3)]


@pytest.mark.parametrize(("mode", "most"), WIDE)
def test_a_map_of_depths_is_shown_from_dark_to_light(mode: str, most: float):
    """Numbers of more than eight bits are no white picture."""

    def scaled(value: Any) -> Any:
        return value * (most / 255) + 0

    wide = cast(Any, Image.linear_gradient("L").convert("F")).point(scaled)
    picture = wide.convert("I").convert("I;16") if mode == "I;16" else wide.convert(mode)
    target = io.BytesIO()
    picture.save(target, "PNG" if mode == "I;16" else "TIFF")
    with Image.open(io.BytesIO(pictures.shrunk(target.getvalue(), 60_000).content)) as small:
        shades = [cast(int, small.convert("L").getpixel((5, y))) for y in (0, 60, 190, 255)]
    assert shades == sorted(shades) and shades[0] <= 10 and shades[-1] >= 245


@pytest.mark.parametrize("value", [0, 300, 65_535])
def test_a_map_of_one_depth_is_shown_too(value: int):
    target = io.BytesIO()
    Image.new("I;16", (32, 32), value).save(target, "PNG")
    assert pictures.shrunk(target.getvalue(), 60_000)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_a_map_with_numbers_without_end_is_shown_or_left_out(value: float):
    picture = Image.linear_gradient("L").convert("F")
    picture.putpixel((0, 0), value)
    target = io.BytesIO()
    picture.save(target, "TIFF")
    try:
        pictures.shrunk(target.getvalue(), 60_000)
    except pictures.NotAPicture:
        pass


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16"])
def test_every_mode_is_shown_small(mode: str):
    small = pictures.shrunk(made("PNG", mode, 1500), 500_000).content
    with Image.open(io.BytesIO(small)) as picture:
        assert picture.size == (1024, 1024)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_formats_that_models_make_are_read(kind: str):
    content = made(kind)
    assert pictures.size_of(io.BytesIO(content)) == (64, 64) and pictures.shrunk(content, 500_000)


@pytest.mark.parametrize(
    "content",
    [
        EPS,
        b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + b"\xff\xff\0\0" + EPS,
        made("PDF"),
        made("ICO"),
        made("TGA"),
        made("PPM"),
        made("PCX"),
        made("DDS"),
        b"8BPS\x00\x01" + bytes(40),
        b"\xd7\xcd\xc6\x9a" + bytes(40),
        b"SIMPLE  =                    T" + bytes(80),
        b"GRIB" + bytes(40),
        b"BUFR" + bytes(40),
        b"\x89HDF\r\n\x1a\n" + bytes(40),
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"<svg/>",
    ],
)
def test_no_other_reader_is_started(content: bytes):
    with pytest.raises(pictures.NotAPicture):
        pictures.shrunk(content, 500_000)
    with pytest.raises(pictures.NotAPicture):
        pictures.size_of(io.BytesIO(content))


@pytest.mark.parametrize("size", [(10_911, 10_911), (20_000, 20_000), (2**31 - 1, 1), (1, 2**31 - 1), (65_535, 65_535)])
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(size: tuple[int, int]):
    with pytest.raises(pictures.NotAPicture):
        pictures.shrunk(bomb(*size), 500_000)


@within(max_examples=300, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]).map(made),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
    st.integers(0, 600),
)
def test_a_broken_picture_is_a_picture_or_none(content: bytes, changes: list[tuple[int, int]], length: int):
    broken = bytearray(content)
    for place, value in changes:
        broken[place % len(broken)] = value
    for candidate in (bytes(broken), bytes(broken[:length])):
        try:
            assert len(pictures.shrunk(candidate, 500_000).content) <= 500_000
        except pictures.NotAPicture:
            pass


async def test_what_is_said_to_be_a_picture_starts_no_program(fal: Emulator, host: Host, tmp_path: Path):
    """A `gs` on the path would be Ghostscript's; it writes down that it was started."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "gs"
    script.write_text(f"#!/bin/sh\necho started >> {tmp_path}/started\n")
    script.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}/bin{os.pathsep}{before}"
    try:
        with anyio.fail_after(BOUND):
            async with host(previews=True) as client:
                first = await client.call_tool(TOOL, {"prompt": "first"})
                base = first.structured_content["files"][0]["url"].split("/files/")[0]
                fal.files["/files/b/1/a.png"] = StoredFile("a.png", "image/png", lambda: EPS)
                output = {"images": [{"url": f"{base}/files/b/1/a.png", "content_type": "image/png"}], "seed": 7}
                fal.script(ENDPOINT, Script(output=output))
                ran = await client.call_tool(TOOL, {"prompt": "x"})
    finally:
        os.environ["PATH"] = before
    assert not ran.is_error and not any(isinstance(block, types.ImageContent) for block in ran.content)
    assert not (tmp_path / "started").exists()


async def test_a_picture_too_large_to_be_shown_is_told_and_linked(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            first = await client.call_tool(TOOL, {"prompt": "first"})
            base = first.structured_content["files"][0]["url"].split("/files/")[0]
            fal.files["/files/b/1/a.png"] = StoredFile("a.png", "image/png", lambda: bomb(10_911, 10_911))
            fal.script(ENDPOINT, Script(output={"images": [{"url": f"{base}/files/b/1/a.png"}]}))
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    assert not ran.is_error and not any(isinstance(block, types.ImageContent) for block in ran.content)
    assert "File 1 unpacks to too much" in ran.structured_content["notes"][0]
