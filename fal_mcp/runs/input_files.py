"""Files on their way into a model: found by the schema, checked before they cost anything, uploaded once, put back as
URLs. Free text is never touched, though it looks like a path."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

from fal_mcp.catalog import file_arguments
from fal_mcp.catalog.endpoint import Endpoint, FileArgument
from fal_mcp.errors import FalError, Fault, InvalidInput, NotReadable
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, place_of
from fal_mcp.machine import file_kind
from fal_mcp.machine.readable import escaped, path_in, refusal
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.outputs import media
from fal_mcp.outputs.outcome import Media
from fal_mcp.runs import file_checks, file_upload
from fal_mcp.runs.call import Call, CannotAsk
from fal_mcp.text import one_line

_AT_ONCE = 4
_JOB_FILE = "fal://jobs/"
_NO_FILE = (
    "%r is no file. Accepted are an https URL, a data: URI, a path in a folder that --allow-dir names, and "
    "fal://jobs/{job_id}/files/{number} for a file of an earlier run."
)
_FOLDER = {
    "type": "object",
    "properties": {"allow": {"type": "boolean", "title": "Allow", "description": "Whether the folder may be read."}},
    "required": ["allow"],
}
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One file argument that was given: where it stands, what it says, and what the schema says of it."""

    path: Path
    value: str
    argument: FileArgument
    part: Schema


def find(endpoint: Endpoint, arguments: JsonMapping) -> list[Found]:
    """Every value in a file position, in the order of the schema."""
    # Of an endpoint without a document its arguments' names alone tell.
    places = file_arguments.by_name(arguments) if endpoint.unchecked else endpoint.files
    return [
        Found(path, value, argument, _part(endpoint.input_schema, argument.path))
        for argument in places
        for path, value in _values(arguments, argument.path, ())
    ]


