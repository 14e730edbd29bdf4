"""Files on their way into a model: found by the schema, checked before they cost anything, uploaded once, put back as
URLs. Free text is never touched, though it looks like a path."""

import hashlib
import io
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio
import anyio.to_thread

from fal_mcp.catalog.endpoint import Endpoint, FileArgument
from fal_mcp.client.storage import LARGE, Upload
from fal_mcp.errors import FalError, Fault, InvalidInput, NotReadable, UploadClosed
from fal_mcp.machine import file_kind
from fal_mcp.machine.readable import LocalFile, path_in, refusal
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.outputs import media
from fal_mcp.outputs.outcome import Media
from fal_mcp.runs.call import Call, CannotAsk
from fal_mcp.text import one_line

_HEAD = 8192
_AT_ONCE = 4
_JOB_FILE = "fal://jobs/"
_FOLDER = {
    "type": "object",
    "properties": {"allow": {"type": "boolean", "title": "Allow", "description": "Whether the folder may be read."}},
    "required": ["allow"],
}
_KINDS = {"image": ("image/",), "video": ("video/",), "audio": ("audio/", "video/")}
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One file argument that was given: where it stands, what it says, and what the schema says of it."""

    path: Path
    value: str
    argument: FileArgument
    part: Schema


def find(endpoint: Endpoint, arguments: Mapping[str, Any]) -> list[Found]:
    """Every value in a file position, in the order of the schema."""
    return [
        Found(path, value, argument, _part(endpoint.input_schema, argument.path))
        for argument in endpoint.files
        for path, value in _values(arguments, argument.path, ())
    ]


async def put_up(endpoint: Endpoint, arguments: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """`arguments` with every local file, and every file of an earlier job, as a URL that fal can read.

    Raises:
        InvalidInput: files are not what the arguments take; every fault is named, and nothing was sent.
        NotReadable: one may not be read.
        FalError: one could not be uploaded.
    """
    found = [one for one in find(endpoint, arguments) if not _is_remote(one.value)]
    if not found:
        return dict(arguments)
    await _allowed(found, call)
    faults = [fault for one in found if (fault := await anyio.to_thread.run_sync(_fault, one, call))]
    if faults:
        raise InvalidInput(
            f"Files of {endpoint.endpoint_id!r} were refused here, before anything was sent or paid:",
            hint="Give other files and call again.",
            faults=tuple(faults),
        )
    urls = await _urls(found, call)
    changed = json.loads(json.dumps(dict(arguments)))
    for one in found:
        _put_back(changed, one.path, urls[one.value])
    return changed


async def upload(
    file: LocalFile, content_type: str, call: Call, *, lifetime: int | None = None, access: str | None = None
) -> str:
    """Put an open file on fal's CDN, unless this very file is there already; its URL."""
    storage, uploads = call.fal().storage, call.jobs.ledger.uploads
    identity = await anyio.to_thread.run_sync(_identity, file)
    is_plain = lifetime is None and access is None
    if is_plain and (known := await uploads.address_of(call.owner, identity)):
        return known
    item = Upload(file.stream, file.size, file.name, content_type, lifetime, access)
    tell = teller(file.name, call)
    if file.size < LARGE:
        url = await storage.put(item, tell)
    else:
        parts = await uploads.parts_of(call.owner, identity) or await storage.begin_parts(item)
        try:
            url = await storage.put_parts(
                item, parts, tell, lambda now: uploads.remember_parts(call.owner, identity, now)
            )
        except UploadClosed:
            await uploads.forget_parts(call.owner, identity)
            raise
    if is_plain:
        await uploads.remember(call.owner, identity, url, None)
    return url


def head_of(file: LocalFile) -> bytes:
    """The beginning of an open file."""
    file.stream.seek(0)
    return file.stream.read(_HEAD)


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
        answer = await call.ask(f"May fal-mcp read files in the folder {one_line(str(folder), 300)}?", _FOLDER)
    except CannotAsk as error:
        raise refusal(path) from error
    if answer is None or answer.get("allow") is not True:
        raise refusal(path)
    call.readable.add(folder)


async def _allowed(found: list[Found], call: Call) -> None:
    for one in found:
        path = _local_path(one)
        if path is not None:
            try:
                await may_read(path, call)
            except NotReadable as error:
                raise NotReadable(f"{_shown(one.path)}: {error.message}", hint=error.hint) from error


async def _urls(found: list[Found], call: Call) -> dict[str, str]:
    urls: dict[str, str] = {}
    failed: list[FalError] = []
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def one(item: Found) -> None:
        async with limiter:
            try:
                urls[item.value] = await _url(item, call)
            except FalError as error:
                failed.append(error)

    async with anyio.create_task_group() as tasks:
        for item in {item.value: item for item in found}.values():
            tasks.start_soon(one, item)
    if failed:
        raise failed[0]
    return urls


