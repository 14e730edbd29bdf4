"""The ways to this server: a host starts it, or connects to it over HTTP, with or without a token."""

import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.abc

from fal_mcp.team.scopes import READ, RUN
from fal_mcp.team.token_file import TokenFile
from tests.server.stdio_host import Start

STDIO, HTTP, TOKEN = WAYS = ("stdio", "HTTP", "HTTP with a token")


@dataclass(frozen=True, slots=True)
class Server:
    """This server as a host is told of it: by its command, or by its address where it has one."""

    command: str
    arguments: list[str]
    environment: dict[str, str]
    url: str = ""
    token: str = ""

    @property
    def entry(self) -> dict[str, object]:
        """The command as most hosts write it down."""
        return {"command": self.command, "args": self.arguments, "env": self.environment}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each request over HTTP."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def launched(start: Start) -> Server:
    """The server that its host starts."""
    return Server(sys.executable, ["-m", "fal_mcp", *start.arguments], start.environment)


@asynccontextmanager
async def reached(way: str, start: Start) -> AsyncGenerator[Server]:
    """This server, ready to be reached in this way."""
    await start.warm()
    if way == STDIO:
        yield launched(start)
        return
    token, options = _token(start) if way == TOKEN else ("", [])
    command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", *start.arguments, *options]
    async with await anyio.open_process(command, env=start.environment) as process, anyio.create_task_group() as tasks:
        url = await _address(process)
        # A log that nobody reads fills its pipe, and the server would stand still.
        tasks.start_soon(_drain, process)
        try:
            yield Server(command[0], command[1:], start.environment, url, token)
        finally:
            process.kill()


def _token(start: Start) -> tuple[str, list[str]]:
    file = start.home / "tokens.json"
    return TokenFile(file).create("host", (READ, RUN), None, None), ["--tokens", str(file)]


async def _address(process: anyio.abc.Process) -> str:
    assert process.stderr
    said = b""
    while not (found := re.search(rb"http://[^\s]+", said)):
        said += await process.stderr.receive()
    return found[0].decode()


async def _drain(process: anyio.abc.Process) -> None:
    assert process.stderr
    async for _ in process.stderr:
        continue
