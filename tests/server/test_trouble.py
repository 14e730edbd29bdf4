"""Following is not running, and neither is fetching: no trouble on the way ends a job, and nobody pays twice for it."""

import gc
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.emulator.script import Reply
from fal_mcp.engine import Engine
from fal_mcp.jobs.follower import Follower
from fal_mcp.jobs.job import Order
from fal_mcp.server import app

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
CHANCE: dict[str, Any] = {"prompt": "a red bicycle"}
FIXED = {**CHANCE, "seed": 7}
BOUND = 40
Host = Callable[..., Client]
OTHER_KEY = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = replace(settings, **{"data": tmp_path / "data", **changes})
        return Client(app.build(chosen), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


NO_STREAM = Reply(status=404, body={"detail": "Not Found"})
BAD_STATUS = {
    "500": Reply(status=500, body={"detail": "Internal Server Error"}),
    "502": Reply(status=502, body=b"<html>Bad Gateway</html>"),
    "429": Reply(status=429, body={"detail": "Too many"}, headers={"retry-after": "1"}),
    "a page": Reply(status=200, body=b"<html>hello</html>"),
    "empty": Reply(status=200, body=b""),
    "bytes": Reply(status=200, body=b"\xff\xfe\x00"),
    "another word": Reply(status=200, body={"status": "PAUSED"}),
    "a redirect": Reply(status=302, body=b"", headers={"location": "https://elsewhere.example/"}),
    "broken gzip": Reply(status=200, body=b"\x1f\x8b\x08\x00oops", headers={"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("reply", BAD_STATUS.values(), ids=BAD_STATUS)
async def test_trouble_with_the_status_is_no_end_of_the_job(fal: Emulator, host: Host, reply: Reply):
    """In progress, with the job's id; the same call again is that job; and then its result."""
    fal.script(ENDPOINT, Script(stream=NO_STREAM, status=reply))
    with anyio.fail_after(BOUND):
        async with host(wait=1.0) as client:
            pending = await client.call_tool(TOOL, FIXED)
            again = await client.call_tool(TOOL, FIXED)
            job_id = pending.structured_content["job_id"]
            (job,) = fal.jobs.values()
            job.script = replace(job.script, status=None)
            done = await until_over(client, job_id)
    assert not pending.is_error and pending.structured_content["status"] == "in_progress" and job_id in text(pending)
    assert again.structured_content["job_id"] == job_id
    assert done.structured_content["output"]["seed"] == 7 and len(fal.jobs) == 1


async def until_over(client: Client, job_id: str) -> types.CallToolResult:
    while True:
        result = await client.call_tool("wait_for_job", {"job_id": job_id, "seconds": 5})
        if result.structured_content.get("status") != "in_progress":
            return result


BAD_RESULT = {name: BAD_STATUS[name] for name in ("500", "502", "a page", "empty", "bytes", "a redirect", "429")}


@pytest.mark.parametrize("reply", BAD_RESULT.values(), ids=BAD_RESULT)
async def test_a_result_that_cannot_be_fetched_now_is_fetched_later(fal: Emulator, host: Host, reply: Reply):
    fal.script(ENDPOINT, Script(result=reply))
    with anyio.fail_after(BOUND):
        async with host(wait=0.5) as client:
            pending = await client.call_tool(TOOL, CHANCE)
            job_id = pending.structured_content["job_id"]
            (job,) = fal.jobs.values()
            job.script = replace(job.script, result=None)
            done = await until_over(client, job_id)
            listed = await client.call_tool("list_jobs", {})
    assert not pending.is_error and pending.structured_content["status"] == "in_progress"
    assert done.structured_content["status"] == "completed" and done.structured_content["files"]
    assert [row["state"] for row in listed.structured_content["jobs"]] == ["completed"] and len(fal.jobs) == 1


async def test_a_server_that_starts_later_fetches_it_too(fal: Emulator, host: Host):
    fal.script(ENDPOINT, Script(result=BAD_STATUS["500"]))
    with anyio.fail_after(BOUND):
        async with host(wait=0.5) as client:
            job_id = (await client.call_tool(TOOL, CHANCE)).structured_content["job_id"]
        (job,) = fal.jobs.values()
        job.script = replace(job.script, result=None)
        async with host() as client:
            done = await until_over(client, job_id)
            looked = await client.call_tool("get_job", {"job_id": job_id})
    assert done.structured_content["status"] == looked.structured_content["status"] == "completed"


async def given_up(client: Client, tool: str, arguments: dict[str, Any], until: Callable[[], Any]) -> None:
    """Call, and give up as soon as something has happened."""
    with anyio.move_on_after(BOUND) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, tool, arguments)
            await until()
            scope.cancel()


@pytest.mark.parametrize("script", [Script(hold_in_queue=True), Script(hold_running=True)], ids=["queued", "running"])
@pytest.mark.parametrize("policy", ["detach", "cancel"])
async def test_giving_up_on_waiting_cancels_nothing(fal: Emulator, host: Host, script: Script, policy: Any):
    fal.script(ENDPOINT, script)
    with anyio.fail_after(BOUND):
        async with host(wait=0.3, on_disconnect=policy) as client:
            job_id = (await client.call_tool(TOOL, CHANCE)).structured_content["job_id"]
            heard = anyio.Event()

            async def hear(progress: float, total: float | None, message: str | None) -> None:
                heard.set()

            with anyio.move_on_after(BOUND) as scope:
                async with anyio.create_task_group() as tasks:

                    async def wait() -> None:
                        await client.call_tool("wait_for_job", {"job_id": job_id}, progress_callback=hear)

                    tasks.start_soon(wait)
                    await heard.wait()
                    scope.cancel()
            looked = await client.call_tool("get_job", {"job_id": job_id})
    assert [job.cancelled for job in fal.jobs.values()] == [False] and not looked.is_error


async def test_what_is_cancelled_while_it_runs_counts_and_what_waits_does_not(fal: Emulator, host: Host):
    async def cancelled(script: Script) -> float:
        fal.script(ENDPOINT, script)
        async with host(wait=0.3) as client:
            job_id = (await client.call_tool(TOOL, FIXED)).structured_content["job_id"]
            await client.call_tool("cancel_job", {"job_id": job_id})
            ended = await client.call_tool("wait_for_job", {"job_id": job_id})
            assert ended.is_error
            return (await client.call_tool("list_jobs", {})).structured_content["spent_today_usd"]

    with anyio.fail_after(BOUND):
        assert await cancelled(Script(hold_in_queue=True)) == 0
        assert await cancelled(Script(hold_running=True)) > 0


async def test_another_key_on_the_same_machine_sees_and_joins_nothing(fal: Emulator, host: Host):
    fal.keys.add(OTHER_KEY)
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host(wait=0.3) as first, host(wait=0.3, key=OTHER_KEY) as second:
            own = (await first.call_tool(TOOL, FIXED)).structured_content["job_id"]
            other = (await second.call_tool(TOOL, FIXED)).structured_content["job_id"]
            looks = [
                await second.call_tool(name, {"job_id": own}) for name in ("get_job", "wait_for_job", "cancel_job")
            ]
            listed = await second.call_tool("list_jobs", {})
    assert own != other and len(fal.jobs) == 2
    assert all(look.structured_content["error"]["kind"] == "NotFound" for look in looks)
    assert [row["job_id"] for row in listed.structured_content["jobs"]] == [other]
    keys = {
        job.request_id: {call.headers.get("authorization") for call in fal.calls if job.request_id in call.path}
        for job in fal.jobs.values()
    }
    assert all(len(used) == 1 for used in keys.values()), "each job is asked about with its own key"


@asynccontextmanager
async def locked(file: Path) -> AsyncGenerator[None]:
    def lock() -> sqlite3.Connection:
        holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN EXCLUSIVE")
        return holder

    with closing(await anyio.to_thread.run_sync(lock)):
        yield


async def test_a_locked_ledger_holds_up_nobody_but_who_needs_it(
    fal: Emulator, host: Host, settings: Settings, tmp_path: Path
):
    file = replace(settings, data=tmp_path / "data").ledger_file
    assert file is not None
    took, results = list[float](), list[types.CallToolResult]()
    with anyio.fail_after(BOUND):
        async with host() as client:
            await client.call_tool(TOOL, FIXED)
            await client.call_tool("search_models", {"query": "video"})
            async with locked(file), anyio.create_task_group() as tasks:

                async def paid() -> None:
                    results.append(await client.call_tool(TOOL, {**FIXED, "seed": 8}))

                tasks.start_soon(paid)
                while not results:
                    began = time.perf_counter()
                    await client.call_tool("search_models", {"query": "video"})
                    took.append(time.perf_counter() - began)
            after = await client.call_tool(TOOL, {**FIXED, "seed": 9})
    assert results[0].is_error and "is locked by another program" in text(results[0]) and not after.is_error
    assert len(fal.jobs) == 2, "what could not be written down was not submitted"
    assert sorted(took)[len(took) // 2] <= 0.05


async def test_a_job_that_ends_while_the_ledger_is_locked_is_answered_and_written_later(
    fal: Emulator, host: Host, settings: Settings, tmp_path: Path
):
    file = replace(settings, data=tmp_path / "data").ledger_file
    assert file is not None
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with host() as client:
            results: list[types.CallToolResult] = []
            answered = anyio.Event()

            async def run() -> None:
                results.append(await client.call_tool(TOOL, FIXED))
                answered.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
                await stands(client, "running")
                async with locked(file):
                    next(iter(fal.jobs.values())).release()
                    # A server tries for five seconds to write into a locked file; no answer waits for that.
                    with anyio.fail_after(2):
                        await answered.wait()
            await stands(client, "completed")
            fal.script(ENDPOINT, Script())
            await anyio.to_thread.run_sync(until_arrived, file)
            # It was answered before its end was written, and is owed to nobody for all that.
            again = await client.call_tool(TOOL, FIXED)
    assert results[0].structured_content["output"]["seed"] == 7
    assert again.structured_content["job_id"] != results[0].structured_content["job_id"]


def until_arrived(file: Path) -> None:
    """Wait until the ledger knows that a client has the one job's answer."""
    answered, deadline = None, time.monotonic() + BOUND
    while answered is None:
        assert time.monotonic() < deadline
        with closing(sqlite3.connect(file)) as database:
            (answered,) = database.execute("SELECT answered FROM job").fetchone()


async def stands(client: Client, state: str) -> None:
    """Wait until the one job stands so in the ledger."""
    found = ""
    while found != state:
        (row,) = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
        found = row["state"]


async def test_a_place_that_cannot_be_written_stops_paid_calls_alone(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host(data=Path("/dev/null")) as client:
            paid = await client.call_tool(TOOL, FIXED)
            free = await client.call_tool("search_models", {"query": "video"})
            listed = await client.call_tool("list_jobs", {})
    assert not free.is_error and fal.jobs == {}
    for refused in (paid, listed):
        assert refused.structured_content["error"]["kind"] == "NotRecorded" and "--data-dir" in text(refused)


async def test_files_stay_here_where_the_user_says_no(fal: Emulator, host: Host, tmp_path: Path):
    picture = tmp_path / "private.png"
    await anyio.Path(picture).write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    edit = {"endpoint_id": "fal-ai/flux-pro/kontext", "arguments": {"prompt": "x", "image_url": str(picture)}}
    batch = {"endpoint_id": edit["endpoint_id"], "arguments": [edit["arguments"]]}

    async def no(context: Any, params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="decline")

    with anyio.fail_after(BOUND):
        for changes in ({"approve_over": 0.0}, {"daily_budget": 0.0}):
            async with host(no, allow_dirs=(tmp_path,), **changes) as client:
                results = [
                    await client.call_tool("run_model", edit),
                    await client.call_tool("run_model", {**edit, "mode": "sync"}),
                    await client.call_tool("run_batch", batch),
                    await client.call_tool("run_chain", {"steps": [edit]}),
                ]
            assert all(result.structured_content["error"]["kind"] == "BudgetExceeded" for result in results)
    assert fal.files == {} and fal.jobs == {}


@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        (422, {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]}, True),
        (422, {"detail": "The picture has no face."}, True),
        (400, {"detail": [{"loc": ["body", "image_url"], "msg": "no", "type": "image_too_small"}]}, True),
        (500, {"detail": "CUDA out of memory"}, False),
        (500, {"detail": [{"loc": ["body"], "msg": "oops", "type": "internal_server_error"}]}, False),
        (504, {"detail": [{"loc": ["body"], "msg": "too slow", "type": "generation_timeout"}]}, False),
    ],
)
async def test_what_a_model_refused_after_it_had_begun_may_be_billed(
    fal: Emulator, host: Host, status: int, body: Any, counts: bool
):
    """fal bills no failure of its own; a refusal that cost time may be on its bill, and counts as estimated."""
    fal.script(ENDPOINT, Script(hold_running=True, failure=Failure(status, body)))
    with anyio.fail_after(BOUND):
        async with host(wait=0.5) as client:
            pending = await client.call_tool(TOOL, FIXED)
            while (await client.call_tool("list_jobs", {})).structured_content["jobs"][0]["state"] != "running":
                continue
            next(iter(fal.jobs.values())).release()
            failed = await client.call_tool("wait_for_job", {"job_id": pending.structured_content["job_id"]})
            listed = await client.call_tool("list_jobs", {})
    assert failed.is_error and listed.structured_content["jobs"][0]["state"] == "failed"
    assert (listed.structured_content["spent_today_usd"] > 0) is counts


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (TOOL, {**CHANCE, "loras": [{"path": "https://a/b", "scale": 1}] * 50_000}),
        ("run_model", {"endpoint_id": ENDPOINT, "arguments": {**CHANCE, "x": [[[1] * 100] * 100] * 100}}),
        ("run_batch", {"endpoint_id": ENDPOINT, "arguments": [{**CHANCE, "x": list(range(30_000))}]}),
        ("estimate_cost", {"endpoint_id": ENDPOINT, "arguments": {str(name): None for name in range(30_000)}}),
        ("search_models", {"query": "a", "x": [""] * 30_000}),
    ],
)
async def test_more_values_than_anybody_reads_are_refused_before_they_are_gone_through(
    fal: Emulator, host: Host, tool: str, arguments: dict[str, Any]
):
    with anyio.fail_after(BOUND):
        async with host() as client:
            refused = await client.call_tool(tool, arguments)
    assert refused.is_error and "more than 20,000 values" in text(refused) and not fal.jobs


