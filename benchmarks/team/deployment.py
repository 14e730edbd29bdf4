"""A team's deployment on this machine: PostgreSQL, servers over HTTP, the proxy, a stand-in for fal, each a process."""

import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from benchmarks import call
from benchmarks.catalog import at_fals_size
from benchmarks.team.machine import Process
from benchmarks.team.people import Person
from benchmarks.team.wire import Wire
from fal_mcp import bundled
from fal_mcp.jobs.job import Job, owner_of
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.team.token_file import TokenFile
from tests import postgres
from tests.team.proxy import NAME, proxy

TOOL = "fal-ai_flux_dev"
_LONGEST_START = 60
_LOOK_AGAIN_AFTER = 0.05


@dataclass(slots=True)
class Deployment:
    """What runs, and who may call it."""

    fal: anyio.abc.Process
    servers: list[anyio.abc.Process]
    ports: list[int]
    wire: Wire
    """The way through the proxy."""
    direct: list[Wire]
    """The way to each server beside it."""
    people: list[Person]
    ledger: Ledger
    processes: list[Process]
    """Everything that uses the machine but the callers."""

    async def standing(self) -> dict[str, Any]:
        """What was submitted to fal."""
        assert self.fal.stdin and self.fal.stdout
        await self.fal.stdin.send(b"\n")
        return json.loads(await _line(self.fal))

    async def jobs(self) -> list[Job]:
        """The ledger's rows, whosever they are."""
        account = owner_of(call.KEY)
        rows = [job for each in await self._owners() for job in await self.ledger.listed(each, limit=100_000)]
        return [job for job in rows if job.account == account]

    async def _owners(self) -> list[str]:
        rows = await self.ledger.store.run(
            lambda database: database.execute("SELECT DISTINCT owner FROM job").fetchall()
        )
        return [row[0] for row in rows]


@asynccontextmanager
async def deployed(
    cluster: postgres.Cluster, *options: str, seconds: float = 5.0, people: int = 50, replicas: int = 2
) -> AsyncGenerator[Deployment]:
    """So many servers and callers, half of each era; a job at fal takes `seconds`."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models = stack.enter_context(at_fals_size(bundled.schemas() / "models"))
        file = TokenFile(folder / "tokens.json")
        callers = [
            Person(file.create(f"p{number}", ("fal:run", "fal:write")), number % 2 == 0) for number in range(people)
        ]
        fal = await stack.enter_async_context(_process([sys.executable, "-m", "benchmarks.team.fal", str(seconds)]))
        url = json.loads(await _line(fal))["url"]
        store = cluster.database()
        command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", "--fal-url", url, "--store", store]
        command += ["--tokens", str(folder / "tokens.json"), "--allow-host", NAME, "--trust-proxy", "1"]
        command += ["--models", str(models), "--refresh-hours", "0", *options]
        said = [folder / f"{number}.said" for number in range(replicas)]
        servers = [
            await stack.enter_async_context(_process([*command, "--data-dir", str(file.with_suffix(""))], file))
            for file in said
        ]
        ports = [await _port(file) for file in said]
        running = stack.enter_context(proxy(ports))
        wire = Wire(running.port, running.trusts)
        direct = [Wire(port, None) for port in ports]
        for each in (wire, *direct):
            stack.callback(each.close)
        ledger = Ledger(store)
        stack.push_async_callback(ledger.aclose)
        processes = [Process(f"server {number}", server.pid) for number, server in enumerate(servers, 1)]
        processes += [Process("stand-in for fal", fal.pid), Process("proxy", running.process, with_children=True)]
        processes += [Process("PostgreSQL", cluster.pid, with_children=True)]
        for person in callers:
            await person.begin(wire)
        yield Deployment(fal, servers, ports, wire, direct, callers, ledger, processes)


@asynccontextmanager
async def _process(command: list[str], said: Path | None = None) -> AsyncGenerator[anyio.abc.Process]:
    """A program; what it says of itself goes to `said`, since a pipe that nobody reads would stop it."""
    environment = {**os.environ, "FAL_KEY": call.KEY, "PYTHONUNBUFFERED": "1"}
    with said.open("wb") if said else nullcontext() as errors:
        async with await anyio.open_process(command, env=environment, stderr=errors) as process:
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()


async def _line(process: anyio.abc.Process) -> bytes:
    assert process.stdout
    said = b""
    while not said.endswith(b"\n"):
        said += await process.stdout.receive()
    return said


async def _port(said: Path) -> int:
    with anyio.fail_after(_LONGEST_START):
        for _ in iter(int, 1):
            if match := re.search(r"http://127\.0\.0\.1:(\d+)/", await anyio.Path(said).read_text()):
                return int(match[1])
            await anyio.sleep(_LOOK_AGAIN_AFTER)
    raise AssertionError
