"""What the account's apps log now: followed for a while, told line by line, counted. Fact F8."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

import anyio
from pydantic import Field

from fal_mcp.errors import FalError, ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, is_object, parsed
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import cut, one_line
from fal_mcp.tools import from_function, rules
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform

_KEPT = 200
"""Lines; the rest is only counted."""
_LONGEST_SAID = 200
_LONGEST_LINE = 500
_LONGEST_TEXT = 12_000
_LAST_WORDS = 1500
_LEVELS = frozenset(
    {"trace", "debug", "info", "warn", "warning", "error", "critical", "fatal", "stdout", "stderr"},
)


class TailArguments(Arguments):
    app_id: list[str] = Field(default_factory=list[str], max_length=50, description="Only of these: owner/name.")
    level: str | None = Field(None, max_length=20, description="The least severe.")
    search: str | None = Field(None, max_length=200, description="Words in the line.")
    request_id: str | None = Field(None, max_length=120)
    job_id: str | None = Field(None, max_length=120, description="A runner.")
    until: str | None = Field(None, min_length=1, max_length=200, description="Stop at a line with this text.")
    seconds: float = Field(20, ge=1, le=300, description="How long, at most.")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as an app logged it, cleaned."""

    timestamp: str
    level: str
    app: str
    message: str

    def __str__(self) -> str:
        return f"{self.timestamp} {self.level} {self.app}: {self.message}"


@dataclass(slots=True)
class Tail:
    """What came so far."""

    lines: deque[Line] = field(default_factory=lambda: deque[Line](maxlen=_KEPT))
    levels: Counter[str] = field(default_factory=Counter[str])
    unreadable: int = 0

    def take(self, data: str) -> Line | None:
        """The line in an event; None where there is none to be read."""
        line = read(data)
        if line is None:
            self.unreadable += 1
            return None
        self.lines.append(line)
        self.levels[line.level] += 1
        return line

    def told(self, longest: int) -> str:
        """The last lines, as many as `longest` characters hold."""
        shown: deque[str] = deque()
        # The newest are what is looked for, so they are what fits.
        for line in reversed(self.lines):
            longest -= len(str(line)) + 1
            if longest < 0:
                break
            shown.appendleft(str(line))
        return "\n".join(shown)


def tools() -> list[Tool]:
    """The tool that follows the logs."""
    return [
        from_function.tool(
            TailArguments,
            _tail,
            name="tail_logs",
            title="Follow the apps' logs",
            description="Follows what the account's apps log from now on, as progress, then gives the last "
            f"{_KEPT} lines and counts by level. search_app_logs has the past.",
            effect="reads",
            key="user",
        )
    ]


async def _tail(arguments: TailArguments, call: Call) -> Outcome:
    tail, began, ended = Tail(), time.monotonic(), "time"
    try:
        with anyio.move_on_after(min(arguments.seconds, call.wait)):
            ended = await _followed(arguments, tail, call)
    except FalError as error:
        raise _with_what_came(error, tail) from error
    return _told(tail, ended, time.monotonic() - began)


async def _followed(arguments: TailArguments, tail: Tail, call: Call) -> str:
    """Take what comes; why there is no more of it."""
    operation = platform.operations()["serverlessLogsStream"]
    given = arguments.model_dump(exclude={"until", "seconds"}, exclude_none=True)
    rules.check(operation, given)
    request = operation.request(given)
    async with call.fal().platform.events(request.method, request.path, request.query) as events:
        async for event in events:
            # The status was 200 by then: an error can only come as an event.
            if event.kind == "error":
                raise ServiceFailed(f"fal ended the log stream: {one_line(event.data, _LONGEST_LINE)}")
            line = tail.take(event.data)
            if line is None:
                continue
            # An app may log a thousand lines a second, and each of them would be a message to the host.
            await call.say_now_and_then(one_line(f"{line.level} {line.message}", _LONGEST_SAID))
            if arguments.until and arguments.until.casefold() in line.message.casefold():
                return "until"
    return "stream"


def read(data: str) -> Line | None:
    """The line that an event carries; its level may be missing, or among its labels."""
    try:
        event: object = parsed(data)
    except NotJson:
        return None
    if not is_object(event) or not isinstance(event.get("message"), str):
        return None
    about = event
    labels: object = about.get("labels")
    level = _text(about, "level") or (_text(labels, "level") if is_object(labels) else "")
    return Line(
        timestamp=_text(about, "timestamp"),
        # fal's levels are few; whoever writes others fills no table with them.
        level=level.casefold() if level.casefold() in _LEVELS else "other",
        app=_text(about, "app"),
        message=one_line(about["message"], _LONGEST_LINE),
    )


def _text(about: JsonMapping, name: str) -> str:
    value = about.get(name)
    return one_line(value, 100) if isinstance(value, str) else ""


def _told(tail: Tail, ended: str, seconds: float) -> Outcome:
    count = tail.levels.total()
    why = {"time": "the time is up", "until": "the text that was waited for came", "stream": "fal ended the stream"}
    levels = ", ".join(f"{number} {level}" for level, number in tail.levels.most_common())
    head = f"{count} lines in {seconds:.0f} s{f' ({levels})' if levels else ''}; {why[ended]}."
    if tail.unreadable:
        head += f" {tail.unreadable} could not be read and are left out."
    if count > len(tail.lines):
        head += f" The last {len(tail.lines)} are kept."
    data: JsonObject = {
        "count": count,
        "levels": dict(tail.levels),
        "unreadable": tail.unreadable,
        "ended": ended,
        "seconds": round(seconds, 1),
        "lines": [
            {"timestamp": line.timestamp, "level": line.level, "app": line.app, "message": line.message}
            for line in tail.lines
        ],
    }
    return Outcome(data=data, note=f"{head}\n{tail.told(_LONGEST_TEXT)}".strip(), is_plain=True)


def _with_what_came(error: FalError, tail: Tail) -> FalError:
    """The same error; where lines came before it, with the last of them."""
    if count := tail.levels.total():
        error.message = cut(f"{error.message} Before that {count} lines came, at the end:\n", 1000)
        error.message += tail.told(_LAST_WORDS)
    return error
