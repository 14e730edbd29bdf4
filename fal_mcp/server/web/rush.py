"""Calls that would begin runs, where more come in a moment than can be looked at in one.

They stand in a line. In a rush the store is asked once for all of them how many there is room for: the others hear at
once when to come back, and only then those begin, a little apart, so that what else comes is answered between two.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import anyio
import anyio.lowlevel
from starlette.responses import Response

from fal_mcp.errors import NotRecorded, RateLimited
from fal_mcp.json_values import JsonObject, dumped

_A_RUSH = 8
"""Calls that stand in line: below that each is looked at by itself."""
_ROUNDS = 5
_RETURN = 5.0
_KNOWN_FOR = 0.2
"""Seconds for which the store's count of free places is taken for granted, less what was let in since; as long as it
took to count where that is longer."""
_EARLIER = 1.0
"""Seconds by which the same rush may have come to another server before."""
_APART = 0.02
"""Seconds between two calls that begin in a rush."""
_QUIET = 0.05
"""Seconds without another call after which all of a rush are there."""
_MOST_LOOKS = 6
"""How often the first of a rush waits for that: to begin one takes as long as to answer ten that may not."""
Full = Callable[[], RateLimited | None]


@dataclass(slots=True, eq=False)
class _Place:
    """A call's place in the line."""

    refused: RateLimited | None = None
    is_heard: anyio.Event = field(default_factory=anyio.Event)


class Rush:
    """The calls of one server that would begin a run. `most` is how many may run or wait in all; `full` tells why the
    store refused one a moment ago, if it did. `left` is told how many this server has let in that are in hand and how
    many seconds ago the rush began, and counts how many more it may."""

    def __init__(self, most: int, full: Full, left: Callable[[int, float], Awaitable[int]]) -> None:
        self._most = most
        self._full = full
        self._count = left
        self._in_hand = 0
        self._line: deque[_Place] = deque()
        self._left = most
        self._known_until = 0.0
        self._first_came = 0.0
        """When the line was empty last."""
        self._last_came = 0.0
        self._has_arrived = False
        """Whether the first of this rush has waited for the others."""

    @asynccontextmanager
    async def turn(self, call: JsonObject) -> AsyncGenerator[Response | None]:
        """This call's turn to begin, which is as long as it lasts; in its place the answer to one that may not."""
        self._last_came = time.monotonic()
        if not self._line:
            self._first_came = self._last_came
        refused = self._too_many() or self._store_s_word()
        if refused is None:
            self._in_hand += 1
            try:
                refused = await self._stood() or self._store_s_word()
                if refused is None:
                    yield None
            finally:
                self._in_hand -= 1
        if refused is not None:
            yield _answer(call, refused)

    async def _stood(self) -> RateLimited | None:
        """Stand in line until it is this call's turn; why it gets none."""
        place = _Place()
        self._line.append(place)
        try:
            if self._line[0] is not place:
                await place.is_heard.wait()
            if place.refused is None and len(self._line) < _A_RUSH:
                await self._look_round()
            if len(self._line) < _A_RUSH:
                self._has_arrived = False
            elif place.refused is None:
                await self._let_in_one_of_a_rush()
            return place.refused
        finally:
            is_first = self._line[0] is place
            self._line.remove(place)
            # Not before: who comes in between would get a place too many.
            self._left -= is_first
            if is_first and self._line:
                self._line[0].is_heard.set()

    async def _look_round(self) -> None:
        """A few rounds of the event loop, in which a rush shows: in each, all that has come by then is taken in."""
        for _ in range(_ROUNDS):
            await anyio.lowlevel.checkpoint()

    async def _let_in_one_of_a_rush(self) -> None:
        """At the head of the line: those for which there is no room hear it first."""
        if (began := time.monotonic()) >= self._known_until:
            try:
                self._left = await self._count(self._in_hand - len(self._line), began - self._first_came + _EARLIER)
            except NotRecorded:
                # Each call is told that by itself, with what to do.
                self._left = self._most
            now = time.monotonic()
            # Asked of a store that is slow to answer it would hold up the line longer than all that begin.
            self._known_until = now + max(now - began, _KNOWN_FOR)
            # Servers that share the places begin at their own pace: who stood on at the first count is not turned away
            # because another server is a few ahead.
            ahead = _A_RUSH if self._has_arrived else 0
            for place in list(self._line)[max(self._left, 0) + ahead :]:
                place.refused = self._busy
                place.is_heard.set()
        # Also where it is refused itself: those that were go first.
        await anyio.sleep(_APART)
        await self._until_all_are_there()

    async def _until_all_are_there(self) -> None:
        # Once in a rush, and not for ever: one that does not end must not hold up those that may begin.
        for _ in range(0 if self._has_arrived else _MOST_LOOKS):
            if (rest := self._last_came + _QUIET - time.monotonic()) <= 0:
                break
            await anyio.sleep(rest)
        self._has_arrived = True

    def _too_many(self) -> RateLimited | None:
        # A few beyond: some of those in hand only join a job, or need no place in fal's queue.
        is_known = len(self._line) >= _A_RUSH and time.monotonic() < self._known_until
        is_beyond = is_known and len(self._line) >= self._left
        return self._busy if is_beyond or self._in_hand >= self._most + _A_RUSH else None

    def _store_s_word(self) -> RateLimited | None:
        # Asked of the store itself where there is the time: a call that is made again may join its job.
        return self._full() if len(self._line) >= _A_RUSH else None

    @cached_property
    def _busy(self) -> RateLimited:
        return RateLimited(
            f"More calls came at once than may run or wait, which are {self._most} in all.",
            retry_after=_RETURN,
            hint=f"Nothing was sent, and it costs nothing. Call again in about {_RETURN:.0f} seconds.",
        )


def _answer(call: JsonObject, refused: RateLimited) -> Response:
    """The tool's answer, as a model reads it, in the words of either revision."""
    result = _result(refused.message, refused.retry_after, refused.hint)
    message = f'{{"jsonrpc":"2.0","id":{dumped(call.get("id"))},"result":{result}}}'
    return Response(message, media_type="application/json")


@lru_cache(maxsize=8)
def _result(message: str, retry_after: float | None, hint: str) -> str:
    # The same for hundreds in a moment.
    from fal_mcp.server import results

    result = results.fail(RateLimited(message, retry_after=retry_after, hint=hint))
    return dumped({"resultType": "complete", **result.model_dump(mode="json", by_alias=True, exclude_none=True)})
