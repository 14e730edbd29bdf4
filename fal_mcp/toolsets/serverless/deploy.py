"""Deploying and scaling apps with fal's own command line, never without the user's approval. Fact F8."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import anyio.to_thread
from pydantic import Field

from fal_mcp.client.fal_cli import Said
from fal_mcp.errors import InvalidInput
from fal_mcp.machine.private_copy import private_copy
from fal_mcp.machine.readable import Readable, path_in
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import input_files
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool

_ADDRESS = re.compile(r"https://(?:queue\.)?fal\.run/([\w.-]+/[\w./-]+)")
"""Where an endpoint is called, synchronously or through the queue."""
_LARGEST = 4_000_000
"""Bytes of an app's file."""
_NAME = r"^[A-Za-z0-9][\w.-]*$"
_SCALE_SECONDS = 120.0
_LONGEST_LINE = 200
_LONGEST_TEXT = 12_000
_NOBODY = "Nothing was done. Ask the user to run this in a terminal, or use a client that can ask."


class DeployArguments(Arguments):
    path: str = Field(min_length=1, max_length=4096, description="A Python file that may be read.")
    app: str | None = Field(None, max_length=100, pattern=r"^[A-Za-z_]\w*$", description="The class.")
    name: str | None = Field(None, max_length=100, pattern=_NAME, description="Its name at fal.")
    auth: Literal["private", "public", "shared"] | None = Field(None, description="Who may call it.")
    environment: str | None = Field(None, max_length=100, pattern=_NAME)
    seconds: float = Field(900, ge=1, le=3600, description="At most.")


class ScaleArguments(Arguments):
    name: str = Field(max_length=100, pattern=_NAME, description="The app, without its owner.")
    keep_alive: int | None = Field(None, ge=0, description="Seconds an idle runner stays.")
    min_concurrency: int | None = Field(None, ge=0, description="Runners that always run, and cost.")
    max_concurrency: int | None = Field(None, ge=0, description="Runners at most.")
    max_multiplexing: int | None = Field(None, ge=1, description="Requests at once a runner.")
    environment: str | None = Field(None, max_length=100, pattern=_NAME)


def tools() -> list[Tool]:
    """The tools that run fal's command line."""
    return [
        from_function.tool(
            DeployArguments,
            _deploy,
            name="deploy_app",
            title="Deploy an app",
            description="Deploys a serverless app from a file on the server's machine; its code runs there first. The "
            "user is asked.",
            effect="spends",
            key="user",
        ),
        from_function.tool(
            ScaleArguments,
            _scale,
            name="scale_app",
            title="Scale an app",
            description="Sets how many runners an app has. The user is asked.",
            effect="spends",
            key="user",
        ),
    ]


async def _deploy(arguments: DeployArguments, call: Call) -> Outcome:
    cli = call.fal().cli
    cli.need()
    file, content = await _file(arguments.path, call)
    what = _reference(file, arguments.app)
    given = _options({"app-name": arguments.name, "auth": arguments.auth, "env": arguments.environment})
    # The user reads what will be run, word for word.
    wish = " ".join([one_line(what, 300), *given])
    digest = hashlib.sha256(content).hexdigest()[:12]
    await call.approve(
        f"Deploy {wish} (sha256 {digest})? Its code runs on this server's machine now, and then on runners that cost "
        "money.",
        _NOBODY,
    )
    # A copy of what was read when it was checked: whatever takes the file's name while the user is asked is not run.
    with private_copy(content, file) as copy:
        # fal's own question is skipped: the user was asked this one.
        command = ["deploy", _reference(copy, arguments.app), "--yes", *given]
        try:
            output = await cli.run(command, _teller(call), seconds=arguments.seconds, folder=file.parent)
        finally:
            # One that broke off may have deployed all the same.
            call.deployed()
    return _deployed(what, output)


async def _scale(arguments: ScaleArguments, call: Call) -> Outcome:
    cli = call.fal().cli
    cli.need()
    settings = arguments.model_dump(exclude={"name", "environment"}, exclude_none=True)
    if not settings:
        raise InvalidInput("Nothing to scale is given.", hint="Give at least one of the app's settings.")
    given = _options({name.replace("_", "-"): str(value) for name, value in settings.items()})
    given += _options({"env": arguments.environment})
    await call.approve(f"Scale {arguments.name} with {' '.join(given)}? Runners cost money while they run.", _NOBODY)
    output = await cli.run(
        ["apps", "scale", arguments.name, *given], _teller(call), seconds=_SCALE_SECONDS, folder=None
    )
    return _told(f"Scaled {arguments.name}.", output)


def _reference(file: Path, app: str | None) -> str:
    return f"{file}::{app}" if app else str(file)


async def _file(given: str, call: Call) -> tuple[Path, bytes]:
    """Where the file really is, and what is in it: what runs is what was allowed, and not where a link leads later.

    A file and not a folder: a folder's pyproject.toml may name code anywhere.
    """
    path = path_in(given)
    if path is None or not path.endswith(".py"):
        raise InvalidInput(f"{one_line(given, 120)!r} is not the path of a Python file.", hint="Give one.")
    await input_files.may_read(path, call)
    file = await anyio.to_thread.run_sync(call.readable.located, path)
    if file.suffix != ".py" or "::" in str(file):
        raise InvalidInput(
            f"{one_line(str(file), 120)!r} is not a Python file that fal can be told.", hint="Rename it."
        )
    return file, await anyio.to_thread.run_sync(_content, call.readable, path)


def _content(readable: Readable, path: str) -> bytes:
    with readable.opened(path) as file:
        if file.size > _LARGEST:
            raise InvalidInput(f"{one_line(path, 120)!r} is larger than {_LARGEST:,} bytes, and no app's file.")
        return file.stream.read(_LARGEST)


def _deployed(what: str, said: Said) -> Outcome:
    """What was said, and first the ids by which the app can be called: fal's command line prints their addresses."""
    outcome = _told(f"Deployed {one_line(what, 300)}.", said)
    ids = [match for line in said.lines for match in _ADDRESS.findall(line)]
    endpoints = [one.rstrip("/.") for one in dict.fromkeys(ids)]
    if not endpoints:
        return outcome
    note = f"Its endpoints: {', '.join(endpoints)}.\n{outcome.note}"
    return replace(outcome, note=note, data={**outcome.data, "endpoints": endpoints})


def _options(given: dict[str, str | None]) -> list[str]:
    return [part for name, value in given.items() if value is not None for part in (f"--{name}", value)]


def _teller(call: Call) -> Callable[[str], Awaitable[None]]:
    async def tell(line: str) -> None:
        await call.say_now_and_then(one_line(line, _LONGEST_LINE))

    return tell


def _told(done: str, said: Said) -> Outcome:
    head = f"{done} fal's command line said, in {said.count} lines:"
    room, shown = _LONGEST_TEXT - len(head), list[str]()
    for line in reversed(said.lines):
        room -= len(line) + 1
        if room < 0:
            break
        shown.insert(0, line)
    data = {"done": True, "lines": list(said.lines), "count": said.count}
    return Outcome(data=data, note="\n".join([head, *shown]), is_plain=True)
