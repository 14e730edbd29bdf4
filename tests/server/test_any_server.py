"""Two servers on one store, over HTTP, without stickiness: what one began or asked, the other goes on with."""

import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from tests import postgres
from tests.server.http_host import TASKS, Host, served
from tests.server.stdio_host import INITIALIZED, initialize
from tests.server.test_kill import ARGUMENTS, ENDPOINT, TOOL

BOUND = 180
FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
CALL: dict[str, Any] = {"name": TOOL, "arguments": ARGUMENTS}
ANEW: dict[str, Any] = {
    "name": "run_model",
    "arguments": {"endpoint_id": ENDPOINT, "arguments": ARGUMENTS, "fresh": True},
}
"""One that joins no job, so that it is asked about each time."""
AGAIN: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": CALL}
KEYS = "s" * 32
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Generator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres.cluster() as made:
        yield made.database()


@asynccontextmanager
async def two(settings: Settings, folder: Path, store: str | None, *more: str) -> AsyncGenerator[tuple[Host, Host]]:
    """Two servers: of one folder, or of one database and no folder in common."""
    where = ["--store", store] if store else []
    first, second = (folder / "1", folder / "2") if store else (folder, folder)
    async with (
        served(settings, first, *where, *more, state_keys=KEYS) as (one, _),
        served(settings, second, *where, *more, state_keys=KEYS) as (other, _),
    ):
        yield one, other


async def test_a_question_is_answered_at_the_other_server_and_once(
    fal: Emulator, settings: Settings, tmp_path: Path, store: str | None
):
    with anyio.fail_after(BOUND):
        async with two(settings, tmp_path, store, "--approve-over", "0.001") as (one, other):
            asked = (await one.ask("tools/call", FORMS, **ANEW))["result"]
            (key,) = asked["inputRequests"]
            said = {key: {"action": "accept", "content": {"approve": True}}}
            again = {**ANEW, "inputResponses": said, "requestState": asked["requestState"]}
            answer = (await other.ask("tools/call", FORMS, **again))["result"]
            replayed = (await one.ask("tools/call", FORMS, **again))["result"]
    assert answer["structuredContent"]["status"] == "completed", answer
    assert "requestState" in replayed, "an answer is one to one call"
    assert len(fal.jobs) == 1


async def test_a_task_is_asked_about_and_cancelled_at_the_other_server(
    fal: Emulator, settings: Settings, tmp_path: Path, store: str | None
):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with two(settings, tmp_path, store) as (one, other):
            task_id = (await one.ask("tools/call", TASKS, **CALL))["result"]["taskId"]
            there = (await other.ask("tasks/get", taskId=task_id))["result"]
            await other.ask("tasks/cancel", taskId=task_id)
            ended = await other.until(task_id, "cancelled", "completed")
    assert (there["status"], ended["status"]) == ("working", "cancelled")
    assert any(call.path.endswith("/cancel") for call in fal.calls) and len(fal.jobs) == 1


async def test_a_call_whose_connection_broke_is_the_same_job_when_it_is_made_again(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    """Before the revision of 2026 a broken connection ends no call; what it came to has reached nobody."""
    fal.script(ENDPOINT, Script(steps=0, hold_running=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (one, _), httpx.AsyncClient(timeout=BOUND) as client:
            await _broken_off(client, one, fal)
            (job,) = fal.jobs.values()
            job.release()
            states: list[str] = []
            while states != ["completed"]:
                listed = (await one.ask("tools/call", name="list_jobs", arguments={}))["result"]["structuredContent"]
                states = [row["state"] for row in listed["jobs"]]
            # Longer than an answer counts as being on its way.
            await anyio.sleep(0.5)
            found = await one.ask_after_handshake({}, "tools/call", **CALL)
    assert found["result"]["structuredContent"]["status"] == "completed" and len(fal.jobs) == 1


async def test_who_waits_at_a_server_that_ends_for_what_another_has_yet_to_send_is_told_so(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    answers: list[Any] = []

    async def ask(host: Host, name: str, **arguments: Any) -> None:
        answers.append((await host.ask("tools/call", {}, name=name, arguments=arguments))["result"])

    with anyio.fail_after(BOUND):
        async with (
            served(settings, tmp_path, "--max-running", "1") as (one, _),
            served(settings, tmp_path, "--max-running", "1") as (other, process),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(partial(ask, one, TOOL, prompt="runs"))
            await fal.until(lambda: len(fal.jobs) == 1)
            tasks.start_soon(partial(ask, one, TOOL, prompt="waits"))
            waiting = list[str]()
            while not waiting:
                listed = (await other.ask("tools/call", {}, name="list_jobs", arguments={}))["result"]
                jobs = listed["structuredContent"]["jobs"]
                waiting = [job["job_id"] for job in jobs if job["state"] == "waiting"]
            tasks.start_soon(partial(ask, other, "wait_for_job", job_id=waiting[0], seconds=50))
            while not re.search(r"^mcp_server_open_requests\S* 1", (await other.get("/metrics")).text, re.MULTILINE):
                pass
            process.terminate()
            await process.wait()
            told = [(answer["structuredContent"]["job_id"], bool(answer.get("isError"))) for answer in answers]
            assert told == [(waiting[0], False)]
            tasks.cancel_scope.cancel()


async def test_an_older_clients_session_is_not_found_at_the_other_server_and_its_job_is(
    fal: Emulator, settings: Settings, tmp_path: Path, store: str | None
):
    """404 is the specification's word for: begin anew. The call again in the new session joins the job."""
    fal.script(ENDPOINT, Script(steps=0, hold_running=True))
    with anyio.fail_after(BOUND):
        async with two(settings, tmp_path, store) as (one, other), httpx.AsyncClient(timeout=BOUND) as client:
            named = await _broken_off(client, one, fal)
            lost = await client.post(other.url, json=AGAIN, headers=named)
            for job in fal.jobs.values():
                job.release()
            found = await other.ask_after_handshake({}, "tools/call", **CALL)
    assert lost.status_code == 404
    assert found["result"]["structuredContent"]["status"] == "completed" and len(fal.jobs) == 1


async def _broken_off(client: httpx.AsyncClient, one: Host, fal: Emulator) -> dict[str, str]:
    """Make a call as a client of revision 2025-11-25, and break its connection while the job runs; the headers of its
    session."""
    hello = await client.post(one.url, json=initialize(), headers=ACCEPT)
    named = {**ACCEPT, "mcp-session-id": hello.headers["mcp-session-id"]}
    await client.post(one.url, json=INITIALIZED, headers=named)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_call, client, one.url, named)
        await fal.until(lambda: any(job.state == "IN_PROGRESS" for job in fal.jobs.values()))
        tasks.cancel_scope.cancel()
    return named


async def _call(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
    await client.post(url, json=AGAIN, headers=headers)
