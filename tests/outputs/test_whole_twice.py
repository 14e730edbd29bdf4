"""Hosts hand their models the text or the data of an answer, hardly ever both: each alone is enough to go on from.

The rules: what is over tells its job, its files and its plain values; what is not tells its job and what to call next;
what was refused tells what, where and what to do. What else is to be known is told in both, and each file once.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.emulator.script import Failure, Reply
from fal_mcp.server import app
from fal_mcp.tools import from_operation
from fal_mcp.toolsets import platform

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
BOUND = 60
Host = Callable[..., Client]
Made = Callable[[Emulator, Client], Awaitable[types.CallToolResult]]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(**changes: Any) -> Client:
        chosen = {"data": tmp_path / "data", "wait": 0.3, "previews": True, **changes}
        return Client(app.build(replace(settings, **chosen)), mode=request.param)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def facts(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each plain fact of some data, with its own name."""
    if isinstance(value, dict):
        for key, item in cast(dict[str, Any], value).items():
            yield from facts(item, key)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from facts(item, name)
    else:
        yield name, value


def complete(result: types.CallToolResult) -> None:
    said, data = text(result), result.structured_content
    assert data["status"] == "completed" and data["job_id"] in said and data["endpoint_id"] in said
    for number, file in enumerate(data["files"], 1):
        assert said.count(file["url"]) == 1 and json.dumps(data).count(json.dumps(file["url"])) == 1, number
        assert file.get("path", "") in said and file["kind"]
    for name, value in data["output"].items():
        is_told = isinstance(value, int | float | bool) or (isinstance(value, str) and len(value) < 400)
        if is_told and not (name == "prompt" or value.startswith("file ") if isinstance(value, str) else False):
            assert f"{name}: {value if isinstance(value, str) else json.dumps(value)}" in said, name
    assert "USD" in said or "not known" in said


def unfinished(result: types.CallToolResult) -> None:
    said, data = text(result), result.structured_content
    assert data["status"] in ("in_progress", "unknown") and data["poll_after_s"] > 0
    for half in (said, data["next"]):
        assert "wait_for_job" in half and data["job_id"] in half and "not to be run again" in half


def refused(result: types.CallToolResult) -> None:
    said, data = text(result), result.structured_content
    assert result.is_error and data["status"] == "failed"
    error = data["error"]
    assert error["message"] in said and error["hint"] and error["hint"] in said
    for fault in error["faults"]:
        assert fault["path"] in said and fault["message"] in said


def noted(result: types.CallToolResult) -> list[str]:
    """What else is told, in both halves."""
    notes = result.structured_content.get("notes", [])
    assert all(note in text(result) for note in notes)
    return notes


async def plain(fal: Emulator, client: Client) -> types.CallToolResult:
    return await client.call_tool(TOOL, {"prompt": "a pier", "seed": 7})


async def several(fal: Emulator, client: Client) -> types.CallToolResult:
    return await client.call_tool(TOOL, {"prompt": "a pier", "num_images": 4})


async def repaired(fal: Emulator, client: Client) -> types.CallToolResult:
    return await client.call_tool(TOOL, {"promt": "a pier", "num_inference_steps": "4"})


async def words(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(output={"text": "some words", "score": 0.5, "is_safe": True, "url": None}))
    return await plain(fal, client)


async def long_words(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(output={"text": "word " * 1400, "score": 0.5}))
    return await plain(fal, client)


async def cut(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(output={"text": "word " * 30_000, "score": 0.5}))
    return await plain(fal, client)


async def many(fal: Emulator, client: Client) -> types.CallToolResult:
    output = {"images": [{"url": f"https://v3.fal.media/files/{n}.png"} for n in range(15)], "seed": 7}
    fal.script(ENDPOINT, Script(output=output))
    return await plain(fal, client)


async def as_bytes(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(output={"images": [{"url": "data:image/png;base64,AAAA"}], "seed": 7}))
    return await plain(fal, client)


async def at_once(fal: Emulator, client: Client) -> types.CallToolResult:
    run = {"endpoint_id": ENDPOINT, "arguments": {"prompt": "x"}, "mode": "sync"}
    return await client.call_tool("run_model", run)


async def waited_for(fal: Emulator, client: Client) -> types.CallToolResult:
    ran = await plain(fal, client)
    return await client.call_tool("wait_for_job", {"job_id": ran.structured_content["job_id"]})


