"""One job in the queue: its states in order, for whoever polls or streams them. Fact F2.3 to F2.6."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import anyio

from fal_mcp.emulator.script import Failure, Script
from fal_mcp.json_values import JsonObject

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
CANCELLED = Failure(499, {"detail": "Request cancelled by the client.", "error_type": "client_cancelled"})


@dataclass(slots=True)
class Job:
    """A submitted request. `history` holds every status it went through, each with only its new log lines."""

    request_id: str
    endpoint_id: str
    input: JsonObject
    script: Script
    output: JsonObject
    failure: Failure | None
    changed: Callable[[], None]
    state: State = "IN_QUEUE"
    position: int = 0
    cancelled: bool = False
    has_begun: bool = False
    """Whether a runner ever took it: from then on it is paid for."""
    logs: list[JsonObject] = field(default_factory=list[JsonObject])
    history: list[JsonObject] = field(default_factory=list[JsonObject])
    closed: bool = False
    is_released: bool = False
    account: str = ""
    sent: str = field(default_factory=lambda: now().replace("+00:00", "Z"))
    _news: anyio.Event = field(default_factory=anyio.Event)
    _go: anyio.Event = field(default_factory=anyio.Event)

    def release(self) -> None:
        """Let a held job go on to its next hold, or its end."""
        self._go.set()
        self._go = anyio.Event()

    async def live(self) -> None:
        """Go through the script."""
        script = self.script
        # Down to 0 and not 1: fal counts how many are before it.
        for position in range(script.queue_position, -1, -1):
            self._queue(position)
            await self._spend(script.queue_seconds if position else 0)
        await self._hold(script.hold_in_queue)
        if self.is_over:
            return
        self.state, self.has_begun = "IN_PROGRESS", True
        self._log(*script.log_lines)
        for step in range(1, script.steps + 1):
            await self._spend(script.step_seconds)
            if self.is_over:
                return
            self._log(f"step {step}/{script.steps}")
        await self._hold(script.hold_running)
        self._complete()

    def cancel(self) -> bool:
        """Heed a cancellation: at once in the queue, if the script lets it while running. False when it is over."""
        if self.is_over:
            return False
        self.cancelled = True
        # A runner may not heed the wish; then the job ends as if nobody had asked.
        if self.state == "IN_QUEUE" or self.script.cancellable:
            self.failure = CANCELLED
            self._complete()
            self.release()
        self.changed()
        return True

    def close(self) -> None:
        """End every stream of this job; the emulator is going."""
        self.closed = True
        self._tell()

    @property
    def is_over(self) -> bool:
        return self.state == "COMPLETED"

    @property
    def seconds(self) -> float:
        """How long a runner worked on it; 0 for what none ever took."""
        return self.script.steps * self.script.step_seconds if self.has_begun else 0.0

    async def news(self, seen: int, within: float) -> list[JsonObject]:
        """The statuses after the first `seen`, as soon as there is one; none where `within` seconds brought none."""
        changed = self._news
        if len(self.history) == seen and not self.closed:
            with anyio.move_on_after(within):
                await changed.wait()
        return self.history[seen:]

    def _queue(self, position: int) -> None:
        if not self.is_over:
            self.position = position
            self._record({"status": "IN_QUEUE", "queue_position": position, "logs": None, "metrics": {}})

    def _log(self, *messages: str) -> None:
        lines: list[JsonObject] = [
            {"message": message, "timestamp": now(), "level": "INFO", "source": "USER", "labels": {}}
            for message in messages
        ]
        self.logs += lines
        self._record({"status": "IN_PROGRESS", "logs": lines, "metrics": {}})

    def _complete(self) -> None:
        if self.is_over:
            return
        self.state = "COMPLETED"
        status: JsonObject = {"status": "COMPLETED", "logs": [], "metrics": {"inference_time": self.seconds}}
        if self.failure is not None:
            # fal has no status for failure: it is COMPLETED, and these two keys say that it failed.
            status["error"] = _sentence(self.failure)
            status["error_type"] = self.failure.body.get("error_type", "runner_server_error")
        self._record(status)

    def _record(self, status: JsonObject) -> None:
        self.history.append(status)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
        self.changed()

    async def _hold(self, held: bool) -> None:
        if held and not self.is_over:
            await self._go.wait()

    async def _spend(self, seconds: float) -> None:
        if seconds:
            await anyio.sleep(seconds)


def _sentence(failure: Failure) -> str:
    detail = failure.body.get("detail")
    return detail if isinstance(detail, str) else f"Invalid status code: {failure.status}"


def now(ahead: float = 0.0) -> str:
    """This moment, as fal writes one, by a clock that is so many seconds ahead."""
    return (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()
