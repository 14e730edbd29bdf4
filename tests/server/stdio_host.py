"""A host that speaks to a server process line by line, byte for byte."""

import json
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from mcp.client.stdio import get_default_environment

import fal_mcp
from fal_mcp.config import Settings
from fal_mcp.server import answer_file, app, rehearsal

MODERN = "2026-07-28"
CLIENT = {"name": "t", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": CLIENT,
}
INITIALIZED: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def request(number: int | str, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, **({} if params is None else {"params": params})}


def initialize(number: int | str = 1, version: str = "2025-11-25") -> dict[str, Any]:
    return request(number, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT})


def call(number: int | str, name: str, arguments: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return request(number, "tools/call", {"name": name, "arguments": arguments, **more})


class Host:
    """One server process and its pipes."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self._read = b""

    async def write(self, content: bytes) -> None:
        assert self.process.stdin
        await self.process.stdin.send(content)

    async def send(self, *messages: Any) -> None:
        await self.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def line(self) -> bytes:
        assert self.process.stdout
        while b"\n" not in self._read:
            self._read += await self.process.stdout.receive()
        line, self._read = self._read.split(b"\n", 1)
        return line

    async def message(self) -> Any:
        return json.loads(await self.line())

    async def answer(self, number: int | str) -> Any:
        while (message := await self.message()).get("id") != number:
            continue
        return message

    async def shake_hands(self, version: str = "2025-11-25") -> Any:
        await self.send(initialize("hello", version), INITIALIZED)
        return await self.answer("hello")

    async def end(self) -> tuple[bytes, bytes]:
        """Close the server's input; what it still wrote to its output, and its log."""
        assert self.process.stdin
        await self.process.stdin.aclose()
        return await self.rest()

    async def rest(self) -> tuple[bytes, bytes]:
        assert self.process.stdout and self.process.stderr
        out, log = self._read, b""
        try:
            while True:
                out += await self.process.stdout.receive()
        except anyio.EndOfStream:
            pass
        try:
            while True:
                log += await self.process.stderr.receive()
        except anyio.EndOfStream:
            pass
        await self.process.wait()
        return out, log


class Start:
    """How servers of one set of settings are started: each with the same empty home, unless it is warmed."""

    def __init__(self, settings: Settings, home: Path, *more: str) -> None:
        self.settings, self.home = settings, home
        root = settings.hosts.queue.removesuffix("/queue")
        self.arguments = ["--fal-url", root, "--models", str(settings.models), *more]
        self.environment = {
            **get_default_environment(),
            "PYTHONPATH": str(Path(fal_mcp.__file__).parents[1]),
            "PYTHONWARNINGS": "ignore",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "FAL_KEY": settings.key or "",
            "FAL_MCP_DATA_DIR": str(home / "data"),
            "FAL_MCP_REFRESH_HOURS": "0",
        }

    @property
    def kept(self) -> answer_file.Kept:
        return answer_file.kept_for(self.arguments, self.environment)

    async def warm(self) -> "Start":
        """Leave what an earlier start with these settings leaves."""
        server = app.build(self.settings)
        async with server.lifespan(server) as state:
            await rehearsal.keep(self.kept, await rehearsal.answers(server, state))
        return self

    @asynccontextmanager
    async def host(self) -> AsyncGenerator[Host]:
        command = [sys.executable, "-m", "fal_mcp", *self.arguments]
        with tempfile.TemporaryDirectory() as here:
            async with await anyio.open_process(command, env=self.environment, cwd=here) as process:
                try:
                    yield Host(process)
                finally:
                    if process.returncode is None:
                        process.kill()
