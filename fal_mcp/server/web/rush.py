"""Calls that would begin runs, where more come in a moment than can be looked at in one.

Those for which there is certainly no room are answered before they cost anything. The others begin one after another,
so that what else has come is answered between two.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import cached_property

import anyio
import anyio.lowlevel
from starlette.responses import Response

from fal_mcp.errors import RateLimited
from fal_mcp.json_values import JsonObject, dumped

_A_RUSH = 8
"""Calls that stand in line: below that each is looked at by itself."""
_RETURN = 5.0


class Rush:
    """The calls of one server that would begin a run. `most` is how many may run or wait in all; `full` tells why the
    store refused one a moment ago, if it did."""

    def __init__(self, most: int, full: Callable[[], RateLimited | None]) -> None:
        self._most = most
        self._full = full
        self._in_hand = 0
        self._in_line = 0
        self._turn = anyio.Lock()

    @asynccontextmanager
    async def turn(self, call: JsonObject) -> AsyncGenerator[Response | None]:
        """This call's turn to begin, which is as long as it lasts; in its place the answer to one that may not."""
        refused = self._too_many() or self._store_s_word()
        if refused is None:
            self._in_hand += 1
            try:
                await self._waited()
                refused = self._store_s_word()
                if refused is None:
                    yield None
            finally:
                self._in_hand -= 1
        if refused is not None:
            yield _answer(call, refused)

    async def _waited(self) -> None:
        self._in_line += 1
        try:
            async with self._turn:
                await anyio.lowlevel.checkpoint()
        finally:
            self._in_line -= 1

    def _too_many(self) -> RateLimited | None:
        # A few beyond: some of those in hand only join a job, or need no place in fal's queue.
        return self._busy if self._in_hand >= self._most + _A_RUSH else None

    def _store_s_word(self) -> RateLimited | None:
        # Asked of the store itself where there is the time: a call that is made again may join its job.
        return self._full() if self._in_line >= _A_RUSH else None

    @cached_property
    def _busy(self) -> RateLimited:
        return RateLimited(
            f"{self._most} calls are in hand here already, which is as many as may run or wait.",
            retry_after=_RETURN,
            hint=f"Nothing was sent, and it costs nothing. Call again in about {_RETURN:.0f} seconds.",
        )


def _answer(call: JsonObject, refused: RateLimited) -> Response:
    """The tool's answer, as a model reads it, in the words of either revision."""
    from fal_mcp.server import results

    result = results.fail(refused).model_dump(mode="json", by_alias=True, exclude_none=True)
    message = {"jsonrpc": "2.0", "id": call.get("id"), "result": {"resultType": "complete", **result}}
    return Response(dumped(message), media_type="application/json")