def need_addresses(endpoint: Endpoint, arguments: JsonMapping, own: Collection[str], by: str) -> None:
    """Refuse files of this machine and of other jobs that stand in no text of the caller's `own`: an earlier run has
    named them. What a model gives may say anything, and whoever asked for the run has not seen it.

    Raises:
        InvalidInput: there are such; nothing was read.
    """
    faults = tuple(
        Fault(_shown(item.path), f"{one_line(item.value, 60)!r} is what {by} gave, and is no address of a file")
        for item in find(endpoint, arguments)
        # Within a text: a list may have been given as one.
        if not _is_remote(item.value) and not any(item.value.strip() in text for text in own)
    )
    if faults:
        raise InvalidInput(
            "A file was named by a result and not by the caller; nothing was read, sent or paid:",
            hint="Only the caller may name files of this machine or of other jobs: give it as an argument if meant.",
            faults=faults,
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """The files of a call that are not on the network yet, each looked at and none sent."""

    files: tuple[Found, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict[str, str])
    """What each local file was when it was looked at, by its value: another may not take its place since."""
    doubts: tuple[str, ...] = ()
    """What may be wrong with one, in sentences; worth saying and no reason to refuse."""


async def check(endpoint: Endpoint, arguments: JsonMapping, call: Call) -> Checked:
    """Look at every file that would be put up, and ask about its folder where that is open. Nothing is sent, so that
    what it costs can be asked about before a file leaves the machine.

    Raises:
        InvalidInput: files are not what the arguments take; every fault is named.
        NotReadable: one may not be read.
    """
    given = find(endpoint, arguments)
    files = [item for item in given if not _is_remote(item.value)]
    # Asked before anything is opened: a folder that the user forbids is not even looked into.
    try:
        await _allowed(files, call)
    except NotReadable as error:
        if faults := tuple(
            Fault(_shown(item.path), _NO_FILE % one_line(item.value, 60)) for item in files if _is_prose(item)
        ):
            raise InvalidInput(
                "Words stand where a file is wanted; nothing was sent or paid:", faults=faults
            ) from error
        raise
    looked = [await anyio.to_thread.run_sync(_looked_at, item, call) for item in files]
    # All of them at once: a model corrects what it is told, and each round costs the user's time.
    if faults := (*_wrong_addresses(given), *(look.fault for look in looked if look.fault)):
        raise InvalidInput(
            f"Files of {endpoint.endpoint_id!r} were refused here, before anything was sent or paid:",
            hint="Give other files and call again.",
            faults=faults,
        )
    identities = {item.value: look.identity for item, look in zip(files, looked, strict=True) if look.identity}
    return Checked(tuple(files), identities, tuple(look.doubt for look in looked if look.doubt))


def _wrong_addresses(items: list[Found]) -> Iterator[Fault]:
    for item in items:
        # An empty text that the model itself has for this argument is its word for none.
        is_meant = not item.value.strip() and item.part.get("default") == item.value
        if _is_remote(item.value) and not is_meant and (wrong := file_checks.address_fault(item.value, item.argument)):
            yield Fault(_shown(item.path), wrong)


async def put_up(endpoint: Endpoint, arguments: JsonMapping, call: Call, checked: Checked | None = None) -> JsonObject:
    """`arguments` with every local file, and every file of an earlier job, as a URL that fal can read. `checked` is
    what `check` gave for these very arguments; without it they are checked first.

    Raises:
        InvalidInput, NotReadable: as `check`; or a file is another than was checked.
        FalError: one could not be uploaded.
    """
    if checked is None:
        checked = await check(endpoint, arguments, call)
    if not checked.files:
        return dict(arguments)
    for doubt in checked.doubts:
        await call.say(doubt)
    urls = await _urls(checked, call)
    # A copy all the way down: the arguments that were checked stay as the caller gave them.
    changed = json.loads(json.dumps(dict(arguments)))
    for item in checked.files:
        _put_back(changed, item.path, urls[item.value])
    return changed


async def may_read(path: str, call: Call) -> None:
    """Ask the user about a folder that is not allowed yet, once, where they can be asked.

    Raises:
        NotReadable: it stays forbidden.
    """
    if call.readable.allows(path):
        return
    folder = call.readable.folder_of(path)
    if folder is None or not call.readable.may_ask:
        raise refusal(path)
    try:
        answer = await call.ask(f"May fal-mcp read files in the folder {escaped(folder)}?", _FOLDER)
    except CannotAsk as error:
        raise refusal(path) from error
    if answer is None or answer.get("allow") is not True:
        raise refusal(path)
    call.readable.add(folder)


async def _allowed(items: list[Found], call: Call) -> None:
    for item in items:
        path = _local_path(item)
        if path is not None:
            try:
                await may_read(path, call)
            except NotReadable as error:
                raise NotReadable(f"{_shown(item.path)}: {error.message}", hint=error.hint) from error


async def _urls(checked: Checked, call: Call) -> dict[str, str]:
    urls: dict[str, str] = {}
    failed: list[FalError] = []
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def one(item: Found) -> None:
        async with limiter:
            try:
                urls[item.value] = await _url(item, checked.identities.get(item.value), call)
            except FalError as error:
                failed.append(error)

    async with anyio.create_task_group() as tasks:
        # The same file in two places is sent once.
        for item in {item.value: item for item in checked.files}.values():
            tasks.start_soon(one, item)
    if failed:
        raise failed[0]
    return urls


async def _url(item: Found, identity: str | None, call: Call) -> str:
    if earlier := await of_job(item.value, call, f"{_shown(item.path)}: "):
        return earlier.url
    path = _local_path(item)
    assert path is not None
    with call.readable.opened(path) as file:
        # What the user agreed to, and what was checked, is this file and no other that took its name since.
        if identity is not None and file.identity != identity:
            raise NotReadable(f"{_shown(item.path)}: the file was changed since it was checked.", hint="Call again.")
        head = await anyio.to_thread.run_sync(file_checks.head_of, file)
        return await file_upload.upload(file, file_kind.sniffed(head, file.name), call)


async def of_job(reference: str, call: Call, where: str = "") -> Media | None:
    """`fal://jobs/{id}/files/{n}`: the n-th file, from 1, of an earlier result; None for anything else.

    Raises:
        InvalidInput: that job has no such file; `where` begins the message.
        FalError: there is no such job, or it failed.
    """
    if not reference.startswith(_JOB_FILE):
        return None
    job_id, _, number = reference.removeprefix(_JOB_FILE).partition("/files/")
    output = await call.jobs.output(await call.jobs.get(job_id, call.owner))
    files = media.find(output)
    place = place_of(number) if number.isdecimal() else 0
    if not 1 <= place <= len(files):
        raise InvalidInput(
            f"{where}{reference[:120]!r} names no file; that job has {len(files)}.",
            hint=f"Files are numbered from 1, as in {_JOB_FILE}{job_id}/files/1.",
        )
    return files[place - 1]


def _local_path(item: Found) -> str | None:
    return None if item.value.startswith(_JOB_FILE) else path_in(item.value)


def _is_remote(value: str) -> bool:
    text = value.strip()
    return text.startswith(("https://", "http://", "data:")) or (
        path_in(text) is None and not text.startswith(_JOB_FILE)
    )


@dataclass(frozen=True, slots=True)
class _Look:
    fault: Fault | None = None
    doubt: str | None = None
    identity: str | None = None


def _looked_at(item: Found, call: Call) -> _Look:
    """A local file beside what its argument takes; nothing of a file that an earlier job made."""
    path = _local_path(item)
    if path is None:
        return _Look()
    where = _shown(item.path)
    try:
        with call.readable.opened(path) as file:
            wrong = file_checks.fault(file, item.argument, item.part)
            doubt = file_checks.doubt(file, item.argument)
            return _Look(Fault(where, wrong) if wrong else None, f"{where}: {doubt}" if doubt else None, file.identity)
    except NotReadable as error:
        return _Look(Fault(where, _NO_FILE % one_line(item.value, 60) if _is_prose(item) else error.message))


def _is_prose(item: Found) -> bool:
    """Whether a value that could not be read looks like no path at all: such as "the photo that I sent you"."""
    path = _local_path(item)
    return path is not None and not re.search(r"[/\\~]|\.\w{1,5}$", path.strip())


def _part(root: Schema, path: tuple[str, ...]) -> Schema:
    part, nothing = root, Schema()
    for step in path:
        options = list(branches(part, root))
        if step == "[]":
            part = next((option["items"] for option in options if "items" in option), nothing)
        else:
            part = next(
                (option["properties"][step] for option in options if step in option.get("properties", {})), nothing
            )
    return part


def _values(value: Any, path: tuple[str, ...], here: Path) -> Iterator[tuple[Path, str]]:
    if not path:
        if isinstance(value, str):
            yield here, value
        return
    step, rest = path[0], path[1:]
    if step == "[]" and is_list(value):
        for index, item in enumerate(value):
            yield from _values(item, rest, (*here, index))
    elif step != "[]" and isinstance(value, Mapping) and step in value:
        yield from _values(value[step], rest, (*here, step))


def _put_back(arguments: Any, path: Path, url: str) -> None:
    for step in path[:-1]:
        arguments = arguments[step]
    arguments[path[-1]] = url


def _shown(path: Path) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
