"""The program that hosts are told to start: an absolute path that exists and has answered once.

A host with a window has a short search path of its own, in which neither `uvx` nor `fal-mcp` is found.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from fal_mcp import __version__
from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject

_LONGEST_START = 60.0
"""Seconds: a first start may have to install."""
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "fal-mcp-install", "version": __version__},
    },
}


def launcher(beside: Path | None = None) -> list[str]:
    """The command, as absolute paths: the script beside this Python, else the one that is found, else this Python."""
    scripts = beside or Path(sys.executable).parent
    for name in ("fal-mcp", "fal-mcp.exe"):
        if (scripts / name).is_file():
            return [str((scripts / name).absolute())]
    # Another package installs a script of the same name, so what is merely found on the path is not taken.
    return [str(Path(sys.executable).absolute()), "-m", "fal_mcp"]


def tried(command: Sequence[str]) -> None:
    """Run it once, which also fills what a first start has to fill.

    Raises:
        NotInstalled: it does not run.
    """
    program = shutil.which(command[0])
    if program is None:
        raise NotInstalled(f"There is no program {command[0]!r}; nothing was changed.")
    try:
        done = subprocess.run(
            # The lightest thing that shows that it starts: it needs no key and no network.
            [*command, "--version"],
            capture_output=True,
            timeout=_LONGEST_START,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{command[0]!r} does not start: {error}.") from error
    if done.returncode:
        last_words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise NotInstalled(f"{command[0]!r} does not run: {last_words[0][:200]}.")


def handshake(command: Sequence[str], environment: Mapping[str, str], longest: float = _LONGEST_START) -> str:
    """Start it as a host would and shake hands once; answers with the server's name and version.

    Raises:
        NotInstalled: it did not answer.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise NotInstalled(f"{command[0]!r} does not start: {error}.") from error
    # Whatever it does, it is gone after its time; closing its input is what hosts do too.
    timer = threading.Timer(longest, _kill, (process,))
    timer.start()
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        answer: Any = json.loads(process.stdout.readline() or b"null")
        server = cast(JsonObject, answer["result"]["serverInfo"])
        return f"{server['name']} {server['version']}"
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise NotInstalled(f"{command[0]!r} started and did not shake hands.") from error
    finally:
        timer.cancel()
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    # What it never read is flushed when its input is closed, and it may be gone by then.
    with suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
    if process.stdout:
        process.stdout.close()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            # And all it began: a script around a server hands its output on, and what is read here ends with the last
            # that has it.
            os.killpg(process.pid, signal.SIGKILL)