async def _url(found: Found, call: Call) -> str:
    if item := await of_job(found.value, call, f"{_shown(found.path)}: "):
        return item.url
    path = _local_path(found)
    assert path is not None
    with call.readable.opened(path) as file:
        head = await anyio.to_thread.run_sync(head_of, file)
        return await upload(file, file_kind.sniffed(head, file.name), call)


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
    if not number.isdecimal() or not 1 <= int(number) <= len(files):
        raise InvalidInput(
            f"{where}{reference[:120]!r} names no file; that job has {len(files)}.",
            hint=f"Files are numbered from 1, as in {_JOB_FILE}{job_id}/files/1.",
        )
    return files[int(number) - 1]


def _local_path(found: Found) -> str | None:
    return None if found.value.startswith(_JOB_FILE) else path_in(found.value)


def _is_remote(value: str) -> bool:
    text = value.strip()
    return text.startswith(("https://", "http://", "data:")) or (
        path_in(text) is None and not text.startswith(_JOB_FILE)
    )


def _fault(found: Found, call: Call) -> Fault | None:
    """What is wrong with a local file, found from its first bytes and the schema's own bounds."""
    path = _local_path(found)
    if path is None:
        return None
    try:
        with call.readable.opened(path) as file:
            head = head_of(file)
            said = _size_fault(file, found.part) or _kind_fault(file, head, found.argument) or _pixel_fault(file, found)
    except NotReadable as error:
        said = error.message
    return Fault(_shown(found.path), said) if said else None


def _size_fault(file: LocalFile, part: Schema) -> str | None:
    about = cast(Schema, part.get("x-fal") or {})
    most = about.get("max_file_size") or part.get("max_file_size")
    if isinstance(most, (int, float)) and file.size > most:
        return f"{file.name!r} has {file.size:,} bytes; at most {int(most):,} are allowed."
    return None


def _kind_fault(file: LocalFile, head: bytes, argument: FileArgument) -> str | None:
    wanted = _KINDS.get(argument.kind)
    kind = file_kind.sniffed(head, file.name)
    if wanted is None or kind.startswith(wanted) or kind == "application/octet-stream":
        return None
    return f"{file.name!r} is {kind}, and this takes a file of the kind {argument.kind!r}."


def _pixel_fault(file: LocalFile, found: Found) -> str | None:
    """A picture against the bounds that the document states."""
    bounds: Schema = {**found.part, **cast(Schema, found.part.get("x-fal") or {})}
    names = ("min_width", "max_width", "min_height", "max_height")
    known = {name: bounds[name] for name in names if isinstance(bounds.get(name), (int, float))}
    if not known:
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        file.stream.seek(0)
        with Image.open(io.BufferedReader(cast(Any, _Unclosed(file.stream)))) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    for name, bound in known.items():
        value = width if name.endswith("width") else height
        if value < bound if name.startswith("min") else value > bound:
            least = "at least" if name.startswith("min") else "at most"
            return f"{file.name!r} is {width}x{height} pixels; its {name[4:]} must be {least} {int(bound)}."
    return None


class _Unclosed(io.RawIOBase):
    """A view of an open file that a reader may close without closing the file."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())


def _identity(file: LocalFile) -> str:
    """What makes it this very file: its hash, or for a large one what changes when it does."""
    if file.size >= LARGE:
        return f"stat:{file.identity}"
    digest = hashlib.sha256()
    file.stream.seek(0)
    while chunk := file.stream.read(1024 * 1024):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}:{file.name}"


def teller(name: str, call: Call) -> Callable[[int, int], Awaitable[None]]:
    """Tells how far the upload of a file has come, from a megabyte on."""
    last = 0.0

    async def tell(sent: int, size: int) -> None:
        nonlocal last
        now = anyio.current_time()
        # The first megabytes of a small file are not news; a large one is told about twice a second.
        if size >= 1_000_000 and now - last >= 0.5:
            last = now
            await call.say(f"uploading {one_line(name, 60)}: {sent / 1e6:.0f} of {size / 1e6:.0f} MB")

    return tell


def _part(root: Schema, path: tuple[str, ...]) -> Schema:
    part, nothing = root, Schema()
    for step in path:
        options = list(branches(part, root))
        if step == "[]":
            part = next((one["items"] for one in options if "items" in one), nothing)
        else:
            part = next((one["properties"][step] for one in options if step in one.get("properties", {})), nothing)
    return part


def _values(value: Any, path: tuple[str, ...], here: Path) -> Iterator[tuple[Path, str]]:
    if not path:
        if isinstance(value, str) and value.strip():
            yield here, value
        return
    step, rest = path[0], path[1:]
    if step == "[]" and isinstance(value, list):
        for index, item in enumerate(cast(list[Any], value)):
            yield from _values(item, rest, (*here, index))
    elif step != "[]" and isinstance(value, Mapping) and step in value:
        yield from _values(cast(Mapping[str, Any], value)[step], rest, (*here, step))


def _put_back(arguments: Any, path: Path, url: str) -> None:
    for step in path[:-1]:
        arguments = arguments[step]
    arguments[path[-1]] = url


def _shown(path: Path) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
