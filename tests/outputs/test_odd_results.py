"""A paid result can always be had, whatever is in it: by the call, the job tools, resources, and in all its parts."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import settings as within
from mcp.client import Client

from fal_mcp import json_values
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.emulator.script import Reply
from fal_mcp.outputs import data_uris, media, shortening
from fal_mcp.server import app
from tests import odd_values

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
BOUND = 240
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(**changes: Any) -> Client:
        return Client(app.build(replace(settings, data=tmp_path / "data", **changes)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def strict(content: str) -> Any:
    """JSON as a reader takes it that knows no number but JSON's and no half characters."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content.encode()
    return json.loads(content, parse_constant=refuse)


def leaves(value: Any) -> Iterator[Any]:
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            waiting += cast(dict[str, Any], item).values() if isinstance(item, dict) else cast(list[Any], item)
        else:
            yield item


def plain_values(output: Any) -> set[str]:
    """What must be told somewhere: everything but what became a file."""
    sound = json_values.sound(output)
    return {repr(leaf) for leaf in leaves(sound) if not (isinstance(leaf, str) and is_data(leaf))}


def is_data(leaf: str) -> bool:
    url = media.address_of(leaf)
    return url is not None and data_uris.is_one(url)


def output_with(value: Any) -> dict[str, Any]:
    return {
        "images": [{"url": value, "width": value, "content_type": value}, value],
        "video": value,
        "text": {"deep": [value]},
        "detail": value,
        "seed": 7,
    }


async def whole(client: Client, job_id: str) -> Any:
    """All of an output, put together from its parts."""
    first = await client.call_tool("get_job", {"job_id": job_id, "part": 1})
    assert not first.is_error, text(first)
    count = first.structured_content["parts"]
    rest = [await client.call_tool("get_job", {"job_id": job_id, "part": n}) for n in range(2, count + 1)]
    return strict("".join(part.structured_content["text"] for part in [first, *rest]))


