"""One of two servers is killed, or held up, while jobs of it stand in every window at once: between the row and the
submit, the submit and its row, in fal's queue, running, before the result is read, and before it is written down."""

import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psycopg

from benchmarks import call
from fal_mcp import bundled
from fal_mcp.catalog.endpoint import tool_name
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.emulator.job import Job as FalJob
from fal_mcp.jobs.job import Job, owner_of
from fal_mcp.jobs.ledger import Ledger
from tests.server.test_kill import Server, server

MOST = 15.0
_LONGEST = 90.0
_LOOK_AGAIN_AFTER = 0.1
_NOT_WRITTEN = "fal-ai/bytedance/seedream/v4/text-to-image"
_WINDOWS: dict[str, Script] = {
    "fal-ai/flux/dev": Script(hold_submit="before"),
    "fal-ai/flux/schnell": Script(hold_submit="after"),
    "fal-ai/fast-sdxl": Script(hold_in_queue=True),
    "fal-ai/qwen-image": Script(hold_running=True),
    "fal-ai/stable-diffusion-v35-large": Script(hold_result=True),
    _NOT_WRITTEN: Script(hold_running=True),
}


class Windows:
    """The stand-in for fal, the ledger, and what was seen."""

    def __init__(self, fal: Emulator, url: str, store: str, folder: Path) -> None:
        self.fal = fal
        self.ledger = Ledger(store)
        self.waits: list[float] = []
        self.wrong: list[str] = []
        self._settings = Settings(key=call.KEY, hosts=Hosts.at(url))
        self._store = store
        self._folder = folder

    def server(self, name: str) -> "AsyncGenerator[Server]":
        """A server of this ledger."""
        return server(self._settings, self._folder / name, "--store", self._store)

    async def round(self, number: int, *, is_killed: bool) -> None:
        """A server begins a job for each window; then it is gone, and the other one sees to all of them."""
        async with self.server(f"victim-{number}") as victim:
            for endpoint_id in _WINDOWS:
                arguments = {"prompt": "x", "seed": number}
                await victim.send("tools/call", {"name": tool_name(endpoint_id), "arguments": arguments})
            await self._until(lambda: self._is_at_windows(number))
            async with self._locked(number):
                os.kill(victim.process.pid, signal.SIGKILL if is_killed else signal.SIGSTOP)
            began, sessions = time.monotonic(), {job.session for job in await self._rows(number)}
            await self._rows_until(number, lambda job: job.session not in sessions)
            self.waits.append(time.monotonic() - began)
            self._release()
            await self._rows_until(number, lambda job: job.is_over)
            before = await self._rows(number)
            if not is_killed:
                os.kill(victim.process.pid, signal.SIGCONT)
                # It answers once it has read what came meanwhile, and so has said what it had to say.
                with anyio.fail_after(_LONGEST):
                    await victim.call("list_jobs", {})
        self._check(number, before, await self._rows(number))

    def _check(self, number: int, before: list[Job], after: list[Job]) -> None:
        submits = [job.endpoint_id for job in self._at_fal(number)]
        if sorted(submits) != sorted(_WINDOWS):
            self.wrong.append(f"round {number}: submitted {submits}")
        for job in after:
            if job.state != "completed":
                self.wrong.append(f"round {number}: {job.endpoint_id} is {job.state}")
        if [(job.job_id, job.state, job.fence, job.session) for job in before] != [
            (job.job_id, job.state, job.fence, job.session) for job in after
        ]:
            self.wrong.append(f"round {number}: a late writer was heard")

    def _is_at_windows(self, number: int) -> bool:
        jobs = {job.endpoint_id: job for job in self._at_fal(number)}
        submits = [one for one in self.fal.calls if one.method == "POST" and one.path.strip("/") == "fal-ai/flux/dev"]
        asked = {one.path for one in self.fal.calls if one.method == "GET"}
        if len(jobs) < len(_WINDOWS) - 1 or all(json.loads(one.body).get("seed") != number for one in submits):
            return False
        queued, result = jobs["fal-ai/fast-sdxl"], jobs["fal-ai/stable-diffusion-v35-large"]
        return (
            any(queued.request_id in path for path in asked)
            and any(path.endswith(result.request_id) for path in asked)
            and {jobs["fal-ai/qwen-image"].state, jobs[_NOT_WRITTEN].state} == {"IN_PROGRESS"}
        )

    @asynccontextmanager
    async def _locked(self, number: int) -> AsyncGenerator[None]:
        """With a row locked that the server is about to write a result to."""
        (row,) = [job for job in await self._rows(number) if job.endpoint_id == _NOT_WRITTEN]
        (job,) = [job for job in self._at_fal(number) if job.endpoint_id == _NOT_WRITTEN]
        async with await psycopg.AsyncConnection.connect(self._store) as connection:
            await connection.execute("SELECT 1 FROM job WHERE job_id = %s FOR UPDATE", (row.job_id,))
            job.release()
            await self._until(lambda: any(one.path.endswith(job.request_id) for one in self.fal.calls))
            statement = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            with anyio.fail_after(_LONGEST):
                while await (await connection.execute(statement)).fetchone() is None:  # noqa: ASYNC110 - no one tells
                    await anyio.sleep(_LOOK_AGAIN_AFTER)
            yield
            await connection.rollback()

    def _at_fal(self, number: int) -> list[FalJob]:
        return [job for job in self.fal.jobs.values() if job.input.get("seed") == number]

    def _release(self) -> None:
        self.fal.release()
        for job in list(self.fal.jobs.values()):
            job.release()

    async def _rows(self, number: int) -> list[Job]:
        rows = await self.ledger.listed(owner_of(call.KEY), limit=100_000)
        return [job for job in rows if job.arguments and job.arguments.get("seed") == number]

    async def _rows_until(self, number: int, holds: Callable[[Job], bool]) -> None:
        with anyio.move_on_after(_LONGEST):
            while not all(holds(job) for job in await self._rows(number)):  # noqa: ASYNC110 - no one tells
                await anyio.sleep(_LOOK_AGAIN_AFTER)

    async def _until(self, predicate: Callable[[], bool]) -> None:
        with anyio.fail_after(_LONGEST):
            await self.fal.until(predicate)


async def show(store: str, rounds: int, *, is_killed: bool) -> tuple[str, bool]:
    """So many rounds; the longest until all jobs of the server that was gone had another."""
    fal = Emulator(models_dirs=[bundled.schemas() / "models"], keys={call.KEY})
    for endpoint_id, script in _WINDOWS.items():
        fal.script(endpoint_id, script)
    with tempfile.TemporaryDirectory() as folder:
        async with serve(fal) as url:
            windows = Windows(fal, url, store, Path(folder))
            async with windows.server("other"):
                for number in range(rounds):
                    await windows.round(number, is_killed=is_killed)
            await windows.ledger.aclose()
    longest = max(windows.waits, default=0.0)
    what = "killed" if is_killed else "held up"
    line = (
        f"{what} with a job in each of {len(_WINDOWS)} windows, {rounds} times: {len(fal.jobs)} submits, "
        f"{len(windows.wrong)} wrong, longest until the other server had them {longest:.1f} s (at most {MOST:g})"
    )
    if windows.wrong:
        line += f"; such as {windows.wrong[0]}"
    return line, not windows.wrong and longest <= MOST
