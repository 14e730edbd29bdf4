"""An answer that nobody got is not an answer: the call again gets the same job. One that was had is had, and the call
again is a wish for another. Every way a call can end, in both protocol eras."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.emulator.script import Reply
from fal_mcp.server import app
from tests.server.test_kill import Server, server

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
CHANCE: dict[str, Any] = {"prompt": "a red bicycle"}
BATCH = {"endpoint_id": ENDPOINT, "arguments": [CHANCE], "count": 3}
CHAIN = {"steps": [{"endpoint_id": ENDPOINT, "arguments": CHANCE}]}
BOUND = 60
Host = Callable[..., Client]


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"data": tmp_path / "data", **changes})
        return Client(app.build(chosen), mode=request.param, elicitation_callback=answer)

    return client


async def give_up(client: Client, tool: str, arguments: dict[str, Any], until: Callable[[], Awaitable[None]]) -> None:
    """Call, and give up once something has happened, as a host does whose time is over."""
    with anyio.move_on_after(BOUND) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, tool, arguments)
            await until()
            scope.cancel()


def running(fal: Emulator, count: int = 1) -> Callable[[], Awaitable[None]]:
    async def until() -> None:
        await fal.until(lambda: sum(job.state == "IN_PROGRESS" for job in fal.jobs.values()) == count)
        # What fal says is heard a moment later.
        await anyio.sleep(0.2)

    return until


@pytest.mark.parametrize(
    ("tool", "arguments", "count"), [(TOOL, CHANCE, 1), ("run_batch", BATCH, 3), ("run_chain", CHAIN, 1)]
)
@pytest.mark.parametrize("released", ["before", "after"])
async def test_the_call_again_after_a_host_gave_up_is_the_same_job(
    fal: Emulator, host: Host, tool: str, arguments: dict[str, Any], count: int, released: str
):
    """It may have ended meanwhile, or still run."""
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            await give_up(client, tool, arguments, running(fal, count))
            for job in fal.jobs.values():
                job.release()
            if released == "before":
                listed: list[str] = []
                while set(listed) != {"completed"}:
                    rows = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
                    listed = [row["state"] for row in rows]
            again = await client.call_tool(tool, arguments)
            assert not again.is_error and again.structured_content["status"] == "completed"
            assert len(fal.jobs) == count
            fal.script(ENDPOINT, Script())
            await client.call_tool(tool, arguments)
    assert len(fal.jobs) == 2 * count, "the one after an answer is another"


async def test_an_answered_call_again_is_another_and_so_is_a_fresh_one(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await client.call_tool(TOOL, CHANCE)
            second = await client.call_tool(TOOL, CHANCE)
        async with host() as client:
            third = await client.call_tool(TOOL, CHANCE)
    ids = {result.structured_content["job_id"] for result in (first, second, third)}
    assert len(ids) == 3 == len(fal.jobs)


async def test_fresh_runs_anew_what_nobody_got(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.3) as client:
            await give_up(client, TOOL, CHANCE, running(fal))
            await client.call_tool("run_model", {"endpoint_id": ENDPOINT, "arguments": CHANCE, "fresh": True})
    assert len(fal.jobs) == 2


async def test_waiting_for_the_job_is_an_answer_too(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            await give_up(client, TOOL, CHANCE, running(fal))
            (row,) = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
            next(iter(fal.jobs.values())).release()
            fal.script(ENDPOINT, Script())
            await client.call_tool("wait_for_job", {"job_id": row["job_id"]})
            await client.call_tool(TOOL, CHANCE)
    assert len(fal.jobs) == 2


async def test_what_failed_at_fal_free_of_charge_runs_anew(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(failure=Failure(500, {"detail": "CUDA out of memory"})))
    with anyio.fail_after(BOUND):
        async with host() as client:
            failed = await client.call_tool(TOOL, CHANCE)
            fal.script(ENDPOINT, Script())
            done = await client.call_tool(TOOL, CHANCE)
    assert failed.is_error and not done.is_error and len(fal.jobs) == 2


@pytest.mark.parametrize(
    "submit",
    [
        Reply(status=500, body={"detail": "Internal Server Error"}),
        Reply(status=502, body=b"<html>Bad Gateway</html>"),
        Reply(status=200, body=b"<html>hello</html>"),
        Reply(status=200, body=b""),
        Reply(status=200, body=b"null"),
        Reply(status=403, body=b"<html>a proxy</html>"),
    ],
    ids=["500", "502", "page", "empty", "null", "a proxy's 403"],
)
async def test_a_submit_that_proves_nothing_is_not_paid_again(fal: Emulator, host: Host, submit: Reply):
    """fal has nothing of it in its records: it counts as spent, and the same call again submits nothing."""
    fal.script(ENDPOINT, Script(submit=submit))
    with anyio.fail_after(BOUND):
        async with host() as client:
            first = await client.call_tool(TOOL, CHANCE)
            submits = sum(call.method == "POST" and call.path.endswith(ENDPOINT) for call in fal.calls)
            again = await client.call_tool(TOOL, CHANCE)
            listed = await client.call_tool("list_jobs", {})
    assert first.structured_content["error"]["kind"] == "MaybeReceived"
    assert (
        first.structured_content["error"]["retryable"] is False and "job_" in first.structured_content["error"]["hint"]
    )
    assert again.structured_content["status"] in ("unknown", "failed")
    assert sum(call.method == "POST" and call.path.endswith(ENDPOINT) for call in fal.calls) == submits
    assert [row["state"] for row in listed.structured_content["jobs"]] == ["unknown"]
    assert listed.structured_content["spent_today_usd"] > 0


async def test_a_client_that_gives_up_without_a_word_gets_its_job(fal: Emulator, settings: Settings, tmp_path: Path):
    """The same call three times on one connection, each after the one before had no answer; and two at once are two."""
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as host:
            numbers: list[int] = []
            for _ in range(3):
                numbers.append(await host.send("tools/call", {"name": TOOL, "arguments": CHANCE}))
                await anyio.sleep(1.3)
            await fal.until(lambda: len(fal.jobs) == 1)
            other = {**CHANCE, "prompt": "two at once"}
            for _ in range(2):
                await host.send("tools/call", {"name": TOOL, "arguments": other})
            await fal.until(lambda: len(fal.jobs) == 3)
            for job in fal.jobs.values():
                job.release()
            answers = {json.dumps((await host.answer(number))["structuredContent"]["job_id"]) for number in numbers[:1]}
    assert len(answers) == 1 and len(fal.jobs) == 3


MOMENTS: dict[str, tuple[Script, Callable[[Emulator], bool]]] = {
    "submit on its way": (Script(hold_submit="before"), lambda fal: any(call.method == "POST" for call in fal.calls)),
    "submit taken": (Script(hold_submit="after"), lambda fal: len(fal.jobs) == 1),
    "queued": (Script(hold_in_queue=True), lambda fal: any(call.path.endswith("/stream") for call in fal.calls)),
    "running": (Script(hold_running=True), lambda fal: any(j.state == "IN_PROGRESS" for j in fal.jobs.values())),
    "result on its way": (
        Script(hold_result=True),
        lambda fal: any(call.path.endswith(job) for job in fal.jobs for call in fal.calls),
    ),
}


@pytest.mark.parametrize("turn", range(6))
@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_the_call_again_pays_nothing_twice(
    fal: Emulator, settings: Settings, tmp_path: Path, moment: str, turn: int
):
    """Thirty times: kill -9, start again, the same call with its seed left to chance. 0 doubled, 0 lost."""
    script, reached = MOMENTS[moment]
    fal.script(ENDPOINT, script)
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as first:
            await first.send("tools/call", {"name": TOOL, "arguments": CHANCE})
            await fal.until(lambda: reached(fal))
            await anyio.sleep(0.05 * turn)
            await killed(first)
        fal.script(ENDPOINT, Script())
        fal.release()
        for job in fal.jobs.values():
            job.release()
        await fal.until(lambda: len(fal.jobs) == 1)
        async with server(settings, tmp_path) as second:
            result = await second.call(TOOL, CHANCE)
            while result.get("status") != "completed":
                (row,) = (await second.call("list_jobs", {}))["jobs"]
                result = await second.call("wait_for_job", {"job_id": row["job_id"], "seconds": 2})
    assert len(fal.jobs) == 1 and result["request_id"] in fal.jobs


async def killed(host: Server) -> None:
    host.kill()
    await host.process.wait()


async def test_one_yes_is_for_one_run(fal: Emulator, host: Host):
    """The approved call, sent again as it was, is asked about again."""
    asked: list[str] = []

    async def yes(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    with anyio.fail_after(BOUND):
        async with host(yes, approve_over=0.0) as client:
            for _ in range(3):
                await client.call_tool(TOOL, CHANCE)
    assert len(asked) == len(fal.jobs) == 3


async def test_an_approval_that_is_sent_three_times_runs_once(fal: Emulator, settings: Settings, tmp_path: Path):
    from tests.server.http_host import served

    forms: dict[str, Any] = {"elicitation": {"form": {}}}
    call = {"name": TOOL, "arguments": CHANCE}
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path, "--approve-over", "0") as (http, _):
            asked = (await http.ask("tools/call", forms, **call))["result"]
            yes = {"input": {"action": "accept", "content": {"approve": True}}}
            results = [
                (await http.ask("tools/call", forms, **call, inputResponses=yes, requestState=asked["requestState"]))[
                    "result"
                ]
                for _ in range(3)
            ]
    assert [result["resultType"] for result in results] == ["complete", "input_required", "input_required"]
    assert len(fal.jobs) == 1
