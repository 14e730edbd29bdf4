"""Many runs at once and runs that feed each other, over MCP."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Reply, Script
from fal_mcp.jobs.job import Job
from fal_mcp.server import app
from fal_mcp.server.shared import Shared

FLUX, KONTEXT = "fal-ai/flux/dev", "fal-ai/flux-pro/kontext"
BOUND = 20
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Host = Callable[..., Client]


@pytest.fixture
def host(settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"data": tmp_path / "data", **changes})
        return Client(app.build(chosen), elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def step(endpoint_id: str, **arguments: Any) -> dict[str, Any]:
    return {"endpoint_id": endpoint_id, "arguments": arguments}


def batch(count: int) -> dict[str, Any]:
    return {"endpoint_id": FLUX, "arguments": [{"prompt": "a"}], "count": count}


CHAIN = [step(FLUX, prompt="a pier", seed=1), step(KONTEXT, prompt="at night", image_url="$1.images[0].url")]


async def test_a_batch_runs_each_and_reports_item_by_item(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            arguments = [{"prompt": "a"}, {"prompt": "b", "num_images": 2}]
            result = await client.call_tool(
                "run_batch",
                {"endpoint_id": KONTEXT, "arguments": [{**a, "image_url": "https://e.x/a.png"} for a in arguments]},
            )
            same = await client.call_tool(
                "run_batch", {"endpoint_id": FLUX, "arguments": [{"prompt": "a"}], "count": 3}
            )
    assert [item["status"] for item in result.structured_content["items"]] == ["completed", "completed"]
    assert result.structured_content["usd"] == 0.12
    assert len(same.structured_content["items"]) == 3 and len(fal.jobs) == 5


async def test_a_batch_with_one_wrong_entry_begins_nothing(fal: Emulator, host: Host):
    async with host() as client:
        result = await client.call_tool(
            "run_batch", {"endpoint_id": FLUX, "arguments": [{"prompt": "a"}, {"prompt": "b", "num_images": 50}]}
        )
    assert result.is_error and "run 2" in text(result) and fal.jobs == {}


async def test_a_part_of_a_batch_that_fails_costs_the_rest_nothing(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(session_budget=0.03) as client:
            over = await client.call_tool("run_batch", batch(2))
        fal.script(FLUX, Script(failure=Failure()))
        async with host() as client:
            result = await client.call_tool("run_batch", batch(2))
    assert over.is_error and "All of it would cost" in text(over)
    assert not result.is_error and result.structured_content["status"] == "partial"
    assert [item["status"] for item in result.structured_content["items"]] == ["failed", "failed"]


async def test_a_batch_asks_once(fal: Emulator, host: Host):
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    with anyio.fail_after(BOUND):
        async with host(answer, approve_over=0.01) as client:
            await client.call_tool("run_batch", batch(5))
    assert len(asked) == 1 and "5 jobs" in asked[0] and len(fal.jobs) == 5


async def test_a_chain_feeds_the_next_step(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("run_chain", {"steps": CHAIN})
    first, second = fal.jobs.values()
    assert second.input["image_url"] == first.output["images"][0]["url"]
    assert len(result.structured_content["done"]) == 2


async def test_a_chain_goes_on_from_the_step_that_failed(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(failure=Failure(422, {"detail": "Too small"})))
    with anyio.fail_after(BOUND):
        async with host() as client:
            failed = await client.call_tool("run_chain", {"steps": CHAIN})
            fal.script(KONTEXT, Script())
            (row,) = (await client.call_tool("list_jobs", {"status": "completed"})).structured_content["jobs"]
            done = await client.call_tool("run_chain", {"steps": CHAIN, "done": [row["job_id"]]})
    assert failed.is_error and "Step 2 failed" in text(failed) and row["job_id"] in text(failed)
    assert not done.is_error
    assert [job.endpoint_id for job in fal.jobs.values()] == [FLUX, KONTEXT, KONTEXT]


async def test_a_chain_that_takes_long_says_how_to_go_on(fal: Emulator, host: Host):
    fal.script(FLUX, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.2) as client:
            pending = await client.call_tool("run_chain", {"steps": CHAIN})
            next(iter(fal.jobs.values())).release()
            done = await client.call_tool("run_chain", {"steps": CHAIN, "done": pending.structured_content["done"]})
            while done.structured_content["status"] != "completed":
                done = await client.call_tool("run_chain", {"steps": CHAIN, "done": done.structured_content["done"]})
    assert pending.structured_content["status"] == "in_progress" and len(fal.jobs) == 2


@pytest.mark.parametrize("reference", ["$2.images[0].url", "$0.images", "$3.x"])
async def test_a_reference_that_leads_nowhere_begins_nothing(fal: Emulator, host: Host, reference: str):
    steps = [step(FLUX, prompt="a"), step(KONTEXT, prompt="b", image_url=reference)]
    async with host() as client:
        result = await client.call_tool("run_chain", {"steps": steps})
    assert result.is_error and reference in text(result) and fal.jobs == {}


async def test_a_step_that_was_lost_is_gone_on_with_and_not_corrected(fal: Emulator, host: Host):
    fal.script(KONTEXT, Script(submit=Reply(500, b"<html>")))
    with anyio.fail_after(4 * BOUND):
        async with host() as client:
            lost = await client.call_tool("run_chain", {"steps": CHAIN})
            submits = [call.path for call in fal.calls if call.method == "POST" and call.path.endswith(KONTEXT)]
            fal.script(KONTEXT, Script())
            (row,) = (await client.call_tool("list_jobs", {"status": "completed"})).structured_content["jobs"]
            again = await client.call_tool("run_chain", {"steps": CHAIN, "done": [row["job_id"]]})
    hint = lost.structured_content["error"]["hint"]
    for said in (text(lost), hint):
        assert f"with the same steps and done: ['{row['job_id']}']" in said and "Correct it" not in said
    assert again.structured_content["status"] == "unknown"
    assert [call.path for call in fal.calls if call.method == "POST" and call.path.endswith(KONTEXT)] == submits


@pytest.mark.parametrize("form", ["{}", "file://{}", " {} ", '["{}"]', "fal://jobs/{job}/files/1"])
async def test_a_result_names_no_file_of_this_machine_nor_of_another_job(
    fal: Emulator, host: Host, tmp_path: Path, form: str
):
    """A model's output may say anything; the folder is one that the caller may name files in."""
    secret = tmp_path / "shared" / "private.png"
    secret.parent.mkdir()
    secret.write_bytes(PICTURE)
    asked: list[str] = []

    async def yes(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"allow": True, "approve": True})

    with anyio.fail_after(BOUND):
        async with host(yes, allow_dirs=(secret.parent,)) as client:
            other = await client.call_tool("run_model", {"endpoint_id": FLUX, "arguments": {"prompt": "mine"}})
            named = form.format(secret, job=other.structured_content["job_id"])
            fal.script(FLUX, Script(output={"images": [{"url": named}], "seed": 1}))
            result = await client.call_tool("run_chain", {"steps": CHAIN})
            mine = [CHAIN[0], step(KONTEXT, prompt="at night", image_url=str(secret), seed="$1.seed")]
            allowed = await client.call_tool("run_chain", {"steps": mine})
    assert result.is_error and "Step 2 failed" in text(result) and "an earlier step" in text(result), text(result)
    assert not asked and not allowed.is_error, text(allowed)
    (put_up,) = [job for job in fal.jobs.values() if job.endpoint_id == KONTEXT]
    assert put_up.input["image_url"].startswith("http"), "what the caller names itself is read as ever"


