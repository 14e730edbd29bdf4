"""A long run as an MCP task, over HTTP, for a client that declares tasks; found again after the server was killed."""

import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script

TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
BOUND = 40
TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


class Host:
    """A client of revision 2026-07-28, as plain requests."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def ask(self, method: str, capabilities: Any = TASKS, **params: Any) -> Any:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        }
        name = params.get("name") or params.get("taskId")
        headers = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **({"mcp-name": name} if name else {}),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        answer = await self._client.post(self._url, json=body, headers=headers, timeout=BOUND)
        found = re.findall(r"^data: (.+)$", answer.text, re.MULTILINE) or [answer.text]
        return json.loads(found[-1])

    async def until(self, task_id: str, *statuses: str) -> Any:
        while True:
            task = (await self.ask("tasks/get", taskId=task_id))["result"]
            if task["status"] in statuses:
                return task


@asynccontextmanager
async def served(settings: Settings, data: Path) -> AsyncGenerator[tuple[Host, anyio.abc.Process]]:
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", "--fal-url", root, "--data-dir", str(data)]
    environment = {**os.environ, "FAL_KEY": settings.key or "", "FAL_MCP_TASK_GRACE": "0.2"}
    async with await anyio.open_process([*command, "--refresh-hours", "0"], env=environment) as process:
        assert process.stderr
        said = b""
        while not (found := re.search(rb"http://[^\s]+", said)):
            said += await process.stderr.receive()
        try:
            async with httpx.AsyncClient() as client:
                yield Host(found[0].decode(), client), process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_a_long_run_is_a_task_that_outlives_the_server(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, process):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x", "seed": 7}))["result"]
            working = await host.until(made["taskId"], "working")
            process.kill()
            await process.wait()
        (job,) = fal.jobs.values()
        job.release()
        async with served(settings, tmp_path) as (host, _):
            done = await host.until(made["taskId"], "completed")
    assert made["resultType"] == "task" and made["taskId"].startswith("job_")
    assert "result" not in working and working["pollIntervalMs"] > 0
    assert done["result"]["structuredContent"]["output"]["seed"] == 7
    assert len(fal.jobs) == 1


async def test_cancelling_a_task_cancels_at_fal(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            made = (await host.ask("tools/call", name=TOOL, arguments={"prompt": "x"}))["result"]
            acknowledged = (await host.ask("tasks/cancel", taskId=made["taskId"]))["result"]
            task = await host.until(made["taskId"], "cancelled")
            await fal.until(lambda: all(job.cancelled for job in fal.jobs.values()))
    assert acknowledged["resultType"] == "complete" and "result" not in task


async def test_a_client_without_tasks_gets_none(fal: Emulator, settings: Settings, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path) as (host, _):
            plain = await host.ask("tools/call", {}, name=TOOL, arguments={"prompt": "x"})
            refused = await host.ask("tasks/get", {}, taskId="anything")
            unknown = await host.ask("tasks/get", taskId="job_unknown")
    assert plain["result"]["resultType"] == "complete" and "taskId" not in plain["result"]
    assert refused["error"]["code"] == -32021
    assert unknown["error"]["code"] == -32602