async def looked_at(fal: Emulator, client: Client) -> types.CallToolResult:
    ran = await plain(fal, client)
    return await client.call_tool("get_job", {"job_id": ran.structured_content["job_id"]})


async def running(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(hold_running=True))
    return await plain(fal, client)


async def queued(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(hold_in_queue=True, queue_position=3))
    return await plain(fal, client)


async def joined(fal: Emulator, client: Client) -> types.CallToolResult:
    await running(fal, client)
    return await plain(fal, client)


async def looked_at_early(fal: Emulator, client: Client) -> types.CallToolResult:
    ran = await running(fal, client)
    return await client.call_tool("get_job", {"job_id": ran.structured_content["job_id"]})


async def waited_for_early(fal: Emulator, client: Client) -> types.CallToolResult:
    ran = await running(fal, client)
    return await client.call_tool("wait_for_job", {"job_id": ran.structured_content["job_id"], "seconds": 0.1})


async def wrong(fal: Emulator, client: Client) -> types.CallToolResult:
    return await client.call_tool(TOOL, {"num_images": 99})


async def wrong_at_fal(fal: Emulator, client: Client) -> types.CallToolResult:
    detail = [{"loc": ["body", "seed"], "msg": "too large", "type": "value_error"}]
    fal.script(ENDPOINT, Script(failure=Failure(422, {"detail": detail})))
    return await plain(fal, client)


async def failed(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(failure=Failure(500, {"detail": "The model fell over"})))
    return await plain(fal, client)


async def busy(fal: Emulator, client: Client) -> types.CallToolResult:
    fal.script(ENDPOINT, Script(submit=Reply(403, {"detail": "User is locked. Exhausted balance."})))
    return await plain(fal, client)


async def nobodys(fal: Emulator, client: Client) -> types.CallToolResult:
    return await client.call_tool("get_job", {"job_id": "job_none"})


OVER: list[tuple[Made, str]] = [
    *((plain, ""), (several, ""), (words, ""), (many, ""), (at_once, ""), (waited_for, ""), (looked_at, "")),
    *((repaired, "'promt' was read as 'prompt'"), (as_bytes, "")),
    *((cut, "get_job with part"), (long_words, "")),
]


@pytest.mark.parametrize("is_saved", [False, True])
@pytest.mark.parametrize(("make", "note"), OVER, ids=lambda value: getattr(value, "__name__", ""))
async def test_what_is_over_is_told_whole_in_each_half(
    fal: Emulator, host: Host, tmp_path: Path, make: Made, note: str, is_saved: bool
):
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, **({"output_dir": tmp_path / "out"} if is_saved else {})) as client:
            result = await make(fal, client)
    assert not result.is_error, text(result)
    complete(result)
    assert not note or any(note in one for one in noted(result))
    noted(result)


@pytest.mark.parametrize("make", [running, queued, joined, looked_at_early, waited_for_early])
async def test_what_goes_on_says_what_to_call_next_in_each_half(fal: Emulator, host: Host, make: Made):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await make(fal, client)
    assert not result.is_error, text(result)
    unfinished(result)
    if make is joined:
        assert any("the same was asked for a moment ago" in note.casefold() for note in noted(result))
        assert "put right" not in text(result)


@pytest.mark.parametrize("make", [wrong, wrong_at_fal, failed, busy, nobodys])
async def test_what_was_refused_says_what_to_do_in_each_half(fal: Emulator, host: Host, make: Made):
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, previews=False) as client:
            result = await make(fal, client)
    refused(result)


async def test_what_could_not_be_saved_is_told_in_each_half(fal: Emulator, host: Host, tmp_path: Path):
    (tmp_path / "out").write_text("")
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, output_dir=tmp_path / "out") as client:
            result = await plain(fal, client)
    complete(result)
    assert any("could not be saved" in note for note in noted(result))


async def test_jobs_of_one_model_are_told_apart_by_what_was_asked_for(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, previews=False) as client:
            for prompt in ("a red bicycle at night", "x " * 500, "\u202ea\x1b[31m ferry"):
                await client.call_tool(TOOL, {"prompt": prompt})
            await client.call_tool("fal-ai_whisper", {"audio_url": "https://v3.fal.media/a.mp3"})
            result = await client.call_tool("list_jobs", {})
    rows = [row["about"] for row in result.structured_content["jobs"]]
    assert rows[0].startswith('audio_url: "https://v3.fal.media/a.mp3"')
    assert rows[1] == "a ferry" and rows[2].startswith("x x x") and rows[3] == "a red bicycle at night"
    assert all(about in text(result) and len(about) <= 80 for about in rows)