async def test_a_note_names_no_file_of_this_machine(fal: Emulator, host: Host, tmp_path: Path):
    """Whoever wrote the note beside a picture was not asked to run anything."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "private.png").write_bytes(PICTURE)
    note = {"endpoint_id": KONTEXT, "arguments": {"prompt": "x", "image_url": str(folder / "private.png")}}
    (folder / "found.png.json").write_text(json.dumps(note))
    with anyio.fail_after(BOUND):
        async with host(allow_dirs=(folder,)) as client:
            result = await client.call_tool("run_again", {"file": str(folder / "found.png")})
    assert result.is_error and "named by a result" in text(result) and not fal.jobs and not fal.files


class Odd:
    """Jobs of which some raise what nobody foresaw."""

    def __init__(self, jobs: Any, odd: set[str]) -> None:
        self._jobs = jobs
        self._odd = odd

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def wait(self, job: Job, *rest: Any, **more: Any) -> Job:
        if (job.arguments or {}).get("prompt") in self._odd:
            raise RuntimeError("nobody foresaw this")
        return await self._jobs.wait(job, *rest, **more)


async def test_what_goes_wrong_with_one_run_of_a_batch_is_its_own(
    fal: Emulator, settings: Settings, caplog: pytest.LogCaptureFixture
):
    """Its brothers are answered and none is cancelled, and its job can be found."""
    async with Shared(settings, None, nothing) as shared:
        box = shared.tools
        tool = box.get("run_batch")
        assert tool is not None
        call = replace(shared.call(tell=nothing), jobs=Odd(shared.jobs, {"b"}))
        given = {"endpoint_id": FLUX, "arguments": [{"prompt": name} for name in "abcd"]}
        with anyio.fail_after(BOUND):
            outcome = await tool.run(tool.prepare(given).arguments, call)
    items = outcome.data["items"]
    assert [item["status"] for item in items] == ["completed", "failed", "completed", "completed"]
    assert all(item["job_id"].startswith("job_") for item in items) and items[1]["job_id"] in outcome.note
    assert [job.cancelled for job in fal.jobs.values()] == [False] * 4 and "nobody foresaw" in caplog.text


async def nothing(*_: Any) -> None:
    return


async def test_a_file_that_cannot_be_used_is_one_runs_trouble(fal: Emulator, host: Host, tmp_path: Path):
    good = {"prompt": "x", "image_url": "https://e.x/a.png"}
    with anyio.fail_after(BOUND):
        async with host(allow_dirs=(tmp_path,)) as client:
            wrong = {**good, "image_url": str(tmp_path / "none.png")}
            result = await client.call_tool("run_batch", {"endpoint_id": KONTEXT, "arguments": [good, wrong, good]})
    assert [item["status"] for item in result.structured_content["items"]] == ["completed", "failed", "completed"]


async def test_a_job_of_another_model_is_no_step_of_a_chain(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            other = await client.call_tool(
                "run_model",
                {"endpoint_id": KONTEXT, "arguments": {"prompt": "x", "image_url": "https://e.x/a.png"}},
            )
            done = [other.structured_content["job_id"]]
            result = await client.call_tool("run_chain", {"steps": CHAIN, "done": done})
    assert result.is_error and f"is a job of {KONTEXT!r}, and step 1 runs {FLUX!r}" in text(result)
    assert [job.endpoint_id for job in fal.jobs.values()] == [KONTEXT]


SPEECH = "fal-ai/inworld-tts"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("agrees", [True, False])
async def test_a_chain_asks_again_where_a_step_turns_out_to_cost_more(
    fal: Emulator, settings: Settings, tmp_path: Path, mode: Any, agrees: bool
):
    """Speech is paid by the letter, and how many there are is known only once the step before has written them."""
    fal.prices[SPEECH] = (0.01, "1k characters")
    fal.script(FLUX, Script(output={"images": [], "story": "once upon a time " * 100}))
    steps = [step(FLUX, prompt="x"), step(SPEECH, text="$1.story")]
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": agrees or len(asked) == 1})

    built = app.build(replace(settings, data=tmp_path / "data", approve_over=0.0))
    with anyio.fail_after(BOUND):
        async with Client(built, mode=mode, elicitation_callback=answer) as client:
            result = await client.call_tool("run_chain", {"steps": steps})
    assert len(asked) == 2, text(result)
    assert "2 jobs" in asked[0] and "1 jobs" in asked[1] and asked[0] != asked[1]
    assert result.is_error is not agrees
    assert [job.endpoint_id for job in fal.jobs.values()] == [FLUX, *([SPEECH] if agrees else [])]