async def test_each_odd_value_at_each_place_is_delivered_at_every_door(fal: Emulator, host: Host, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out", previews=True) as client:
            for name, value in odd_values.ODD.items():
                output = output_with(value)
                fal.script(ENDPOINT, Script(result=Reply(body=odd_values.wire(output))))
                ran = await client.call_tool(TOOL, {"prompt": name})
                assert not ran.is_error, (name, text(ran))
                job = {"job_id": ran.structured_content["job_id"]}
                answers = [ran, await client.call_tool("get_job", job), await client.call_tool("wait_for_job", job)]
                for answer in answers:
                    assert not answer.is_error and answer.structured_content["output"]["seed"] == 7, name
                    assert "seed: 7" in text(answer) and job["job_id"] in text(answer), name
                    strict(answer.model_dump_json())
                told = await whole(client, job["job_id"])
                assert plain_values(output) <= {repr(leaf) for leaf in leaves(told)}, name
                (read,) = (await client.read_resource(f"fal://jobs/{job['job_id']}")).contents
                assert isinstance(read, types.TextResourceContents)
                assert strict(read.text)["output"]["seed"] == 7, name


EMPTY: list[Any] = [{}, {"images": []}, {"images": None}, {"text": ""}, {"images": [{}]}]


@pytest.mark.parametrize("output", EMPTY, ids=json.dumps)
async def test_an_empty_result_is_said_to_be_empty(fal: Emulator, host: Host, output: Any):
    fal.script(ENDPOINT, Script(result=Reply(body=odd_values.wire(output))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    assert not ran.is_error and "result is empty" in text(ran)
    assert any("result is empty" in note for note in ran.structured_content["notes"])


@pytest.mark.parametrize("value", ["a text", ["a", "b"], 5, None, True, [], [[1]], "", [{"url": "https://e.x/a.png"}]])
async def test_a_result_that_is_no_object_is_delivered(fal: Emulator, host: Host, value: Any):
    fal.script(ENDPOINT, Script(result=Reply(body=odd_values.wire(value))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
            told = await whole(client, ran.structured_content["job_id"])
    assert not ran.is_error and plain_values(value) <= {repr(leaf) for leaf in leaves(told)}


@pytest.mark.parametrize("depth", [10, 25, 150, 600, 5000])
async def test_however_deep_it_is_nested_it_is_delivered(fal: Emulator, host: Host, depth: int):
    file = "https://v3.fal.media/files/a.png"
    body = b'{"seed":7,"file":' + b'{"a":[' * depth + json.dumps(file).encode() + b"]}" * depth + b"}"
    fal.script(ENDPOINT, Script(result=Reply(body=body)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
            assert not ran.is_error, text(ran)
            first = await client.call_tool("get_job", {"job_id": ran.structured_content["job_id"], "part": 1})
            count = first.structured_content["parts"]
            job_id = ran.structured_content["job_id"]
            pieces = [await client.call_tool("get_job", {"job_id": job_id, "part": n}) for n in range(1, count + 1)]
    told = "".join(piece.structured_content["text"] for piece in pieces)
    assert file in told.replace("\\", "") and told.count("[") >= depth


FILES = {
    "a plain text": ({"video": "{url}"}, "image"),
    "a plain text under any name": ({"output": "{url}"}, None),
    "a list of texts": ({"results": ["{url}"]}, None),
    "in an object under another key": ({"result": {"file": "{url}"}}, None),
    "with spaces": ({"images": [{"url": "{url} copy.png"}]}, "image"),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_one_however_it_is_named(fal: Emulator, host: Host, tmp_path: Path, name: str):
    shape, kind = FILES[name]
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            first = await client.call_tool(TOOL, {"prompt": "first"})
            url = first.structured_content["files"][0]["url"]
            path = "/" + url.split("/cdn/")[1]
            fal.files[f"{path} copy.png"] = fal.files[path]
            fal.script(ENDPOINT, Script(output=json.loads(json.dumps(shape).replace("{url}", url))))
            ran = await client.call_tool(TOOL, {"prompt": "x"})
            (file,) = ran.structured_content["files"]
            job_id = ran.structured_content["job_id"]
            used = await client.call_tool(
                "fal-ai_flux-pro_kontext", {"prompt": "x", "image_url": f"fal://jobs/{job_id}/files/1"}
            )
    assert file["url"].startswith(url) and " " not in file["url"] and (kind is None or file["kind"] == kind)
    assert file["url"] in text(ran) and (await anyio.Path(file["path"]).read_bytes())[:4] == b"\x89PNG"
    assert not used.is_error, text(used)


READABLE = [name for name in odd_values.DATA if name not in ("plain", "no comma", "wrong base64", "one digit", "prose")]


@pytest.mark.parametrize("name", READABLE)
async def test_every_form_of_data_uri_becomes_the_file_that_it_is(fal: Emulator, host: Host, name: str):
    uri = odd_values.DATA[name]
    fal.script(ENDPOINT, Script(output={"images": [{"url": uri}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
            (file,) = ran.structured_content["files"]
            (read,) = (await client.read_resource(file["url"])).contents
    assert isinstance(read, types.BlobResourceContents)
    content = await anyio.Path(file["path"]).read_bytes()
    assert content == data_uris.content(media.address_of(uri) or "", 10**6)
    assert Path(file["path"]).suffix in (".png", ".svg", ".bin", ".txt")
    if "no" not in name.split() and file["path"].endswith(".png"):
        assert content.startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [name for name in odd_values.DATA if name not in READABLE])
async def test_a_data_uri_that_cannot_be_read_stays_as_it_came(fal: Emulator, host: Host, name: str):
    uri = odd_values.DATA[name]
    fal.script(ENDPOINT, Script(output={"images": [{"url": uri}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host() as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
    assert ran.structured_content["output"]["images"][0]["url"] == uri and ran.structured_content["files"] == []
    assert ("cannot be read" in text(ran)) == (";base64" in uri)


async def test_bytes_that_cannot_be_saved_are_had_in_parts(fal: Emulator, host: Host, tmp_path: Path):
    """The folder is a file: nothing can be written, and the bytes came in the answer and are nowhere else."""
    (tmp_path / "out").write_text("")
    uri = odd_values.DATA["base64"]
    fal.script(ENDPOINT, Script(output={"images": [{"url": uri}], "seed": 7}))
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            ran = await client.call_tool(TOOL, {"prompt": "x"})
            told = await whole(client, ran.structured_content["job_id"])
    assert not ran.is_error and "could not be saved" in text(ran) and ran.structured_content["output_parts"] == 1
    assert any("could not be saved" in note for note in ran.structured_content["notes"])
    assert told["images"][0]["url"] == uri


@within(max_examples=150, deadline=None)
@given(odd_values.anywhere())
def test_whatever_stands_anywhere_nothing_of_it_is_lost(output: dict[str, Any]):
    output = json_values.parsed(odd_values.wire(output))
    found = media.find(output)
    media.oddities(output)
    short, _ = shortening.shortened(shortening.with_labels(output, found[: media.MOST_FILES]))
    strict(json_values.dumped(short))
    assert len(json_values.dumped(short)) <= shortening.BUDGET
    count = shortening.parts(output)
    told = strict("".join(shortening.part(output, number) for number in range(1, count + 1)))
    assert {repr(leaf) for leaf in leaves(json_values.sound(output))} <= {repr(leaf) for leaf in leaves(told)}


FAL = "https://v3.fal.media/files/a/b.png"
SAME = [f"{FAL}\n", f"\t{FAL}", f"\r\n {FAL} \r\n", FAL.replace("https://v3.fal.media", "HTTPS://v3.fal.media")]


@pytest.mark.parametrize("address", SAME)
@pytest.mark.parametrize("place", ["url", "uri", "href", "src", "image_url", "urls", "video"])
def test_what_stands_around_an_address_does_not_matter(address: str, place: str):
    for output in ({place: address}, {"images": [{place: address, "width": 5}]}, {place: [[address]]}):
        (file,) = media.find(output)
        assert file.url == FAL
        assert FAL not in json.dumps(shortening.with_labels(output, [file])), "it is told once"


@pytest.mark.parametrize("place", ["url", "urls", "uri", "uris", "href", "src", "audio_url", "file_uri"])
def test_an_address_under_any_name_of_addresses_is_a_file_wherever_it_is(place: str):
    about = {place: "https://files.example/abc", "content_type": "video/mp4", "width": 512}
    (file,) = media.find({"result": about})
    assert file.url == "https://files.example/abc"
    if place in ("url", "uri", "href", "src"):
        assert (file.kind, file.content_type, file.width) == ("video", "video/mp4", 512)


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://münchen.example/ä b.png", "https://xn--mnchen-3ya.example/%C3%A4%20b.png"),
        ("https://例え.テスト:8443/a.png", "https://xn--r8jz45g.xn--zckzah:8443/a.png"),
        ("https://user:pw@bücher.example/a.png", "https://user:pw@xn--bcher-kva.example/a.png"),
        (f"https://{'ü' * 90}.example/a.png", None),
    ],
)
def test_a_host_of_any_script_is_an_address_that_can_be_fetched(address: str, meant: str | None):
    found = media.address_of(address)
    assert found is not None and found.isascii() and meant in (found, None)