async def test_a_job_that_fal_does_not_know_is_never_asked_for_at_a_start(
    fal: Emulator, settings: Settings, host: Host, tmp_path: Path
):
    """However many servers start, its row still says `lost`, and fal was not asked again for it."""
    with anyio.fail_after(BOUND):
        async with Engine(replace(settings, data=tmp_path / "data"), None, _nothing) as engine:
            order = Order(ENDPOINT, CHANCE, owner=engine.owner, is_fresh=True)
            lost = (await engine.jobs.ledger.begin(order, engine.jobs.limits)).job_id
            request = f"{settings.hosts.queue}/{ENDPOINT}/requests/gone"
            where = {"request_id": "gone", "status_url": f"{request}/status", "response_url": request}
            await engine.jobs.ledger.record(lost, None, state="lost", **where)
        for _ in range(3):
            async with Engine(replace(settings, data=tmp_path / "data"), None, _nothing) as engine:
                await engine.jobs.picks_up.take_over()
                await engine.jobs.picks_up.look_again()
        async with host() as client:
            (row,) = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
            result = await client.call_tool("get_job", {"job_id": lost})
    assert row["state"] == "lost" and lost in text(result) and "fresh" in text(result)
    assert "failed" not in text(result), "it may be paid for"
    assert not fal.calls


