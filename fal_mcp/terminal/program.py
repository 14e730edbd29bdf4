"""The name by which this program can be called again where it was called: in a clone `fal-mcp` is on nobody's path."""

import os
import re
import shlex
import shutil
import sys
from functools import lru_cache

NAME = "fal-mcp"
COMMANDS = (
    *("demo", "doctor", "emulate", "install", "jobs", "ledger", "login", "logout", "models", "run", "serve", "token"),
    *("usage", "webhook", "whoami"),
)
_CALLED = re.compile(rf"(?<![\w/\\.-])(?<!uvx ){NAME}(?= (?:{'|'.join(COMMANDS)})\b)")


def callable_here(text: str, program: str | None = None) -> str:
    """The text with each command in it as it can be typed here; `program` is what was started, where it is not this."""
    name = called(sys.argv[0] if program is None else program)
    return text if name == NAME else _CALLED.sub(lambda _: name, text)


@lru_cache(maxsize=4)
def called(program: str) -> str:
    """The words that start `program` again, a script of this name or the module itself; else its usual name."""
    folder, name = os.path.split(program)
    # Other modules are started in this way too, and this one may be called in them.
    if name == "__main__.py" and os.path.basename(folder) == "fal_mcp":
        return f"{_typed(sys.executable)} -m fal_mcp"
    return _typed(program) if name.removesuffix(".exe") == NAME else NAME


def _typed(program: str) -> str:
    name = os.path.basename(program).removesuffix(".exe")
    found = shutil.which(name)
    # A shell finds it by its name; what else is of that name there is another program.
    if found is not None and os.path.exists(program) and os.path.samefile(found, program):
        return name
    return shlex.quote(program) if os.name == "posix" else f'"{program}"' if " " in program else program
