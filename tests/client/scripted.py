"""A network made of functions, and a clock that costs no time."""

from collections.abc import AsyncGenerator, Callable

import anyio.lowlevel
import httpx

from fal_mcp.client.retry import Clock

KEY = "11111111-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"


class Bytes(httpx.AsyncByteStream):
    """A body that comes as it is, packed or broken; it ends with `error` where there is one."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self._chunks = chunks
        self._error = error
        self.given = 0

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for chunk in self._chunks:
            self.given += 1
            yield chunk
        if self._error is not None:
            raise self._error


class FreeClock:
    """Seconds pass when somebody sleeps, and at no other time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await anyio.lowlevel.checkpoint()


def network(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)
