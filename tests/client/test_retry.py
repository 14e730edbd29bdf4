"""How often and how long a request is sent again: never longer than whoever asks would wait for a job."""

from collections.abc import Callable

import httpx
import pytest

from fal_mcp.client.fal import Fal
from fal_mcp.client.retry import ALWAYS, IF_NOT_RECEIVED, NEVER, Retry
from fal_mcp.errors import FalError, RateLimited, ServiceFailed, Unreachable
from tests.client.scripted import KEY, FreeClock, network


async def asked(
    answer: Callable[[httpx.Request], httpx.Response], wait: float = 50.0
) -> tuple[FalError | None, FreeClock]:
    clock = FreeClock()
    async with Fal(KEY, transport=network(answer), clock=clock.clock(), patience=wait) as fal:
        try:
            await fal.platform.send("GET", "/assets")
        except FalError as error:
            return error, clock
    return None, clock


async def test_a_wait_that_fal_asks_for_and_nobody_has_is_told_at_once():
    """`Retry-After: 3` five times over made a call of two seconds take eighteen, and could have made it ten minutes."""

    def slow(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            429, json={"error": {"type": "rate_limited", "message": "slow"}}, headers={"retry-after": "3"}
        )

    error, clock = await asked(slow, wait=2.0)
    assert isinstance(error, RateLimited) and error.retry_after == 3 and clock.seconds == 0


@pytest.mark.parametrize("asked_for", ["0", "0.5", "3", "119", "99999", "nan", "-1", "Thu, 01 Jan 2099 00:00:00 GMT"])
@pytest.mark.parametrize("wait", [0.3, 2.0, 50.0, 3600.0])
async def test_trying_again_has_an_end(asked_for: str, wait: float):
    def slow(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, content=b"nginx", headers={"retry-after": asked_for})

    error, clock = await asked(slow, wait)
    assert isinstance(error, ServiceFailed) and clock.seconds <= max(2.0, min(wait, 20.0))
    assert len(clock.slept) <= 5


async def test_what_is_over_in_a_moment_is_waited_for():
    count = 0

    def flaky(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        if count == 1:
            raise httpx.ReadError("lost")
        return httpx.Response(502 if count == 2 else 200, json={})

    error, clock = await asked(flaky)
    assert error is None and len(clock.slept) == 2


async def test_a_network_that_is_gone_is_told():
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("gone")

    error, _ = await asked(gone)
    assert type(error) is Unreachable, "asking changes nothing, so nothing may have been done"


@pytest.mark.parametrize("retry", [NEVER, IF_NOT_RECEIVED, ALWAYS, Retry("always", 3, 1.0)])
def test_pauses_are_within_what_is_left(retry: Retry):
    pauses = [retry.pause(attempt, 0.5) for attempt in range(20)]
    assert all(seconds is None or 0.5 + seconds <= retry.longest for seconds in pauses)
    assert sum(seconds is not None for seconds in pauses) < retry.attempts
