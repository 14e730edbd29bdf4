"""Realtime over MCP in both eras: a row of inputs, and sessions that are kept between calls."""

import base64
import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import msgpack  # pyright: ignore[reportMissingTypeStubs]
import pytest
from mcp.client import Client
from PIL import Image

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Settings
from fal_mcp.emulator import Emulator, Live, Script
from fal_mcp.server import app

FLUX, KONTEXT = "fal-ai/flux/dev", "fal-ai/flux-pro/kontext"
PRICE = 0.04
"""USD that an input of KONTEXT costs."""
BOUND = 20
Host = Callable[..., Client]
pack = cast(Any, msgpack).packb


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"toolsets": (*TOOLSETS, *MORE_TOOLSETS), "data": tmp_path / "data", **changes})
        return Client(app.build(chosen), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def row(*seeds: int, **more: Any) -> dict[str, Any]:
    return {"endpoint_id": FLUX, "inputs": [{"prompt": "a pier", "seed": seed} for seed in seeds], **more}


def edits(count: int) -> dict[str, Any]:
    one = {"prompt": "at night", "image_url": "https://example.com/a.png"}
    return {"endpoint_id": KONTEXT, "inputs": [one] * count}


def taken(fal: Emulator) -> list[int]:
    """The seeds of all inputs that reached fal."""
    return [given["seed"] for line in fal.lines for given in line.inputs]


def closed(fal: Emulator) -> bool:
    return not any(line.is_open for line in fal.lines)


def reached(fal: Emulator) -> int:
    """How many inputs reached fal."""
    return sum(len(line.inputs) for line in fal.lines)


async def settled(client: Client) -> dict[str, Any]:
    """The newest job, once it is written down how it ended."""
    while True:
        listed = await client.call_tool("list_jobs", {})
        if (job := listed.structured_content["jobs"][0])["state"] != "intent":
            return job


async def opened(client: Client, **more: Any) -> str:
    result = await client.call_tool("realtime_open", {"endpoint_id": FLUX, **more})
    assert not result.is_error, text(result)
    return result.structured_content["session_id"]


def step(session_id: str, seed: int, **more: Any) -> dict[str, Any]:
    return {"session_id": session_id, "arguments": {"prompt": "a pier", "seed": seed}, **more}


async def test_a_row_of_inputs_comes_back_as_files_in_its_order(fal: Emulator, host: Host, tmp_path: Path):
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool("run_realtime", row(3, 1, 2), progress_callback=hear)
            listed = await client.call_tool("list_jobs", {})
    said = result.structured_content
    assert said["status"] == "completed" and [one["seed"] for one in said["outputs"]] == [3, 1, 2]
    paths = [Path(one["images"][0]["content"]) for one in said["outputs"]]
    assert [file["path"] for file in said["files"]] == [str(path) for path in paths]
    for path in paths:
        assert path.parent == tmp_path / "data" / "files" and str(path) in text(result)
        with Image.open(path) as picture:
            assert picture.format == "JPEG" and picture.size == (256, 256)
    assert paths[0].name == "flux-dev_a-pier_3-1.jpg"
    assert (1.0, 3.0, "1 of 3") in heard and heard[-1] == (3.0, 3.0, "3 of 3")
    shown = [block for block in result.content if isinstance(block, types.ImageContent)]
    assert len(shown) == 3 and Image.open(io.BytesIO(base64.b64decode(shown[0].data))).size == (256, 256)
    (job,) = listed.structured_content["jobs"]
    assert (job["job_id"], job["state"]) == (said["job_id"], "completed")
    assert len(fal.lines) == 1 and fal.jobs == {}


async def test_a_file_is_what_its_bytes_are_and_not_what_is_said_of_it(fal: Emulator, host: Host):
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(target, "PNG")
    sound = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28)
    answer = {"images": [{"content": target.getvalue(), "content_type": "image/jpeg"}], "deep": {"audio": [sound]}}
    fal.script(FLUX, Script(live=Live(answer=pack({**answer, "raw": b"\x00\x01"}))))
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            result = await client.call_tool("run_realtime", row(1))
    (output,) = result.structured_content["outputs"]
    picture, heard, raw = output["images"][0]["content"], output["deep"]["audio"][0], output["raw"]
    assert [Path(one).suffix for one in (picture, heard, raw)] == [".png", ".wav", ".bin"]
    assert content(picture) == target.getvalue() and content(raw) == b"\x00\x01"
    assert [one["content_type"] for one in result.structured_content["files"][:1]] == ["image/png"]
    assert sum(isinstance(block, types.ImageContent) for block in result.content) == 1
    assert not any(isinstance(block, types.ResourceLink) for block in result.content), "nobody else can fetch them"


