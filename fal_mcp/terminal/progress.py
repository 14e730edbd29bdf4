"""How far a run is: a bar at a terminal, now and then a plain line in a pipe."""

import re
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

from fal_mcp.jobs.progress import Report
from fal_mcp.terminal import screen
from fal_mcp.terminal.words import for_people
from fal_mcp.text import cut, one_line

_QUIET_SECONDS = 10.0
_NARROW = 72
_LONGEST_TITLE = 40
# A model's own log repeats the bar that is drawn here: `12%|██   | 1/8 [0.38s, 2.67it/s]`.
_LOGGED_BAR = re.compile(r"\s*:?\s*\d+\s?%\s*\|.*$|\s*\d+/\d+\s*\[.*\]\s*$")


class Shown:
    """Shows progress while it is open, on standard error."""

    def __init__(self, title: str) -> None:
        self._title = cut(title, _LONGEST_TITLE)
        self._console = screen.errors()
        self._bar = self._made() if self._console.is_terminal and title else None
        self._task = self._bar.add_task(self._title, total=None, line="") if self._bar else None
        self._last = ("", 0.0)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to be asked."""
        return sys.stdin.isatty() and self._console.is_terminal

    async def tell(self, report: Report) -> None:
        """Take a report of a job's progress."""
        line = _LOGGED_BAR.sub("", one_line(for_people(report.message), 200))
        if self._bar is not None and self._task is not None:
            room = max(self._console.width - len(self._title) - (36 if self._console.width >= _NARROW else 12), 8)
            self._bar.update(self._task, completed=report.progress, total=report.total, line=cut(line, room))
        elif self._title and line and self._is_news(line):
            self._console.print(f"{self._title}: {line}", soft_wrap=True)

    def ask(self, question: str) -> bool:
        """Ask for a yes, in place of the bar. Blocks."""
        if self._bar:
            self._bar.stop()
        agreed = Confirm.ask(for_people(question), console=self._console, default=False)
        if self._bar:
            self._bar.start()
        return agreed

    def __enter__(self) -> "Shown":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def _made(self) -> Progress:
        bar = [BarColumn(bar_width=20)] if self._console.width >= _NARROW else []
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), *bar)
        more = (TextColumn("{task.fields[line]}", markup=False, style="dim"), TimeElapsedColumn())
        return Progress(*columns, *more, console=self._console, transient=True)

    def _is_news(self, line: str) -> bool:
        """Whether a line in a pipe says another thing than the last, and not too soon after it."""
        before, at = self._last
        now = time.monotonic()
        if line == before or (before and now - at < _QUIET_SECONDS):
            return False
        self._last = (line, now)
        return True