@pytest.mark.parametrize("make", [plain, several, words, many, looked_at])
async def test_an_answer_is_hardly_longer_than_its_facts(fal: Emulator, host: Host, make: Made):
    """Names and values, one by one, of all that the data tells; the text tells no more than those."""
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, previews=False) as client:
            result = await make(fal, client)
    data = result.structured_content
    once = {(name, json.dumps(value)) for name, value in facts(data) if not str(value).startswith("file ")}
    length = sum(len(f'"{name}":{value},') for name, value in once)
    each = sum(len(f'"{name}":{json.dumps(value)},') for file in data["files"] for name, value in file.items())
    known = sum(len(f'"{n}":{v},') for n, v in {(n, json.dumps(v)) for f in data["files"] for n, v in f.items()})
    length += each - known
    assert len(json.dumps(data, separators=(",", ":"))) <= 1.6 * length
    assert len(text(result)) <= 1.6 * length


def numbers_of_json_only(word: str) -> None:
    raise AssertionError(word)


@pytest.mark.parametrize("cursor", ["Mg==", "a" * 2000, 'it\'s "so"', None, "", 7, True, ["a"], {"a": 1}, float("inf")])
def test_a_page_of_a_list_tells_its_cursor_whole_or_none(cursor: Any):
    """A cursor that is cut is another one; and what is no text is none."""
    workflows = platform.operations()["listWorkflows"]
    note = from_operation.said(workflows, {"workflows": [], "next_cursor": cursor}).note
    is_one = isinstance(cursor, str) and bool(cursor)
    assert (f"cursor {cursor!r}" in note) == ("cursor" in note) == is_one


@pytest.mark.parametrize("operation_id", ["listWorkflows", "getBillingEvents"])
@pytest.mark.parametrize("odd", [float("nan"), [float("inf")], {"a": float("-inf")}, "\ud800"], ids=ascii)
def test_a_row_is_json_that_anybody_reads(operation_id: str, odd: Any):
    operation = platform.operations()[operation_id]
    note = from_operation.said(operation, {str(operation.rows): [{"a": "x", "b": odd}, {"a": "y", "b": odd}]}).note
    note.encode()
    for line in note.splitlines():
        for part in [part for part in line.split(" | ") if part.startswith(("{", "["))]:
            json.loads(part, parse_constant=numbers_of_json_only)


def test_a_list_too_long_for_its_text_says_how_text_alone_has_the_rest():
    rows = [{"name": f"workflow-{number}", "title": "x" * 300} for number in range(100)]
    note = from_operation.said(platform.operations()["listWorkflows"], {"workflows": rows}).note
    assert "more, in the structured content; a smaller limit" in note.splitlines()[-1]


@pytest.mark.parametrize(("count", "length"), [(1, 1400), (1, 1800), (3, 4000), (30, 60), (30, 1400)])
async def test_each_file_can_be_had_by_what_the_text_alone_says(fal: Emulator, host: Host, count: int, length: int):
    """By its address, or by the reference that every file argument and `download_file` take."""
    # Where it leads is of no matter here: nothing is fetched.
    base = "https://v3.fal.media/files/"
    urls = [f"{base}{number}-{'x' * (length - len(base) - 8)}.png" for number in range(count)]
    fal.script(ENDPOINT, Script(output={"images": [{"url": url} for url in urls]}))
    with anyio.fail_after(BOUND):
        async with host(wait=20.0, previews=False) as client:
            result = await client.call_tool(TOOL, {"prompt": "x"})
    said, data = text(result), result.structured_content
    assert [file["url"] for file in data["files"]] == urls
    prefix = f"fal://jobs/{data['job_id']}/files/"
    reach = re.search(rf"more: {prefix}(\d+) to (\d+)", said)
    beyond = range(int(reach[1]), int(reach[2]) + 1) if reach else range(0)
    is_cut = "Not all of it is told in this text: get_job" in said
    for number, url in enumerate(urls, 1):
        assert url in said or f"{prefix}{number};" in said or number in beyond or is_cut, number