async def test_previews_can_be_off_here_too(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(previews=False) as client:
            result = await client.call_tool("run_realtime", row(1))
    assert not any(isinstance(block, types.ImageContent) for block in result.content)


async def test_a_full_or_missing_disk_loses_no_answer(fal: Emulator, host: Host, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "files").write_text("in the way")
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", row(1))
    (output,) = result.structured_content["outputs"]
    assert not result.is_error and output["seed"] == 1 and "not kept" in output["images"][0]["content"]


async def test_a_wrong_input_is_refused_before_anything_is_opened(fal: Emulator, host: Host):
    wrong = {"endpoint_id": FLUX, "inputs": [{"prompt": "a"}, {"prompt": "b", "num_images": 50}]}
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", wrong)
    assert result.is_error and "input 2" in text(result) and "num_images" in text(result) and fal.calls == []


async def test_closed_midway_it_says_how_far_it_came_and_keeps_what_came(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(live=Live(close_after=2)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", edits(4))
            job = await client.call_tool("get_job", {"job_id": result.structured_content["job_id"]})
    said = result.structured_content
    assert said["status"] == "partial" and len(said["outputs"]) == 2
    assert "2 of 4 inputs" in text(result) and "before answer 3 came" in text(result)
    assert said["cost"]["usd"] == pytest.approx(3 * PRICE), "the lost one may be paid for"
    assert job.structured_content["output"]["outputs"] == said["outputs"]
    assert [len(line.inputs) for line in fal.lines] == [3]


async def test_what_fails_at_once_is_an_error_and_costs_nothing(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(live=Live(error_after=0)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", edits(2))
            listed = await client.call_tool("list_jobs", {})
    assert result.is_error and "INTERNAL_ERROR: as scripted" in text(result)
    assert listed.structured_content["jobs"][0]["state"] == "failed"
    assert listed.structured_content["spent_today_usd"] == 0


async def test_time_that_is_up_ends_a_row(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(hold=True)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", row(1, 2, seconds=1))
        fal.release()
    assert result.is_error and "seconds passed before answer 1" in text(result) and taken(fal) == [1]


async def test_a_model_without_realtime_says_so(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(is_there=False)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            for name, given in (("run_realtime", row(1)), ("realtime_open", {"endpoint_id": FLUX})):
                result = await client.call_tool(name, given)
                assert result.is_error and "no realtime endpoint" in text(result) and "run_model" in text(result)


async def test_a_long_answer_is_told_in_short_and_kept_whole(fal: Emulator, host: Host):
    """fal keeps nothing of a run without the queue, so that the ledger does."""
    fal.script(FLUX, Script(live=Live(answer=pack({"text": "x" * 600_000}))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", row(1))
            found = [
                await client.call_tool("get_job", {"job_id": result.structured_content["job_id"], "part": n})
                for n in range(1, 22)
            ]
    assert len(result.model_dump_json()) < 60_000 and "get_job" in text(result)
    whole = json.loads("".join(one.structured_content["text"] for one in found if not one.is_error))
    assert whole["outputs"] == [{"text": "x" * 600_000}]


async def test_a_long_answer_of_a_session_is_told_in_short_and_is_whole_in_a_file(
    fal: Emulator, host: Host, tmp_path: Path
):
    """Neither fal nor the ledger has it."""
    fal.script(FLUX, Script(live=Live(answer=pack({"text": "x" * 600_000}))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            long = await client.call_tool("realtime_send", step(await opened(client), 1))
            fal.script(FLUX, Script())
            short = await client.call_tool("realtime_send", step(await opened(client), 1))
    path = long.structured_content["output_path"]
    assert json.loads(content(path)) == {"text": "x" * 600_000} and Path(path).parent == tmp_path / "data" / "files"
    assert path in text(long) and "get_job" not in text(long) and len(long.model_dump_json()) < 60_000
    assert "output_path" not in short.structured_content and "Not all" not in text(short)


async def test_a_long_answer_that_cannot_be_written_says_so(fal: Emulator, host: Host, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "files").write_text("in the way")
    fal.script(FLUX, Script(live=Live(answer=pack({"text": "x" * 600_000}))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("realtime_send", step(await opened(client), 1))
    assert not result.is_error and "it is not kept" in text(result)
    assert "output_path" not in result.structured_content


def huge() -> bytes:
    """A picture that is small to send and too large to unpack."""
    target = io.BytesIO()
    Image.new("1", (8000, 8000)).save(target, "PNG")
    return target.getvalue()


NOTED: dict[str, tuple[dict[str, Any], str]] = {
    "a picture too large": ({"image": {"content": huge()}}, "unpacks to too much"),
    "a number without end": ({"score": math.nan, "seed": 1}, "not finite"),
    "a broken data address": ({"image": "data:image/png;base64,!"}, "cannot be read"),
    "a text too long for data": ({"text": "x" * 600_000}, "Not all of it is told here"),
    "a text too long for a line": ({"texts": ["word " * 1000] * 20}, "Not all of it is told here"),
}


@pytest.mark.parametrize("case", NOTED)
async def test_what_else_is_to_be_known_is_in_text_and_data(fal: Emulator, host: Host, case: str):
    answer, note = NOTED[case]
    fal.script(FLUX, Script(live=Live(answer=pack(answer))))
    with anyio.fail_after(BOUND):
        async with host(previews=True) as client:
            whole = await client.call_tool("run_realtime", row(1))
            step_ = await client.call_tool("realtime_send", step(await opened(client), 1))
    for result, name in ((whole, "job_id"), (step_, "session_id")):
        assert any(note in one for one in result.structured_content["notes"]), name
        assert note in text(result) and result.structured_content[name] in text(result)


async def test_an_answer_of_a_page_is_told_whole_in_the_text(fal: Emulator, host: Host):
    page = "A word that matters. " * 150
    fal.script(FLUX, Script(live=Live(answer=pack({"text": page}))))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", row(1))
    assert page.strip() in text(result) and "notes" not in result.structured_content


async def test_what_ended_a_row_and_what_to_do_is_in_the_data_too(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(live=Live(close_after=2)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", edits(4))
    why = result.structured_content["error"]
    assert why in text(result) and "before answer 3 came" in why and why.count(".") >= 2, "with what to do"


async def test_each_input_has_its_own_price(fal: Emulator, host: Host):
    counts = [1, 4, 2]
    asked = edits(3)
    asked["inputs"] = [{**one, "num_images": count} for one, count in zip(asked["inputs"], counts, strict=True)]
    with anyio.fail_after(BOUND):
        async with host(max_cost=6.5 * PRICE) as client:
            over = await client.call_tool("run_realtime", asked)
        async with host() as client:
            whole = await client.call_tool("run_realtime", asked)
            fal.script(KONTEXT, Script(live=Live(error_after=2)))
            part = await client.call_tool("run_realtime", asked)
    assert over.is_error and f"{7 * PRICE:.4g} USD (3 inputs" in text(over)
    assert whole.structured_content["cost"]["usd"] == pytest.approx(7 * PRICE)
    assert part.structured_content["cost"]["usd"] == pytest.approx(5 * PRICE), "a failure costs nothing"


async def test_one_input_without_a_price_leaves_the_sum_unknown(fal: Emulator, host: Host):
    asked = row(1, 2)
    asked["inputs"][1]["image_size"] = {"width": 512}
    with anyio.fail_after(BOUND):
        async with host(max_cost=5) as client:
            refused = await client.call_tool("run_realtime", asked)
        async with host() as client:
            result = await client.call_tool("run_realtime", asked)
    assert refused.is_error and "is not known (input 2: " in text(refused)
    assert result.structured_content["cost"]["usd"] is None and len(fal.lines) == 1


async def test_a_row_that_is_broken_off_keeps_what_came(fal: Emulator, host: Host):
    """What was answered is paid for, so it is not thrown away with the call."""
    fal.script(KONTEXT, Script(live=Live(hold=True)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.call_tool, "run_realtime", edits(4))
                    await fal.until(lambda: reached(fal) == 1)
                    fal.release()
                    await fal.until(lambda: reached(fal) == 2)
                    scope.cancel()
            job = await settled(client)
            found = await client.call_tool("get_job", {"job_id": job["job_id"]})
            listed = await client.call_tool("list_jobs", {})
        fal.release()
    assert (job["state"], job["usd"]) == ("completed", pytest.approx(2 * PRICE)), "what was under way may be paid for"
    assert len(found.structured_content["output"]["outputs"]) == 1
    assert "broken off after 1 of 4 inputs" in text(listed)


async def test_a_row_ends_within_the_time_that_a_call_may_take(fal: Emulator, host: Host):
    """A host gives a call up after a while, and would lose what came."""
    fal.script(FLUX, Script(live=Live(hold=True)))
    with anyio.fail_after(BOUND):
        async with host(wait=1) as client:
            result = await client.call_tool("run_realtime", row(1, 2, seconds=500))
        fal.release()
    assert result.is_error and "seconds passed before answer 1" in text(result)


async def test_limits_hold_for_the_whole_row(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(max_cost=2.5 * PRICE) as client:
            over = await client.call_tool("run_realtime", edits(3))
            assert over.is_error and "--max-cost" in text(over) and fal.lines == []
            within = await client.call_tool("run_realtime", edits(2))
    assert within.structured_content["cost"]["usd"] == pytest.approx(2 * PRICE)


async def test_the_user_is_asked_about_the_whole_row_once(fal: Emulator, host: Host):
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="decline")

    with anyio.fail_after(BOUND):
        async with host(answer, approve_over=2.5 * PRICE) as client:
            result = await client.call_tool("run_realtime", edits(3))
    assert result.is_error and len(asked) == 1 and "3 inputs" in asked[0] and fal.lines == []


async def test_a_session_stays_warm_between_calls(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            session = await opened(client)
            answers = [await client.call_tool("realtime_send", step(session, seed)) for seed in (1, 2)]
            ended = await client.call_tool("realtime_close", {"session_id": session})
            after = await client.call_tool("realtime_send", step(session, 3))
            assert closed(fal)
    assert [one.structured_content["outputs"][0]["seed"] for one in answers] == [1, 2]
    assert content(answers[0].structured_content["files"][0]["path"])[:2] == b"\xff\xd8"
    assert ended.structured_content["answered"] == 2
    assert after.is_error and "realtime_open" in text(after)
    assert len(fal.lines) == 1 and taken(fal) == [1, 2]


async def test_a_session_that_fal_ended_as_idle_goes_on_with_a_fresh_token(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(timeout_after=1)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            session = await opened(client)
            await client.call_tool("realtime_send", step(session, 1))
            await fal.until(lambda: closed(fal))
            again = await client.call_tool("realtime_send", step(session, 2))
    assert not again.is_error and len({line.token for line in fal.lines}) == 2 and taken(fal) == [1, 2]


async def test_an_idle_session_closes_by_itself(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            session = await opened(client, idle_seconds=0.05)
            await fal.until(lambda: closed(fal))
            result = await client.call_tool("realtime_send", step(session, 1))
    assert result.is_error and "no open session" in text(result) and taken(fal) == []


async def test_there_are_four_sessions_at_most(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            sessions = [await opened(client) for _ in range(4)]
            fifth = await client.call_tool("realtime_open", {"endpoint_id": FLUX})
            assert fifth.is_error and "4 realtime sessions are open" in text(fifth)
            await client.call_tool("realtime_close", {"session_id": sessions[0]})
            await opened(client)
    assert len(fal.lines) == 5


async def test_a_server_that_ends_closes_its_sessions(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            await opened(client, idle_seconds=300)
        await fal.until(lambda: closed(fal))


async def test_the_newest_input_takes_the_place_of_one_that_waits(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(hold=True)))
    answers: dict[int, dict[str, Any]] = {}
    with anyio.fail_after(BOUND):
        async with host() as client, anyio.create_task_group() as tasks:
            session = await opened(client)
            replaced = anyio.Event()

            async def send(seed: int) -> None:
                result = await client.call_tool("realtime_send", step(session, seed, newest_wins=True))
                answers[seed] = result.structured_content
                if answers[seed]["status"] == "replaced":
                    replaced.set()

            tasks.start_soon(send, 1)
            await fal.until(lambda: taken(fal) == [1])
            tasks.start_soon(send, 2)
            tasks.start_soon(send, 3)
            await replaced.wait()
            fal.script(FLUX, Script())
            fal.release()
    (lost,) = [seed for seed, answer in answers.items() if answer["status"] == "replaced"]
    assert lost in (2, 3) and taken(fal) == [1, 5 - lost]
    assert [answers[seed]["status"] for seed in (1, 5 - lost)] == ["completed", "completed"]


async def test_else_inputs_wait_their_turn_eight_at_most(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(hold=True)))
    answers: list[types.CallToolResult] = []
    with anyio.fail_after(BOUND):
        async with host() as client, anyio.create_task_group() as tasks:
            session = await opened(client)
            refused = anyio.Event()

            async def send(seed: int) -> None:
                answers.append(await client.call_tool("realtime_send", step(session, seed)))
                if answers[-1].is_error:
                    refused.set()

            tasks.start_soon(send, 0)
            await fal.until(lambda: taken(fal) == [0])
            for seed in range(1, 10):
                tasks.start_soon(send, seed)
            await refused.wait()
            fal.script(FLUX, Script())
            fal.release()
    (over,) = [one for one in answers if one.is_error]
    assert "8 inputs wait" in text(over) and len(answers) == 10 and len(set(taken(fal))) == len(taken(fal)) == 9


async def test_closing_a_session_tells_who_waits_what_became_of_their_input(fal: Emulator, host: Host):
    fal.script(FLUX, Script(live=Live(hold=True)))
    said: dict[int, str] = {}
    with anyio.fail_after(BOUND):
        async with host() as client:
            session = await opened(client)

            replaced = anyio.Event()

            async def send(seed: int) -> None:
                said[seed] = text(await client.call_tool("realtime_send", step(session, seed, newest_wins=True)))
                if "took its place" in said[seed]:
                    replaced.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, 1)
                await fal.until(lambda: taken(fal) == [1])
                tasks.start_soon(send, 2)
                tasks.start_soon(send, 3)
                # Where one was replaced, the other one waits.
                await replaced.wait()
                await client.call_tool("realtime_close", {"session_id": session})
        fal.release()
    waited = sorted(said[seed] for seed in (2, 3))
    assert "may be running and paid for" in said[1] and taken(fal) == [1]
    assert "took its place" in waited[0] and "ended before this input was sent" in waited[1]


async def test_a_budget_holds_input_by_input(fal: Emulator, host: Host):
    one = edits(1)["inputs"][0]
    with anyio.fail_after(BOUND):
        async with host(session_budget=2.5 * PRICE) as client:
            session = await opened(client, endpoint_id=KONTEXT)
            sent = [await client.call_tool("realtime_send", {"session_id": session, "arguments": one}) for _ in "abc"]
            listed = await client.call_tool("list_jobs", {})
    assert [result.is_error or False for result in sent] == [False, False, True]
    assert "--session-budget" in text(sent[2]) and len(fal.lines[0].inputs) == 2
    assert listed.structured_content["jobs"][0]["usd"] == pytest.approx(2 * PRICE)


async def test_an_input_that_fails_in_a_session_costs_nothing(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(live=Live(error_after=0)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            session = await opened(client, endpoint_id=KONTEXT)
            failed = await client.call_tool(
                "realtime_send", {"session_id": session, "arguments": edits(1)["inputs"][0]}
            )
            wrong = await client.call_tool("realtime_send", {"session_id": session, "arguments": {}})
            listed = await client.call_tool("list_jobs", {})
    assert "INTERNAL_ERROR" in text(failed) and "refused here" in text(wrong)
    assert listed.structured_content["jobs"][0]["usd"] == 0 and len(fal.lines[0].inputs) == 1


@pytest.mark.parametrize("frame", [b"\xc1", b"\x91" * 3000, bytes(70_000_000)], ids=["garbage", "deep", "large"])
async def test_a_hostile_frame_is_a_clean_error(fal: Emulator, host: Host, frame: bytes):
    fal.script(FLUX, Script(live=Live(answer=frame)))
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_realtime", row(1))
    assert result.is_error and "fal's" in text(result) and "inside this server" not in text(result)


async def test_realtime_tools_are_there_only_where_their_toolset_is_asked_for(host: Host):
    found: dict[str, set[str]] = {}
    for toolset in ("models", "realtime"):
        async with host(toolsets=(toolset,)) as client:
            found[toolset] = {tool.name for tool in (await client.list_tools()).tools if "realtime" in tool.name}
    assert found["models"] == set()
    assert found["realtime"] == {"run_realtime", "realtime_open", "realtime_send", "realtime_close"}
