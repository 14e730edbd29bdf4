"""An MCP client as plain requests over HTTP, which declares what a test wants, and a server in a process of its own."""

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

BOUND = 40
TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


class Host:
    """A client of revision 2026-07-28, as plain requests."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
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
        return _last(await self._post(method, {**params, "_meta": meta}, headers))

    async def ask_as(self, version: str, method: str) -> Any:
        """A question of a client that names a revision of its own."""
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": version}
        meta: dict[str, Any] = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        return _last(await self._post(method, {"_meta": meta}, {**headers, "mcp-method": method}))

    async def ask_after_handshake(self, capabilities: Any, method: str, **params: Any) -> Any:
        """The same by a client of revision 2025-11-25."""
        headers = {"accept": "application/json, text/event-stream"}
        about = {"clientInfo": {"name": "t", "version": "1"}, "capabilities": capabilities}
        hello = await self._post("initialize", {"protocolVersion": "2025-11-25", **about}, headers)
        headers["mcp-session-id"] = hello.headers["mcp-session-id"]
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await self._client.post(self.url, json=ready, headers=headers, timeout=BOUND)
        return _last(await self._post(method, params, headers))

    async def _post(self, method: str, params: Any, headers: dict[str, str]) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self._client.post(self.url, json=body, headers=headers, timeout=BOUND)

    async def get(self, path: str) -> httpx.Response:
        """What is served beside MCP."""
        return await self._client.get(self.url.removesuffix("/mcp") + path, timeout=BOUND)

    async def until(self, task_id: str, *statuses: str) -> Any:
        while True:
            task = (await self.ask("tasks/get", taskId=task_id))["result"]
            if task["status"] in statuses:
                return task


def _last(answer: httpx.Response) -> Any:
    found = re.findall(r"^data: (.+)$", answer.text, re.MULTILINE) or [answer.text]
    return json.loads(found[-1])


@asynccontextmanager
async def served(
    settings: Settings, data: Path, *options: str, grace: str = "0.2", state_keys: str = ""
) -> AsyncGenerator[tuple[Host, anyio.abc.Process]]:
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", "--fal-url", root, "--data-dir", str(data)]
    environment = {**os.environ, "FAL_KEY": settings.key or "", "FAL_MCP_TASK_GRACE": grace}
    environment["FAL_MCP_STATE_KEYS"] = state_keys
    async with await anyio.open_process([*command, "--refresh-hours", "0", *options], env=environment) as process:
        assert process.stderr
        said = b""
        while not (found := re.search(rb"http://[^\s\"]+", said)):
            said += await process.stderr.receive()
        try:
            async with httpx.AsyncClient() as client:
                yield Host(found[0].decode(), client), process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
