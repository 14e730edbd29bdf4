"""Progress as MCP wants it: numbers that only grow, made of queue positions and log lines. Pure.

Under 1 while nothing is known of how far the model is; from there on percent. Strictly increasing, as the
specification demands (2026-07-28, basic/patterns/progress).
"""

import re
from dataclasses import dataclass

from fal_mcp.client.queue import Completed, InProgress, Queued, Status
from fal_mcp.jobs.turns import Waiting
from fal_mcp.text import one_line

LONGEST_MESSAGE = 200
"""Claude Code cuts progress messages there."""
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s?%")
_STEPS = re.compile(r"(?<![\d./])(\d{1,6})\s*(?:/|of)\s*(\d{1,6})(?![\d./])")
_BAR = re.compile(r"\|[^|]*\|")
_ENDS = " \t:|-,;=>"
_OPENS, _CLOSES = " \t([<", " \t)]>"
# 100 is said by the result alone: a model that has drawn still uploads.
_LARGEST = 99.9


@dataclass(frozen=True, slots=True)
class Report:
    """One progress notification. `total` is 100 once a percentage is known."""

    progress: float
    total: float | None
    message: str


class Progress:
    """What was reported so far in one call, and what to report next."""

    def __init__(self) -> None:
        self._value = 0.0
        self._base = 0.0
        self._since_base = 0
        self._percent: float | None = None
        self._message = "sent to fal"

    def after(self, status: Status | Waiting) -> Report | None:
        """The report for a change of status; None for one that says nothing new."""
        match status:
            case Waiting(place):
                return self._report(_in_line(place))
            case Queued(position):
                return self._report(_in_queue(position))
            case InProgress(logs):
                # A line of megabytes is no line; patterns are not let loose on it.
                lines = [one_line(log.message, 2000) for log in logs]
                # Never backwards: models of several stages count each from 0, and the protocol wants numbers that grow.
                self._percent = max([self._percent or 0.0, *filter(None, map(percentage, lines))]) or None
                message = next((line for line in reversed(lines) if line), "running")
                return self._report(without_bar(message))
            case Completed():
                return None

    def beat(self, seconds: float) -> Report:
        """The report that says nothing changed, `seconds` after the call began."""
        return self._report(self._message, f" ({seconds:.0f} s)")

    def begin(self) -> Report:
        """The first report, before anything was sent."""
        return self._report(self._message)

    def _report(self, message: str, suffix: str = "") -> Report:
        self._message = message
        self._value = self._next(self._percent or 0.0)
        known = self._percent is not None
        percent = f"{self._value:.0f} %: " if known else ""
        text = one_line(f"{percent}{message}", LONGEST_MESSAGE - len(suffix)) + suffix
        return Report(self._value, 100.0 if known else None, text)

    def _next(self, floor: float) -> float:
        if floor > self._value:
            self._base, self._since_base = floor, 0
            return floor
        # n/(n+1) of the way to the next whole percent grows with every report and never arrives.
        self._since_base += 1
        room = int(self._base) + 1 - self._base
        return self._base + room * self._since_base / (self._since_base + 1)


def percentage(line: str) -> float | None:
    """How far a log line says the model is, above 0 and at most 99.9; None where it says nothing.

    Reads `43%`, `12/28`, `step 12 of 28` and tqdm's bars, whose percentage stands first.
    """
    if match := _PERCENT.search(line):
        value = float(match[1])
    elif match := _STEPS.search(line):
        done, total = int(match[1]), int(match[2])
        value = 100 * done / total if 0 < done <= total else 0.0
    else:
        return None
    return min(value, _LARGEST) if 0 < value <= 100 else None


def without_bar(line: str) -> str:
    """A log line without the percentage that is told beside it, and without the bar that draws it."""
    match = _PERCENT.search(line)
    if match is None or percentage(line) is None:
        return line
    before, rest = line[: match.start()].strip(_OPENS), line[match.end() :].lstrip(_CLOSES)
    bar = _BAR.match(rest)
    if before and rest.strip(_ENDS) and not bar:
        # The number is part of a sentence.
        return line
    plain = " ".join(filter(None, [before, rest[bar.end() if bar else 0 :].strip(_ENDS)]))
    return plain if any(character.isalnum() for character in plain) else "running"


def _in_queue(position: int | None) -> str:
    if position is None:
        return "waiting in fal's queue"
    return "next in fal's queue" if position == 0 else f"{_ordinal(position + 1)} in fal's queue"


def _in_line(place: int) -> str:
    return "waiting for its turn here, next in line" if place == 0 else f"{_ordinal(place + 1)} in line here"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
