"""A client and its server in one process that fal's answer to one request never reaches: `python -m
tests.server.cut_off URL DATA TOOL ARGUMENTS` says "acted" once fal has acted, and waits to be killed."""

import json
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
from mcp.client import Client

from fal_mcp.config import MORE_TOOLSETS, TOOLSETS, Hosts, Settings
from fal_mcp.server import app
from tests.conftest import KEY

ADMIN = "99999999-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"


class Deaf(httpx.AsyncBaseTransport):
    """A way to fal on which what changes something arrives and nothing comes back; `lost` is raised, or it waits."""

    def __init__(self, lost: Exception | None = None) -> None:
        self._way = httpx.AsyncHTTPTransport()
        self._lost = lost

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._way.handle_async_request(request)
        if request.method == "GET" or "/pricing" in request.url.path:
            return answer
        await answer.aread()
        sys.stdout.write("acted\n")
        sys.stdout.flush()
        if self._lost is not None:
            raise self._lost
        await anyio.sleep_forever()
        raise AssertionError("never")

    async def aclose(self) -> None:
        await self._way.aclose()


async def yes(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"approve": True, "agree": True})


def settings(url: str, data: Path) -> Settings:
    sets = (*TOOLSETS, *MORE_TOOLSETS)
    return Settings(key=KEY, admin_key=ADMIN, hosts=Hosts.at(url), toolsets=sets, listed=("search",), data=data)


async def main(url: str, data: str, tool: str, arguments: str) -> None:
    server = app.build(settings(url, Path(data)), Deaf())
    async with Client(server, elicitation_callback=yes) as client:
        await client.call_tool(tool, json.loads(arguments))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4])
