"""Two servers of one ledger beside an emulated fal, spoken to over stdio, each started anew when it is killed."""

import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from benchmarks import call
from fal_mcp import bundled
from fal_mcp.config import Hosts, Settings
from fal_mcp.emulator import Emulator, Script, serve
from fal_mcp.jobs.job import Job, owner_of
from fal_mcp.jobs.ledger import Ledger
from tests.server.test_kill import Server, server

TOOL = "fal-ai_flux_dev"
JOB_SECONDS = 5.0
_PAUSE = 0.5
_LONGEST_START = 60.0
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Replicas:
    """The servers that run now, and what was asked of them."""

    def __init__(self, fal: Emulator, url: str, store: str, folder: Path) -> None:
        self.fal = fal
        self.ledger = Ledger(store)
        self.running: dict[int, Server] = {}
        self.asked = 0
        self.refused = 0
        self.is_quiet = False
        """Whether nothing more is asked of them."""
        self.is_over = False
        self._settings = Settings(key=call.KEY, hosts=Hosts.at(url))
        self._store = store
        self._folder = folder

    async def keep(self, number: int) -> None:
        """Run one server, anew whenever it ended, and call its tool again and again."""
        while not self.is_over:
            try:
                async with server(self._settings, self._folder / str(number), "--store", self._store) as started:
                    self.running[number] = started
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self._read, started, tasks.cancel_scope)
                        await self._call(started)
                        tasks.cancel_scope.cancel()
            except (*_GONE, OSError, ExceptionGroup):
                continue
            finally:
                self.running.pop(number, None)

    async def all_over(self, seconds: float) -> None:
        """Wait until every job of the ledger is over."""
        for _ in range(int(seconds / _PAUSE)):
            if all(job.is_over for job in await self.jobs()):
                return
            await anyio.sleep(_PAUSE)

    async def jobs(self) -> list[Job]:
        """The ledger's rows."""
        return await self.ledger.listed(owner_of(call.KEY), limit=100_000)

    async def verdict(self) -> tuple[str, bool]:
        """How many were begun, submitted and ended."""
        rows = await self.jobs()
        states = Counter(job.state for job in rows)
        seeds = Counter(job.input["seed"] for job in self.fal.jobs.values())
        twice = sum(count > 1 for count in seeds.values())
        unrecorded = len(set(self.fal.jobs) - {job.request.request_id for job in rows if job.request})
        line = (
            f"{self.asked} calls, {len(rows)} rows, {len(self.fal.jobs)} submits at fal, {twice} twice, {unrecorded} "
            f"without a row, {self.refused} refused; states {dict(states)}"
        )
        return line, not twice and not unrecorded and all(job.is_over or job.state == "unknown" for job in rows)

    async def _call(self, started: Server) -> None:
        for _ in iter(lambda: self.is_over, True):
            if not self.is_quiet:
                self.asked += 1
                arguments = {"prompt": "x", "seed": self.asked}
                await started.send("tools/call", {"name": TOOL, "arguments": arguments})
            await anyio.sleep(_PAUSE)

    async def _read(self, started: Server, scope: anyio.CancelScope) -> None:
        assert started.process.stdout
        try:
            async for chunk in started.process.stdout:
                self.refused += chunk.count(b"Nothing was sent")
        except _GONE:
            pass
        # It was killed.
        scope.cancel()


@asynccontextmanager
async def two(store: str) -> AsyncGenerator[Replicas]:
    """Two of them, called until `is_quiet` is set."""
    fal = Emulator(models_dirs=[bundled.schemas() / "models"], keys={call.KEY})
    fal.script(None, Script(steps=4, step_seconds=JOB_SECONDS / 4))
    with tempfile.TemporaryDirectory() as folder:
        async with serve(fal) as url, anyio.create_task_group() as tasks:
            replicas = Replicas(fal, url, store, Path(folder))
            for number in range(2):
                tasks.start_soon(replicas.keep, number)
            for _ in range(int(_LONGEST_START / _PAUSE)):
                if len(replicas.running) == 2:
                    break
                await anyio.sleep(_PAUSE)
            yield replicas
            replicas.is_over = True
            for started in list(replicas.running.values()):
                started.kill()
            await replicas.ledger.aclose()
