"""A model's run over MCP against the local fal: every way it can go, in both protocol eras."""

from typing import Any

import anyio
import mcp_types as types
import pytest

from fal_mcp.emulator import Emulator, Failure, Reply, Script
from tests.conftest import LOCKED_KEY, UNKNOWN_KEY, UNPAID_KEY, Connect

TOOL = "fal-ai_flux_dev"
ENDPOINT = "fal-ai/flux/dev"
ARGUMENTS = {"prompt": "a red bicycle", "seed": 7}
BOUND = 10


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def call(connect: Connect, arguments: dict[str, Any] | None = None, **options: Any) -> types.CallToolResult:
    with anyio.fail_after(BOUND):
        async with connect(**options) as client:
            return await client.call_tool(TOOL, arguments or ARGUMENTS)


def submits(fal: Emulator) -> int:
    return sum(seen.method == "POST" and seen.host_role == "queue" for seen in fal.calls)


async def test_a_run_ends_with_a_picture_that_can_be_fetched(fal: Emulator, connect: Connect):
    """The text, the envelope, a link for each file."""
    result = await call(connect)
    assert not result.is_error
    envelope = result.structured_content
    (file,) = envelope["files"]
    assert envelope["status"] == "completed" and envelope["endpoint_id"] == ENDPOINT
    assert envelope["request_id"] in fal.jobs
    assert envelope["output"]["seed"] == 7
    assert file["kind"] == "image" and file["url"].startswith("http")
    assert set(envelope["timing"]) == {"queue_s", "run_s"}
    assert [block.uri for block in result.content if isinstance(block, types.ResourceLink)] == [file["url"]]
    assert file["url"] in text(result) and "seed: 7" in text(result)


async def test_arguments_reach_fal_as_given_with_no_defaults_and_no_nulls(fal: Emulator, connect: Connect):
    await call(connect)
    (job,) = fal.jobs.values()
    assert job.input == ARGUMENTS


async def test_a_job_takes_three_requests(fal: Emulator, connect: Connect):
    await call(connect)
    assert [(seen.method, seen.host_role) for seen in fal.calls] == [
        ("POST", "queue"),
        ("GET", "queue"),
        ("GET", "queue"),
    ]


async def test_progress_tells_the_queue_and_then_the_steps(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(queue_position=2, queue_seconds=0.01, steps=4, step_seconds=0.01))
    said: list[tuple[float, float | None, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        said.append((progress, total, message or ""))

    with anyio.fail_after(BOUND):
        async with connect() as client:
            await client.call_tool(TOOL, ARGUMENTS, progress_callback=hear)
    values = [progress for progress, _, _ in said]
    assert values == sorted(set(values))
    messages = " | ".join(message for _, _, message in said)
    assert "3rd in fal's queue" in messages and "next in fal's queue" in messages
    assert "50 %" in messages or "75 %" in messages


async def test_what_the_model_refuses_names_the_argument(fal: Emulator, connect: Connect):
    """Fact F12.1: a 422 of the model itself, past the local check."""
    detail = {
        "loc": ["body", "image_url"],
        "msg": "Image too small",
        "type": "image_too_small",
        "ctx": {"min_width": 512},
    }
    fal.script(ENDPOINT, Script(failure=Failure(status=422, body={"detail": [detail]})))
    result = await call(connect)
    assert result.is_error
    assert "$.image_url: Image too small (min_width: 512)" in text(result)
    assert result.structured_content["error"]["kind"] == "InputRefused"
    assert result.structured_content["request_id"] in fal.jobs


@pytest.mark.parametrize(
    ("key", "status", "kind"),
    [
        (UNKNOWN_KEY, 401, "NotAuthorised"),
        (LOCKED_KEY, 403, "OutOfCredit"),
        (UNPAID_KEY, 402, "OutOfCredit"),
    ],
)
async def test_a_key_that_will_not_do_is_said_with_what_to_do(
    fal: Emulator, connect: Connect, key: str, status: int, kind: str
):
    result = await call(connect, key=key)
    error = result.structured_content["error"]
    assert result.is_error and (error["http_status"], error["kind"]) == (status, kind)
    assert "https://fal.ai/dashboard" in text(result)
    assert fal.jobs == {}
    assert key not in result.model_dump_json()


async def test_an_endpoint_that_fal_no_longer_has_is_not_found(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(submit=Reply(status=404, body={"detail": "Application not found"})))
    result = await call(connect)
    assert result.is_error and result.structured_content["error"]["kind"] == "NotFound"


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure(status=500, body={"detail": "Internal Server Error"}), "GenerationFailed"),
        (
            Failure(status=504, body={"detail": "Request timed out", "error_type": "request_timeout"}),
            "GenerationFailed",
        ),
    ],
)
async def test_a_job_that_fails_after_it_completed_is_an_error_with_its_request_id(
    fal: Emulator, connect: Connect, failure: Failure, kind: str
):
    """Fact F2.5: a failed request reaches COMPLETED; its result says what went wrong."""
    fal.script(ENDPOINT, Script(failure=failure))
    with anyio.fail_after(30):
        result = await call(connect)
    assert result.is_error and result.structured_content["error"]["kind"] == kind
    assert result.structured_content["request_id"] in text(result)
    assert submits(fal) == 1