async def test_a_report_that_fails_keeps_no_job_in_memory(fal: Emulator, settings: Settings, tmp_path: Path):
    """Whoever hears a job's progress may fail at it: nobody is counted as waiting after that."""
    with anyio.fail_after(BOUND):
        async with Engine(replace(settings, data=tmp_path / "data"), None, _nothing) as engine:
            for _ in range(5):
                order = Order(ENDPOINT, CHANCE, owner=engine.owner, is_fresh=True)
                job = (await engine.jobs.start(order)).job
                with pytest.raises(RuntimeError, match="nobody hears"):
                    await engine.jobs.wait(job, BOUND, _fail)
                # Whoever waits after that waits as ever, and is told the end.
                done = await engine.jobs.wait(job, BOUND, _hear)
                assert done.state == "completed"
            # Who waited is told the end a moment before its follower has gone.
            while [thing for thing in gc.get_objects() if isinstance(thing, Follower)]:
                await anyio.lowlevel.checkpoint()
                gc.collect()


class Records(httpx.AsyncHTTPTransport):
    """A way to fal on which its records are read slowly: not before `go`, once they were `asked` for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "by-endpoint" in request.url.path:
            self.asked.set()
            await self.go.wait()
        return await super().handle_async_request(request)


async def test_a_lost_submit_that_another_finds_meanwhile_is_waited_for(settings: Settings, tmp_path: Path):
    """Two look for it in fal's records at once; the one that comes second finds it taken, by itself."""
    records, ended = Records(), list[str]()
    with anyio.fail_after(BOUND):
        async with Engine(replace(settings, data=tmp_path / "data"), records, _nothing) as engine:
            order = Order(ENDPOINT, CHANCE, owner=engine.owner, is_fresh=True)
            job_id = (await engine.jobs.ledger.begin(order, engine.jobs.limits)).job_id
            request = await engine.fal.queue.submit(ENDPOINT, CHANCE)
            await engine.jobs.ledger.record(job_id, None, state="unknown")
            job = await engine.jobs.get(job_id, engine.owner)

            async def wait() -> None:
                ended.append((await engine.jobs.wait(job, BOUND, _hear)).state)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await records.asked.wait()
                await engine.jobs.ledger.accepted(job_id, request)
                records.go.set()
    assert ended == ["completed"]


async def _hear(_: Any) -> None:
    await anyio.lowlevel.checkpoint()


async def _nothing() -> None:
    await anyio.lowlevel.checkpoint()


async def _fail(_: Any) -> None:
    await anyio.lowlevel.checkpoint()
    raise RuntimeError("nobody hears this")
