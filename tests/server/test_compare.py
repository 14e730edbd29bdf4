"""One wish over several models, and variations of what was run, over MCP in both eras."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client
from PIL import Image

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.server import app

FIVE = [
    "fal-ai/flux/dev",
    "fal-ai/recraft/v3/text-to-image",
    "fal-ai/flux-pro/kontext/text-to-image",
    "fal-ai/nano-banana",
    "fal-ai/qwen-image",
]
FLUX, KONTEXT, FILM = FIVE[0], FIVE[2], "fal-ai/veo3"
BOUND = 40
WISH: dict[str, Any] = {"endpoint_ids": FIVE, "prompt": "a pier at dusk", "size": "16:9", "seed": 42}
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        known = {"data": tmp_path / "data", "toolsets": (*settings.toolsets, "compare"), "previews": True}
        built = app.build(replace(settings, **{**known, **changes}))
        return Client(built, mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def sheets(result: types.CallToolResult) -> list[Image.Image]:
    blocks = [block for block in result.content if isinstance(block, types.ImageContent)]
    return [Image.open(io.BytesIO(base64.b64decode(block.data))) for block in blocks]


async def called(client: Client, tool: str = "compare_models", **arguments: Any) -> types.CallToolResult:
    return await client.call_tool(tool, arguments)


def approves(asked: list[str]) -> Any:
    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    return answer


async def test_five_models_are_given_one_wish_with_one_approval(fal: Emulator, host: Host):
    """Each in its own arguments; one sheet; a table in text and in data; each run a job of its own."""
    asked: list[str] = []
    with anyio.fail_after(BOUND):
        async with host(approves(asked), approve_over=0.01) as client:
            result = await called(client, **WISH)
            rows = (await called(client, "list_jobs")).structured_content["jobs"]
    data = result.structured_content
    assert not result.is_error and data["status"] == "completed", text(result)
    assert len(asked) == 1 and "5 jobs" in asked[0] and all(one in asked[0] for one in FIVE)
    given = {job.endpoint_id: job.input for job in fal.jobs.values()}
    assert given[FLUX]["image_size"] == "landscape_16_9" and given[FLUX]["seed"] == 42
    assert given[KONTEXT]["aspect_ratio"] == given["fal-ai/nano-banana"]["aspect_ratio"] == "16:9"
    assert {one["prompt"] for one in given.values()} == {"a pier at dusk"} and len(given) == 5
    (sheet,) = sheets(result)
    assert sheet.width > sheet.height and len(fal.jobs) == 5
    assert {row["job_id"] for row in rows} == {item["job_id"] for item in data["items"]}
    for item in data["items"]:
        for fact in (
            item["endpoint_id"],
            item["job_id"],
            item["files"][0]["url"],
            item["size"],
            f"{item.get('seed', '-')}",
        ):
            assert fact in text(result)
        assert "seconds" in item
    recraft = next(item for item in data["items"] if "recraft" in item["endpoint_id"])
    assert recraft["not_given"] == {"seed": "it takes none"} and "seed not given: it takes none (2" in text(result)
    assert data["usd"] == pytest.approx(sum(item.get("usd", 0) for item in data["items"]))


async def test_what_one_model_cannot_be_given_is_told_for_all_before_anything_is_paid(fal: Emulator, host: Host):
    async with host() as client:
        wrong = await called(client, endpoint_ids=[FLUX, "fal-ai/flux-pro/kontext"], prompt="a pier")
        other = await called(client, endpoint_ids=[FLUX, FILM], prompt="a pier")
        same = await called(client, endpoint_ids=[FLUX, FLUX], prompt="a pier")
        stranger = await called(client, endpoint_ids=[FLUX, KONTEXT], prompt="a pier", own={FILM: {}})
    assert wrong.is_error and "fal-ai/flux-pro/kontext" in text(wrong) and "'image_url'" in text(wrong)
    assert other.is_error and f"{FLUX}: image; {FILM}: video" in text(other)
    assert same.is_error and stranger.is_error and FILM in text(stranger)
    assert fal.jobs == {}


async def test_what_is_one_models_own_goes_to_it_alone(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            own = {FLUX: {"num_inference_steps": 12}}
            await called(client, endpoint_ids=[FLUX, KONTEXT], prompt="a pier", own=own)
    given = {job.endpoint_id: job.input for job in fal.jobs.values()}
    assert given[FLUX]["num_inference_steps"] == 12 and "num_inference_steps" not in given[KONTEXT]


async def test_one_that_fails_takes_nothing_along(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(failure=Failure(422, {"detail": "flagged"})))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await called(client, **WISH)
    assert not result.is_error and result.structured_content["status"] == "partial" and len(sheets(result)) == 1
    assert [item["status"] for item in result.structured_content["items"]].count("completed") == 4
    assert "flagged" in text(result) and "flagged" in json.dumps(result.structured_content)


async def test_what_takes_longer_goes_on_and_is_compared_later_for_nothing(fal: Emulator, host: Host):
    fal.script(FLUX, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.5) as client:
            first = await called(client, endpoint_ids=[FLUX, KONTEXT], prompt="a pier", seed=1)
            ids = [item["job_id"] for item in first.structured_content["items"]]
            for job in fal.jobs.values():
                job.release()
            while (later := await called(client, job_ids=ids)).structured_content["status"] != "completed":
                pass
    assert first.structured_content["status"] == "partial" and all(one in text(first) for one in ids)
    assert [item["job_id"] for item in later.structured_content["items"]] == ids
    assert len(fal.jobs) == 2 and len(sheets(later)) == 1


async def test_a_host_that_gave_up_and_calls_again_gets_the_same_jobs_unasked(fal: Emulator, host: Host):
    """What is paid for is neither paid for nor asked about again."""
    asked: list[str] = []
    for one in (FLUX, KONTEXT):
        fal.script(one, Script(hold_running=True))
    wish: dict[str, Any] = {"endpoint_ids": [FLUX, KONTEXT], "prompt": "a pier", "seed": 1}
    with anyio.fail_after(BOUND):
        async with host(approves(asked), approve_over=0.01) as client:
            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "compare_models", wish)
                    await fal.until(lambda: [job.state for job in fal.jobs.values()] == ["IN_PROGRESS"] * 2)
                    # Seen here too: what waits in the queue as far as is known would be cancelled.
                    await anyio.sleep(0.1)
                    scope.cancel()
            await fal.until(lambda: True)
            for job in fal.jobs.values():
                job.release()
            again = await called(client, **wish)
    assert again.structured_content["status"] == "completed", text(again)
    assert len(fal.jobs) == 2 and len(asked) == 1


async def test_the_sheet_is_saved_where_files_are(fal: Emulator, host: Host, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out", previews=False) as client:
            result = await called(client, endpoint_ids=[FLUX, KONTEXT], prompt="a pier at dusk")
    (saved,) = (tmp_path / "out").glob("comparison_a-pier-at-dusk*.jpg")
    assert str(saved) in text(result) and sheets(result) == []
    with Image.open(saved) as sheet:
        assert sheet.format == "JPEG"


async def test_films_are_shown_by_a_frame_and_texts_as_they_are(fal: Emulator, host: Host):
    films = [FILM, "fal-ai/sora-2/text-to-video"]
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await called(client, endpoint_ids=films, prompt="a pier", size="16:9", seconds=8)
    given = {job.endpoint_id: job.input for job in fal.jobs.values()}
    assert given[FILM]["duration"] == "8s" and given[films[1]]["duration"] == 8
    assert len(sheets(result)) == 1


async def test_a_budget_holds_for_all_of_them(fal: Emulator, host: Host):
    async with host(session_budget=0.03) as client:
        result = await called(client, **WISH)
    assert result.is_error and fal.jobs == {}


async def first_run(client: Client, **arguments: Any) -> dict[str, Any]:
    ran = await called(client, "run_model", endpoint_id=FLUX, arguments={"prompt": "a pier", **arguments})
    return ran.structured_content


async def test_a_variation_keeps_everything_but_what_changes(fal: Emulator, host: Host):
    """The seed that fal drew too: what somebody changes is to be all that changes."""
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await first_run(client, num_inference_steps=12)
            again = await called(client, "run_again", job_id=first["job_id"], arguments={"prompt": "a pier at night"})
            gone = await called(
                client,
                "run_again",
                job_id=again.structured_content["job_id"],
                arguments={"num_inference_steps": None, "seed": 3},
            )
    _, second, third = (job.input for job in fal.jobs.values())
    assert second == {"prompt": "a pier at night", "num_inference_steps": 12, "seed": first["output"]["seed"]}
    assert third == {"prompt": "a pier at night", "seed": 3}
    assert first["job_id"] in text(again) and f"seed {first['output']['seed']} is kept" in text(again)
    assert gone.structured_content["job_id"] not in (first["job_id"], again.structured_content["job_id"])


async def test_run_again_as_it_was_it_comes_out_another_time(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await first_run(client)
            again = await called(client, "run_again", job_id=first["job_id"])
    assert [job.input for job in fal.jobs.values()] == [{"prompt": "a pier"}] * 2
    assert again.structured_content["job_id"] != first["job_id"]


@pytest.mark.parametrize("named", ["file", "note"])
async def test_a_saved_file_is_varied_by_the_note_beside_it(fal: Emulator, host: Host, tmp_path: Path, named: str):
    """Without the ledger that it was run with."""
    with anyio.fail_after(BOUND):
        async with host(output_dir=tmp_path / "out") as client:
            first = await first_run(client)
        path = first["files"][0]["path"] + (".json" if named == "note" else "")
        async with host(output_dir=tmp_path / "out", data=tmp_path / "other") as client:
            again = await called(client, "run_again", file=path, arguments={"prompt": "a pier in snow"})
    assert not again.is_error, text(again)
    assert list(fal.jobs.values())[1].input == {"prompt": "a pier in snow", "seed": first["output"]["seed"]}


async def test_what_cannot_be_varied_is_refused_with_its_reason(fal: Emulator, host: Host, tmp_path: Path):
    outside = tmp_path / "elsewhere" / "a.png"
    outside.parent.mkdir()
    outside.write_bytes(b"x")
    outside.with_name("a.png.json").write_text('{"endpoint_id": "fal-ai/flux/dev", "arguments": {"prompt": "x"}}')
    out = tmp_path / "out"
    out.mkdir()
    for name, note in {"list": "[1]", "torn": '{"endpoint_id"', "bare": '{"endpoint_id": "fal-ai/flux/dev"}'}.items():
        (out / f"{name}.png").write_bytes(b"x")
        (out / f"{name}.png.json").write_text(note)
    with anyio.fail_after(BOUND):
        async with host(output_dir=out, records_arguments=False) as client:
            first = await first_run(client)
            before = len(fal.jobs)
            refused = [
                await called(client, "run_again"),
                await called(client, "run_again", job_id=first["job_id"]),
                await called(client, "run_again", job_id="job_none"),
                await called(client, "run_again", job_id=first["job_id"], file="x"),
                await called(client, "run_again", file=first["files"][0]["path"]),
                await called(client, "run_again", file=str(outside)),
                await called(client, "run_again", file="https://e.x/a.png"),
                *[
                    await called(client, "run_again", file=str(out / f"{name}.png"))
                    for name in ("list", "torn", "bare")
                ],
            ]
    assert all(one.is_error and "inside this server" not in text(one) for one in refused)
    assert "not written down" in text(refused[1]) and "run_model" in text(refused[1])
    assert len(fal.jobs) == before
