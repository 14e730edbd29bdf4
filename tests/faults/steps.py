"""Which step of a job a request is, and the faults that stand in its way there."""

import re
from dataclasses import dataclass

import anyio
import anyio.abc
import httpx

from fal_mcp.emulator import Emulator
from tests.faults.faults import Fault
from tests.faults.wire import Wire

_STEPS: tuple[tuple[str, str], ...] = (
    ("submit", r"POST /queue/.+"),
    ("status stream", r"GET /queue/.+/status/stream"),
    ("status", r"GET /queue/.+/status"),
    ("cancel", r"PUT /queue/.+/cancel"),
    ("result", r"GET /queue/.+/requests/[^/]+"),
    ("streamed run", r"POST /run/.+/stream"),
    ("run", r"POST /run/.+"),
    ("records", r"GET /api/v1/models/requests/by-endpoint"),
    ("billing", r"GET /api/v1/models/billing-events"),
    ("prices", r"(GET|POST) /api/v1/models/pricing.*"),
    ("catalog", r"GET /api/v1/models"),
    ("upload start", r"POST /rest/storage/upload/.+"),
    ("upload token", r"POST /rest/storage/auth/token"),
    ("upload complete", r"POST /cdn/.+/complete"),
    ("upload part", r"PUT /cdn/upload/.+/\d+"),
    ("upload", r"(PUT|POST) /cdn/.+"),
    ("download", r"(GET|HEAD) /cdn/.+"),
)
NAMES = tuple(name for name, _ in _STEPS)


def step_of(request: httpx.Request) -> str:
    """The step of a job that this request is."""
    asked = f"{request.method} {request.url.path}"
    return next((name for name, pattern in _STEPS if re.fullmatch(pattern, asked)), asked)


@dataclass(slots=True)
class Rule:
    """A fault at one step: at its first so many requests, and only for the first so many seconds after the first."""

    step: str
    fault: Fault
    times: int = 1_000_000
    seconds: float = float("inf")
    began: float | None = None

    def stands(self, step: str) -> bool:
        """Whether it is this request's turn; each is counted."""
        if step != self.step or self.times <= 0:
            return False
        now = anyio.current_time()
        self.began = now if self.began is None else self.began
        if now > self.began + self.seconds:
            return False
        self.times -= 1
        return True


class FaultyWire(httpx.AsyncBaseTransport):
    """A way to the emulator with faults on it. `cut` is what a killed process leaves: nothing is heard or sent."""

    def __init__(self, fal: Emulator, tasks: anyio.abc.TaskGroup, rules: list[Rule]) -> None:
        self._wire = Wire(fal, tasks)
        self._cut = anyio.Event()
        self.rules = rules
        self.steps: list[str] = []

    def cut(self) -> None:
        """From now on whatever waits here waits for ever."""
        self._cut.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._cut.is_set():
            await anyio.sleep_forever()
        step = step_of(request)
        self.steps.append(step)
        await request.aread()

        async def forward() -> httpx.Response:
            return await self._wire.handle_async_request(request)

        rule = next((rule for rule in self.rules if rule.stands(step)), None)
        answer = await (rule.fault.act(request, forward) if rule else forward())
        if self._cut.is_set():
            await anyio.sleep_forever()
        return answer
