"""A command in a terminal of so many columns: what stands on its screen, and a picture of that.

The command has a real pseudo-terminal, whose bytes a terminal emulator turns into a screen; nothing is drawn by hand.
"""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

BOUND = 90.0
"""Seconds that a command may take."""
_MOST_ROWS, _TOO_WIDE = 200, 1000
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: \
{char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: ui-sans-serif, "DejaVu Sans", sans-serif; font-size: 16px; }}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""Without the web font of rich's own: whoever reads the documents fetches nothing from elsewhere."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Keys, typed once the screen shows something."""

    when: str
    keys: str


@dataclass
class Terminal:
    """A screen and what ran on it."""

    columns: int
    environment: Mapping[str, str]
    folder: str
    screen: pyte.Screen = field(init=False)
    unbroken: pyte.Screen = field(init=False)
    """What the same bytes look like on a screen that is too wide to break a line."""

    def __post_init__(self) -> None:
        self.screen = pyte.Screen(self.columns, _MOST_ROWS)
        self.unbroken = pyte.Screen(_TOO_WIDE, _MOST_ROWS)
        self._streams = [pyte.ByteStream(self.screen), pyte.ByteStream(self.unbroken)]

    def run(self, command: Sequence[str], *typed: Typed, stop_at: str | None = None) -> int | None:
        """Run it to its end; the exit code. With `stop_at` it is ended as soon as the screen shows that: None.

        Raises:
            TimeoutError: it takes longer than `BOUND`.
        """
        process, end = pty.fork()
        if process == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, self.columns, 0, 0))
            os.chdir(self.folder)
            os.execve(command[0], list(command), dict(self.environment))
        try:
            return self._followed(process, end, list(typed), stop_at)
        finally:
            os.close(end)

    def _followed(self, process: int, end: int, typed: list[Typed], stop_at: str | None) -> int | None:
        until = time.monotonic() + BOUND
        while self._is_more(end):
            if (stop_at and re.search(stop_at, self.text)) or time.monotonic() > until:
                os.kill(process, 9)
                os.waitpid(process, 0)
                if time.monotonic() > until:
                    raise TimeoutError(f"It did not end within {BOUND:.0f} seconds: {self.text}")
                return None
            if typed and re.search(typed[0].when, self.text):
                os.write(end, typed.pop(0).keys.encode())
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def write(self, text: str) -> None:
        """Put text on the screen, as if a command had."""
        self._feed(text.replace("\n", "\r\n").encode())

    def broken(self) -> set[str]:
        """The words that the command wrote whole and that the screen shows in two parts."""
        return set(self.text.split()) - {word for line in self.unbroken.display for word in line.split()}

    @property
    def text(self) -> str:
        """The screen's lines, without the blanks at their ends."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def svg(self, title: str) -> str:
        """The screen as a picture."""
        with open(os.devnull, "w") as nowhere:
            console = Console(record=True, width=self.columns, file=nowhere, force_terminal=True, highlight=False)
            for row in range(len(self.text.split("\n"))):
                console.print(self._line(row), overflow="ignore", no_wrap=True, crop=True)
        return "\n".join(
            line.rstrip() for line in console.export_svg(title=title, code_format=_SVG, unique_id="t").splitlines()
        )

    def _is_more(self, end: int) -> bool:
        if not select.select([end], [], [], 0.05)[0]:
            return True
        try:
            chunk = os.read(end, 65536)
        except OSError:
            # On Linux the other side of a pseudo-terminal ends so.
            return False
        self._feed(chunk)
        return bool(chunk)

    def _feed(self, chunk: bytes) -> None:
        for stream in self._streams:
            stream.feed(chunk)

    def _line(self, row: int) -> Text:
        line = Text()
        for column in range(self.columns):
            cell = self.screen.buffer[row][column]
            line.append(cell.data, _style(cell))
        line.rstrip()
        return line


def _style(cell: pyte.screens.Char) -> Style:
    is_hex = re.fullmatch(r"[0-9a-f]{6}", cell.fg)
    color = None if cell.fg == "default" else f"#{cell.fg}" if is_hex else cell.fg.replace("brown", "yellow")
    return Style(color=color and color.replace("bright", "bright_"), bold=cell.bold, underline=cell.underscore)
