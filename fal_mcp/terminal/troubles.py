"""Whatever ends a command, as sentences: no traceback for anything in the environment."""

import errno
import os
import traceback
from collections.abc import Mapping
from typing import cast

from fal_mcp.errors import FalError
from fal_mcp.terminal import environment

_WORDS: Mapping[int, str] = {
    errno.EADDRINUSE: "The port is in use. Name another, or 0 for any that is free.",
    errno.EADDRNOTAVAIL: "This machine has no such address to listen on.",
    errno.EMFILE: "Too many files are open; raise the limit (ulimit -n) or end other programs.",
    errno.ENOSPC: "The disk is full.",
}


def sentences(error: BaseException, env: Mapping[str, str]) -> list[str]:
    """What happened and what to do, in lines: first what is wrong with the environment, where that is the cause."""
    cause = _innermost(error)
    if isinstance(cause, FalError):
        return [cause.message, *(f"  {fault}" for fault in cause.faults), cause.hint]
    if wrong := environment.faults(env):
        return wrong
    if isinstance(cause, OSError):
        return _of_the_system(cause, env)
    return _unexpected(cause)


def _of_the_system(error: OSError, env: Mapping[str, str]) -> list[str]:
    if known := _WORDS.get(error.errno or 0):
        return [known]
    if _is_nowhere():
        return ["The folder that this was started in is no longer there. Start it in another."]
    reason = error.strerror or str(error)
    what = f"{os.fsdecode(error.filename)!r} cannot be used: {reason}." if error.filename else f"{reason}."
    return [what, environment.home_fault(env) or "--data-dir and --output-dir name other folders."]


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _unexpected(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return [
        f"This should not have happened: {type(error).__name__}: {error}{where}.",
        "It is a fault of fal-mcp. What fal-mcp doctor says helps to find it.",
    ]


def _innermost(error: BaseException) -> BaseException:
    if isinstance(error, BaseExceptionGroup):
        group = cast(BaseExceptionGroup[BaseException], error)
        return _innermost(group.exceptions[0])
    return error
