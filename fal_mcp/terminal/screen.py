"""The two screens: what was asked for on standard output, everything else on standard error."""

from rich.console import Console
from rich.text import Text

from fal_mcp.terminal.program import callable_here
from fal_mcp.terminal.words import for_people
from fal_mcp.text import one_line, visible

_LONGEST_PART = 500

_COMMANDS = ("  fal-mcp ", "  FAL_KEY=")
"""How a line begins that is to be typed and not read."""


def out() -> Console:
    """What was asked for. Lines are left whole: they are copied, and piped on."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def errors() -> Console:
    """Progress, trouble and questions."""
    return Console(highlight=False, soft_wrap=False, markup=False, emoji=False, stderr=True)


def columns(*parts: str) -> None:
    """One line of what was asked for, its parts told apart by tabs, for whatever reads it from a pipe."""
    # Past rich, which writes tabs as spaces whatever it is told.
    out().file.write("\t".join(one_line(part, _LONGEST_PART) for part in parts) + "\n")


def trouble(*lines: str) -> None:
    """Say what went wrong: the first line in red, what to do plainly."""
    console = errors()
    for number, line in enumerate(filter(None, lines)):
        say(console, for_people(line), "red" if number == 0 else "")


def say(console: Console, text: str, style: str = "") -> None:
    """Print lines with no address, path or command broken: at a terminal words wrap, in a pipe nothing does. Commands
    are as they can be typed here."""
    for line in text.split("\n"):
        longest = max(map(len, line.split(" ")), default=0)
        # A path, an address or a command that is broken in two cannot be copied.
        is_command = line.startswith(_COMMANDS)
        is_whole = not console.is_terminal or longest >= console.width or is_command
        console.print(Text(visible(callable_here(line)), style=style), soft_wrap=is_whole)