async def test_a_stream_that_breaks_costs_nothing_but_a_poll(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(steps=8, drop_stream_after=2))
    result = await call(connect)
    assert not result.is_error
    assert submits(fal) == 1


@pytest.mark.parametrize(
    "script",
    [Script(stream=Reply(status=404, body={"detail": "Not Found"})), Script(stream_garbage=True)],
    ids=["refused", "garbage"],
)
async def test_a_stream_that_is_none_is_replaced_by_polling(fal: Emulator, connect: Connect, script: Script):
    fal.script(ENDPOINT, script)
    result = await call(connect)
    assert not result.is_error and submits(fal) == 1


async def test_a_submit_whose_answer_is_lost_is_not_sent_again(fal: Emulator, connect: Connect):
    """It may be running and paid for."""
    fal.script(ENDPOINT, Script(submit_drop=True, keeps_payloads=False))
    result = await call(connect)
    assert result.is_error and result.structured_content["error"]["kind"] == "MaybeReceived"
    assert "not sent again" in text(result)
    assert submits(fal) == 1


async def test_a_garbage_answer_to_a_submit_may_have_been_received(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(submit=Reply(status=200, body=b"\xff\xfe not json")))
    result = await call(connect)
    assert result.is_error and result.structured_content["error"]["kind"] == "MaybeReceived"


async def test_a_garbage_result_is_believed_when_it_comes_again_and_is_kept_as_it_is(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(result=Reply(status=200, body=b"\xff\xfe not json")))
    with anyio.fail_after(60):
        result = await call(connect)
    assert not result.is_error and "this is what it gave" in result.model_dump_json()


async def test_cancelling_a_call_that_waits_cancels_at_fal(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    await cancelled_when(fal, connect, "IN_QUEUE")
    with anyio.fail_after(BOUND):
        await fal.until(lambda: any(seen.path.endswith("/cancel") for seen in fal.calls))
        await fal.until(lambda: all(job.cancelled for job in fal.jobs.values()))


async def test_cancelling_a_call_that_runs_leaves_the_job_running(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(hold_running=True))
    await cancelled_when(fal, connect, "IN_PROGRESS")
    (job,) = fal.jobs.values()
    assert job.state == "IN_PROGRESS" and not job.cancelled
    assert not any(seen.path.endswith("/cancel") for seen in fal.calls)


async def cancelled_when(fal: Emulator, connect: Connect, state: str) -> None:
    """Call, and give up once the client has heard that the job is in this state."""
    heard = anyio.Event()
    running = state == "IN_PROGRESS"

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        in_queue = "queue" in (message or "")
        if (running and not in_queue and message != "sent to fal") or (not running and in_queue):
            heard.set()

    with anyio.fail_after(BOUND):
        async with connect() as client:
            async with anyio.create_task_group() as tasks:

                async def call() -> None:
                    await client.call_tool(TOOL, ARGUMENTS, progress_callback=hear)

                tasks.start_soon(call)
                await heard.wait()
                await fal.until(lambda: any(job.state == state for job in fal.jobs.values()))
                tasks.cancel_scope.cancel()


async def test_two_hundred_calls_at_once_each_get_their_own_result(fal: Emulator, connect: Connect):
    seeds: list[int] = []

    with anyio.fail_after(60):
        async with connect() as client:

            async def one(seed: int) -> None:
                result = await client.call_tool(TOOL, {"prompt": f"number {seed}", "seed": seed})
                assert not result.is_error
                seeds.append(result.structured_content["output"]["seed"])

            async with anyio.create_task_group() as tasks:
                for seed in range(200):
                    tasks.start_soon(one, seed)
    assert sorted(seeds) == list(range(200))
    assert len(fal.jobs) == 200


async def test_fals_throttling_is_waited_out(fal: Emulator, connect: Connect):
    fal.script(ENDPOINT, Script(submit=Reply(status=429, body={"detail": "Slow down"}, headers={"retry-after": "0"})))
    results: list[types.CallToolResult] = []
    with anyio.fail_after(60):
        async with connect() as client, anyio.create_task_group() as tasks:

            async def one() -> None:
                results.append(await client.call_tool(TOOL, ARGUMENTS))

            tasks.start_soon(one)
            await fal.until(lambda: submits(fal) >= 2)
            fal.script(ENDPOINT, Script())
    assert not results[0].is_error and len(fal.jobs) == 1
