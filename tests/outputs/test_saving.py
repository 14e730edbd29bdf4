"""Saving what came out: never over, out of or under what it should not, whatever the disk can and cannot do."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script, StoredFile
from fal_mcp.errors import NotWritable
from fal_mcp.machine import program_files
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.outputs import endings
from fal_mcp.outputs.outcome import Media
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
BOUND = 60
Host = Callable[..., Client]
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has neither modes nor handles of folders")


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, data=tmp_path / "data", **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def put(folder: OutputFolder, stem: str = "a", ending: str = ".png", below: str | None = None) -> Path:
    stream, unfinished = folder.begin(folder.place(below))
    with stream:
        stream.write(b"content")
    return folder.finish(unfinished, stem, ending)


def refuses(number: int) -> Callable[..., None]:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return link


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.EACCES])
def test_where_there_are_no_hard_links_files_are_saved_and_none_is_replaced(tmp_path: Path, number: int):
    folder = OutputFolder(tmp_path, link=refuses(number))
    (tmp_path / "a.png").write_bytes(b"mine")
    assert [put(folder).name for _ in range(3)] == ["a-2.png", "a-3.png", "a-4.png"]
    assert (tmp_path / "a.png").read_bytes() == b"mine" and (tmp_path / "a-2.png").read_bytes() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.png", "a-3.png", "a-4.png", "a.png"]


@posix
def test_what_is_written_is_its_owners_alone(tmp_path: Path):
    before = os.umask(0)
    try:
        path = put(OutputFolder(tmp_path / "new" / "out"), below="a/b")
        folder = OutputFolder(tmp_path / "new" / "out")
        folder.note(path, "{}")
    finally:
        os.umask(before)
    modes = {part: stat.S_IMODE(part.stat().st_mode) for part in (path, path.with_name("a.png.json"))}
    assert set(modes.values()) == {0o600}
    made = [tmp_path / "new", tmp_path / "new" / "out", tmp_path / "new" / "out" / "a", path.parent]
    assert {stat.S_IMODE(part.stat().st_mode) for part in made} == {0o700}


@pytest.mark.parametrize(
    "below",
    [
        *("..", "../x", "a/../../x", "/etc", "a\x00b", "\ud800", "x" * 5000, "a/" * 3000),
        *(
            ".git",
            ".git/hooks",
            "a/.vscode",
            ".ssh",
            "..x/../.claude",
            "a/node_modules/b",
            "bin",
            "Library/LaunchAgents",
        ),
    ],
)
def test_no_place_is_outside_or_where_programs_look(tmp_path: Path, below: str):
    folder = OutputFolder(tmp_path / "out")
    with pytest.raises(NotWritable):
        put(folder, below=below)
    assert not (tmp_path / "x").exists()


@posix
def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path):
    """Between the check of a place and its use, something on this machine puts a link there."""
    (tmp_path / "elsewhere").mkdir()
    folder = OutputFolder(tmp_path / "out")
    place = folder.place("a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotWritable):
        folder.begin(place)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@posix
def test_a_folder_that_became_a_link_while_it_was_written_to_is_not_followed(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    folder = OutputFolder(tmp_path / "out")
    stream, unfinished = folder.begin(folder.place("a"))
    stream.close()
    (tmp_path / "out" / "a").rename(tmp_path / "out" / "b")
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotWritable):
        folder.finish(unfinished, "a", ".png")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", sorted(program_files.NAMES))
def test_no_file_gets_a_name_that_programs_look_for(tmp_path: Path, name: str):
    stem, dot, ending = name.rpartition(".")
    path = put(OutputFolder(tmp_path), stem or name, f"{dot}{ending}" if stem else "")
    assert path.name.casefold() != name and not program_files.is_file(path.name)


@given(st.text(max_size=20), st.text(max_size=10))
def test_no_name_is_hidden_or_runs(stem: str, ending: str):
    assert not program_files.is_file(program_files.harmless(stem.replace("/", ""), f".{ending.replace('/', '')}"))


PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
BY_BYTES = [
    (PNG, "x.html", "text/html", ".png"),
    (PNG, "x.exe", "application/x-msdownload", ".png"),
    (b"<!DOCTYPE html><html>", "x.png", "image/png", ".txt"),
    (b"\xef\xbb\xbf  <!-- a --><!-- b --><HTML>", "x.html", "text/html", ".txt"),
    (b"<script>alert(1)</script>", "x.svg", "image/svg+xml", ".txt"),
    (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "x.png", "image/png", ".svg"),
    (b"MZ" + bytes(80), "x.png", "image/png", ".bin"),
    (b"\x7fELF" + bytes(80), "x.glb", "model/gltf-binary", ".bin"),
    (b"\xcf\xfa\xed\xfe" + bytes(80), "x.command", None, ".bin"),
    (b"#!/bin/sh\nrm -rf ~", "x.command", None, ".txt"),
    (b"#!/bin/sh\nrm -rf ~", "x.png", "image/png", ".txt"),
    (b"import os\n", "x.py", "text/x-python", ".txt"),
    (b"@echo off\r\n", "x.bat", None, ".txt"),
    (b"[Desktop Entry]\nExec=x", "x.desktop", None, ".json"),
    (b'{"a": 1}', "x.json", "application/json", ".json"),
    (b"1\n00:00:00,000 --> 00:00:01,000\nhi\n", "x.srt", "text/plain", ".srt"),
    (b"a,b\n1,2\n", "x.csv", "text/csv", ".csv"),
    (b"v 0 0 0\nf 1 1 1\n", "mesh.obj", None, ".obj"),
    (b"glTF\x02\x00\x00\x00" + bytes(40), "x.glb", "model/gltf-binary", ".glb"),
    (bytes(range(256)), "x.safetensors", None, ".safetensors"),
    (bytes(range(256)), "x.sh", "application/x-sh", ".bin"),
    (b"", "x.exe", None, ".bin"),
    (b"", "x.png", "image/png", ".png"),
    (b"just words \xc3\xa4", "x", None, ".txt"),
]


@pytest.mark.parametrize(("head", "name", "told", "ending"), BY_BYTES)
def test_the_ending_follows_the_bytes(head: bytes, name: str, told: str | None, ending: str):
    assert endings.of(head, Media(f"https://v3.fal.media/{name}?x=1", "file", told)) == ending


@within(max_examples=300)
@given(
    st.binary(max_size=60), st.sampled_from(["exe", "html", "py", "command", "sh", "png", "svg"]), st.text(max_size=9)
)
def test_no_bytes_get_an_ending_that_runs(head: bytes, name: str, told: str):
    ending = endings.of(head, Media(f"https://v3.fal.media/a.{name}", "file", told))
    assert ending not in program_files.RUN and ending.startswith(".")


def test_a_prologue_of_any_length_is_read_at_once():
    assert not endings.is_page(b"<!---->" * 1100 + b"<x") and endings.is_page(b"<!---->" * 1000 + b"<html")


async def test_a_drawing_that_runs_something_is_saved_as_text(fal: Emulator, host: Host, tmp_path: Path):
    quiet = "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>"
    active = ["<script>x</script>", "<a onclick='x'/>", "<a href='javascript:x'/>", "<foreignObject/>"]
    urls = [quiet, *(f"data:image/svg+xml;utf8,<svg>{'<g/>' * 4000}{part}</svg>" for part in active)]
    fal.script(ENDPOINT, Script(output={"images": [{"url": url} for url in urls]}))
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    found = [Path(file["path"]).suffix for file in ran.structured_content["files"]]
    assert found == [".svg", *[".txt"] * len(active)]


async def served(client: Client, fal: Emulator, contents: dict[str, tuple[bytes, str]]) -> dict[str, str]:
    """Put files on the stand-in for fal's CDN; their addresses."""
    first = await client.call_tool(TOOL, {"prompt": "first"})
    base = first.structured_content["files"][0]["url"].split("/files/")[0]
    for name, (content, kind) in contents.items():
        fal.files[f"/files/b/1/{name}"] = StoredFile(name, kind, lambda content=content: content)
    return {name: f"{base}/files/b/1/{name}" for name in contents}


