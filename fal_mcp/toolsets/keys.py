"""API keys: a new one goes into a file that only its owner can read, and never to the model. Fact F10.1."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from pydantic import Field

from fal_mcp.errors import FalError, MaybeReceived, NotWritable
from fal_mcp.json_values import JsonObject
from fal_mcp.machine.output_folder import slug
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function, pages
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import platform

_LONGEST_GOODBYE = 5.0
_UNFINISHED = ".unfinished-"
_LONGEST_CALL = 120.0
"""Seconds; what a call that was cut off left behind is nobody's after that."""
_CUT_OFF = (
    "An earlier call for this alias was cut off, and fal may have made a key that nobody has: list_keys shows it, "
    "delete_key removes it."
)
_LOOK = "list_keys shows whether one was made; delete_key it then, for it is of no use to anybody."


class CreateArguments(Arguments):
    alias: str = Field(min_length=1, max_length=255, description="What the key is called, so that it is known later.")


def tools() -> list[Tool]:
    """The key tools that are more than one request."""
    return [
        from_function.tool(
            CreateArguments,
            _create,
            name="create_key",
            title="Create an API key",
            description="Creates a key of scope API and writes it to a file on the server's machine that only its "
            "owner can read; the answer has the file's path, the key's id and alias, never the key. Needs "
            "FAL_ADMIN_KEY.",
            effect="writes",
            key="admin",
        )
    ]


async def _create(arguments: CreateArguments, call: Call) -> Outcome:
    made: tuple[str, Path] | FalError | None = None
    was_cut_off = await anyio.to_thread.run_sync(_was_cut_off, call.secrets, arguments.alias)
    # A key that fal has made is written down, whoever hangs up; but a silent fal holds nobody up for long then.
    scope = anyio.CancelScope(shield=True)

    async def hurry() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            scope.deadline = anyio.current_time() + _LONGEST_GOODBYE

    async with anyio.create_task_group() as tasks:
        # It sleeps until the call is broken off, and only then sets the clock running.
        tasks.start_soon(hurry)
        with scope:
            made = await _made_or_why_not(arguments.alias, call)
        tasks.cancel_scope.cancel()
    if made is None:
        raise MaybeReceived("fal did not answer in time: a key may have been made that nobody has.", hint=_LOOK)
    if isinstance(made, FalError):
        raise made
    key_id, target = made
    name = one_line(arguments.alias, 80)
    note = f"The key {name!r} ({one_line(key_id, 60)}) is in {target}, which only its owner can read."
    data: JsonObject = {"key_id": key_id, "alias": arguments.alias, "path": str(target)}
    if was_cut_off:
        note, data["earlier"] = f"{note}\n{_CUT_OFF}", _CUT_OFF
    return Outcome(data=data, note=note, is_plain=True)


async def _made_or_why_not(alias: str, call: Call) -> tuple[str, Path] | FalError:
    """What is raised in a group of tasks leaves it in a group of exceptions, where nobody looks for it."""
    try:
        return await _made(alias, call)
    except FalError as error:
        return error


async def _made(alias: str, call: Call) -> tuple[str, Path]:
    # A place that cannot be written is found before there is a key to lose.
    unfinished = await anyio.to_thread.run_sync(_prepared, call.secrets, alias)
    try:
        try:
            answer: Any = await pages.send(platform.operations()["createApiKey"], {"alias": alias}, call)
        except MaybeReceived as error:
            error.hint = _LOOK
            raise
        key_id, key = answer.get("key_id"), answer.get("key")
        if not isinstance(key_id, str) or not isinstance(key, str):
            raise MaybeReceived("fal's answer has no key.", hint=_LOOK)
        target = call.secrets / f"{slug(alias) or 'key'}-{slug(key_id, 16)}.key"
        await anyio.to_thread.run_sync(_written, unfinished, target, key, key_id)
    finally:
        # Also where the time is up: what is awaited in a scope that was cancelled is not done.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: unfinished.unlink(missing_ok=True))
    return key_id, target


def _was_cut_off(folder: Path, alias: str) -> bool:
    """Whether a call for a key of this name ended without a word, which what it prepared shows."""
    was = False
    with suppress(OSError):
        for left in folder.glob(f"{_UNFINISHED}*"):
            if left.read_text("utf-8") == alias:
                was = True
                # A call that lasts still writes there.
                if time.time() - left.stat().st_mtime > _LONGEST_CALL:
                    left.unlink()
    return was


def _prepared(folder: Path, alias: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = folder / f"{_UNFINISHED}{os.getpid()}-{os.urandom(6).hex()}"
        # Owner's alone from the start: set later, others could open it before the key is in it and read on.
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            # Where this server is killed, the next call for the name knows that one was being made.
            file.write(alias.encode("utf-8", "replace"))
    except OSError as error:
        raise NotWritable(
            f"No key was made: {str(folder)!r} cannot be written ({error.strerror}).",
            hint="Point --data-dir at a place that can be written.",
        ) from error
    return unfinished


def _written(unfinished: Path, target: Path, key: str, key_id: str) -> None:
    try:
        # Whole or not at all: the name that the answer gives never leads to half a key.
        unfinished.write_text(f"{key}\n", "utf-8")
        os.replace(unfinished, target)
    except OSError as error:
        raise NotWritable(
            f"The key {one_line(key_id, 60)!r} was made and could not be written down ({error.strerror}).",
            hint="It is of no use to anybody: delete_key it, make room, and create another.",
        ) from None
