"""How a job goes: how long it waits, what it logs, and what goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fal_mcp.json_values import JsonMapping


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to give instead of the usual one; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Failure:
    """How a model fails: what its result answers. The status still comes to COMPLETED (fact F2.5)."""

    status: int = 500
    body: JsonMapping = field(default_factory=lambda: {"detail": "Internal Server Error"})
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Live:
    """How an endpoint's realtime connections go. Without arguments each input is answered. Fact F3.3."""

    is_there: bool = True
    """Whether the app has a realtime path at all."""
    unauthorised: int = 0
    """How many of the first connections are told that their token will not do."""
    answer: bytes | str | None = None
    """A frame to send as it stands in place of an answer."""
    error_after: int | None = None
    """Fail the input after so many answers, and close."""
    timeout_after: int | None = None
    """Say after so many answers that no input came, and close."""
    close_after: int | None = None
    """Close at the input after so many answers, without a word."""
    hold: bool = False
    """Wait with each answer until `Emulator.release`."""


@dataclass(frozen=True, slots=True)
class Script:
    """One job's course. Without arguments it succeeds at once. Times are in seconds."""

    queue_position: int = 0
    queue_seconds: float = 0.0
    """How long the job stands at each position."""
    steps: int = 4
    step_seconds: float = 0.0
    log_lines: tuple[str, ...] = ()
    """Logged before the first step."""
    hold_in_queue: bool = False
    """Wait at the head of the queue until `Job.release`."""
    hold_running: bool = False
    """Wait after the last step until `Job.release`."""
    cancellable: bool = True
    """Whether a running job heeds a cancellation."""
    failure: Failure | None = None
    output: JsonMapping | None = None
    submit: Reply | None = None
    submit_drop: bool = False
    """Take the job, then break the connection in the middle of the answer."""
    hold_submit: Literal["", "before", "after"] = ""
    """Wait with the answer to a submit until `Emulator.release`: before the job is taken, or after."""
    hold_result: bool = False
    """Wait with the result until `Emulator.release`."""
    keeps_payloads: bool = True
    """Whether the account's records show what the job was given."""
    status: Reply | None = None
    result: Reply | None = None
    stream: Reply | None = None
    stream_garbage: bool = False
    drop_stream_after: int | None = None
    """Break the status stream's connection after so many events."""
    live: Live = field(default_factory=Live)