async def test_what_is_odd_of_a_file_is_said_and_the_others_are_saved(fal: Emulator, host: Host, tmp_path: Path):
    contents = {
        "empty.png": (b"", "image/png"),
        "page.png": (b"<!doctype html><html>Not here", "image/png"),
        "good.png": (PNG, "image/png"),
    }
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out", previews=True) as client:
            urls = await served(client, fal, contents)
            gone = urls["good.png"].replace("good", "gone")
            given_urls = [*urls.values(), gone, *(f"https://storage.googleapis.com/x/{n}.png" for n in "ab")]
            fal.script(ENDPOINT, Script(output={"images": [{"url": url} for url in given_urls]}))
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    assert not ran.is_error
    notes = ran.structured_content["notes"]
    for sentence in (
        "File 1: empty",
        "File 2: a web page",
        "File 4: could not be saved",
        "Files 5 and 6: not on fal's hosts and not saved",
    ):
        assert sentence in text(ran) and any(sentence in note for note in notes)
    assert ["path" in file for file in ran.structured_content["files"]] == [True, True, True, False, False, False]
    assert Path(ran.structured_content["files"][1]["path"]).suffix == ".txt"


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="a full disk is /dev/full's")
@pytest.mark.parametrize("trouble", ["a file", "no folder may be made", "removed"])
async def test_a_disk_that_will_not_costs_no_result(fal: Emulator, host: Host, tmp_path: Path, trouble: str):
    out = tmp_path / "out"
    if trouble == "a file":
        out.write_text("")
    elif trouble == "no folder may be made":
        out = Path("/proc/nothing/here")
    with anyio.fail_after(BOUND):
        async with host(output_dir=out) as client:
            if trouble == "removed":
                out.mkdir()
                out.rmdir()
            ran = await client.call_tool(TOOL, {"prompt": "x", "seed": 7})
            place = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "y", "seed": 7}, "save_to": "a\x00b"}
            odd = await client.call_tool("run_model", place)
    assert not ran.is_error and "seed: 7" in text(ran)
    assert odd.is_error and "is not inside" in text(odd) and len(fal.jobs) == 1, "told before it is paid for"
    assert ("could not be saved" in text(ran)) == (trouble != "removed")


@posix
def test_nothing_is_left_of_a_note_that_a_full_disk_cut_short(tmp_path: Path):
    import resource

    folder = OutputFolder(tmp_path / "out")
    target = put(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a full disk would, the system takes the first bytes of it and no more.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(NotWritable, match=r"The note beside 'a\.png' could not be written"):
            folder.note(target, '{"prompt": "' + "x" * 500 + '"}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in folder.folder.iterdir()] == ["a.png"]
    folder.note(target, "{}")
    assert target.with_name("a.png.json").read_text() == "{}"


async def test_many_files_with_one_trouble_are_one_sentence(fal: Emulator, host: Host, tmp_path: Path):
    urls = [f"https://elsewhere.example/{'x' * 3000}/{number}.png" for number in range(150)]
    fal.script(ENDPOINT, Script(output={"images": [{"url": url} for url in urls], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    data = ran.structured_content
    assert len(data["notes"]) <= 3 and "more: not on fal's hosts" in data["notes"][0] and data["notes"][0] in text(ran)
    assert len(ran.model_dump_json()) <= 400_000 and 10 < len(data["files"]) < 150 and data["output_parts"] > 1
