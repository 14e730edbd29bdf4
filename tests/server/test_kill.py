"""The server is killed at every moment of a job: afterwards exactly one job exists at fal, and the ledger finds it."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script

ENDPOINT, TOOL = "fal-ai/flux/dev", "fal-ai_flux_dev"
ARGUMENTS = {"prompt": "a red bicycle", "seed": 7}
BOUND = 45


class Server:
    """One server process, spoken to line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self._read = b""
        self._id = 0

    async def send(self, method: str, params: dict[str, Any]) -> int:
        self._id += 1
        message = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}
        assert self.process.stdin
        await self.process.stdin.send(json.dumps(message).encode() + b"\n")
        return self._id

    async def answer(self, number: int) -> Any:
        assert self.process.stdout
        while True:
            while b"\n" not in self._read:
                self._read += await self.process.stdout.receive()
            line, self._read = self._read.split(b"\n", 1)
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]

    async def hello(self) -> None:
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        await self.answer(await self.send("initialize", client))
        assert self.process.stdin
        await self.process.stdin.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        result = await self.answer(await self.send("tools/call", {"name": name, "arguments": arguments}))
        return result["structuredContent"]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)


@asynccontextmanager
async def server(settings: Settings, data: Path, *more: str) -> AsyncGenerator[Server]:
    root = settings.hosts.queue.removesuffix("/queue")
    command = [
        sys.executable,
        "-m",
        "fal_mcp",
        "--fal-url",
        root,
        "--data-dir",
        str(data),
        "--refresh-hours",
        "0",
        *more,
    ]
    async with await anyio.open_process(
        command, env={**os.environ, "FAL_KEY": settings.key or ""}, stderr=None
    ) as process:
        found = Server(process)
        try:
            await found.hello()
            yield found
        finally:
            if process.returncode is None:
                found.kill()


def has_call(fal: Emulator, method: str, ending: str) -> bool:
    return any(call.method == method and call.path.endswith(ending) for call in fal.calls)


MOMENTS: dict[str, tuple[Script, Callable[[Emulator], bool]]] = {
    "before submit": (Script(hold_submit="before"), lambda fal: has_call(fal, "POST", "")),
    "after submit, before the row": (Script(hold_submit="after"), lambda fal: len(fal.jobs) == 1),
    "in the queue": (Script(hold_in_queue=True), lambda fal: has_call(fal, "GET", "/stream")),
    "running": (Script(hold_running=True), lambda fal: any(j.state == "IN_PROGRESS" for j in fal.jobs.values())),
    "before the result was read": (
        Script(hold_result=True),
        lambda fal: any(has_call(fal, "GET", request_id) for request_id in fal.jobs),
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_then_started_again_it_finds_the_one_job(
    fal: Emulator, settings: Settings, tmp_path: Path, moment: str
):
    """ "During submit" is the second: fal has the job and its answer is on the way."""
    script, reached = MOMENTS[moment]
    fal.script(ENDPOINT, script)
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as first:
            await first.send("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            await fal.until(lambda: reached(fal))
            # What was told to the server is on its disk before it answers anything else.
            await first.call("list_jobs", {})
            first.kill()
            await first.process.wait()
        fal.script(ENDPOINT, Script())
        fal.release()
        for job in fal.jobs.values():
            job.release()
        async with server(settings, tmp_path) as second:
            (row,) = (await second.call("list_jobs", {}))["jobs"]
            if moment == "before submit":
                # fal may yet act on what it had received; the emulator does.
                await fal.until(lambda: len(fal.jobs) == 1)
            result = await second.call("wait_for_job", {"job_id": row["job_id"]})
            while result.get("status") in ("in_progress", "unknown"):
                result = await second.call("wait_for_job", {"job_id": row["job_id"], "seconds": 1})
    assert len(fal.jobs) == 1
    assert result["status"] == "completed" and result["request_id"] in fal.jobs


async def test_a_thousand_unfinished_jobs_do_not_delay_a_start(settings: Settings, tmp_path: Path):
    """Bound and ratio are measured in benchmarks; here it must only work."""
    from fal_mcp.client.queue import Request
    from fal_mcp.jobs.job import Order, owner_of
    from fal_mcp.jobs.ledger import Ledger, Limits

    file = replace(settings, data=tmp_path).ledger_file
    ledger = Ledger(file)
    for number in range(1000):
        job = await ledger.begin(Order(ENDPOINT, {"prompt": str(number)}, owner_of(settings.key)), Limits())
        here = f"{settings.hosts.queue}/fal-ai/flux/requests/{number}"
        await ledger.accepted(job.job_id, Request(ENDPOINT, str(number), f"{here}/status", here, f"{here}/cancel"))
    await ledger.aclose()
    with anyio.fail_after(BOUND):
        async with server(settings, tmp_path) as started:
            assert len((await started.call("list_jobs", {"limit": 100}))["jobs"]) == 100


async def test_killed_in_the_middle_of_an_upload_only_what_is_missing_is_sent_again(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    """A file in parts, the server killed once half of them arrived."""
    folder = tmp_path / "films"
    await anyio.Path(folder).mkdir()
    size = 120 * 1024 * 1024
    content = b"\0\0\0\x18ftypmp42" + os.urandom(1024) * (size // 1024)
    await anyio.Path(folder / "film.mp4").write_bytes(content)
    count = -(-len(content) // (10 * 1024 * 1024))
    arguments = {"video_url": str(folder / "film.mp4")}

    def parts() -> list[str]:
        puts = [call.path for call in fal.calls if call.host_role == "cdn" and call.method == "PUT"]
        return [path for path in puts if path.rsplit("/", 1)[-1].isdecimal()]

    with anyio.fail_after(BOUND * 2):
        async with server(settings, tmp_path, "--allow-dir", str(folder)) as first:
            await first.send("tools/call", {"name": "fal-ai_birefnet_v2_video", "arguments": arguments})
            await fal.until(lambda: len(parts()) >= count // 2)
            first.kill()
            await first.process.wait()
        before = len(parts())
        async with server(settings, tmp_path, "--allow-dir", str(folder)) as second:
            result = await second.call("fal-ai_birefnet_v2_video", arguments)
    begun = sum("initiate-multipart" in call.path for call in fal.calls)
    # What had arrived and not been written down yet is sent once more: at most what was on the way at once.
    assert begun == 1 and len(parts()) - before <= count - before + 6
    (job,) = fal.jobs.values()
    stored = fal.files[job.input["video_url"].split("/cdn", 1)[1]].content
    assert result["status"] == "completed" and stored == content
