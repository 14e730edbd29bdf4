"""Files in by themselves: upload one, or hand out an address that somebody else uploads to."""

import base64
import binascii
import io
import mimetypes
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio.to_thread
from pydantic import Field

from fal_mcp.client.fetch import fetched
from fal_mcp.errors import InvalidInput
from fal_mcp.local_files import LocalFile, path_in
from fal_mcp.text import one_line
from fal_mcp.tools import files, from_function
from fal_mcp.tools.tool import Call, Media, Outcome, Tool
from fal_mcp.toolsets.discovery import Arguments

_MOST_BASE64 = 4_200_000
_MOST_FETCHED = 2 * 1024**3
_LIFETIMES: Mapping[str, int] = {"1h": 3600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000, "1y": 31_536_000}


class UploadArguments(Arguments):
    path: str | None = Field(None, max_length=4096, description="A file that this server may read.")
    url: str | None = Field(None, max_length=4096, description="A public https address to copy from.")
    base64: str | None = Field(None, max_length=_MOST_BASE64, description="The bytes, at most 3 MB of them.")
    text: str | None = Field(None, max_length=1_000_000, description="Plain text.")
    name: str | None = Field(None, max_length=120, description="The file's name.")
    content_type: str | None = Field(None, max_length=120, pattern=r"^[\w.+-]+/[\w.+-]+$", description="Its MIME type.")
    lifetime: str | None = Field(None, description="How long fal keeps it: 1h, 1d, 7d, 30d or 1y.")


class TicketArguments(Arguments):
    name: str = Field(min_length=1, max_length=120, description="The file's name, such as photo.png.")
    content_type: str | None = Field(None, max_length=120, pattern=r"^[\w.+-]+/[\w.+-]+$", description="Its MIME type.")


def tools() -> list[Tool]:
    """The storage tools."""
    return [
        from_function.tool(
            UploadArguments,
            _upload,
            name="upload_file",
            title="Upload a file to fal",
            description="Puts a file on fal's CDN and gives its URL, for models' file arguments. Exactly one of path, "
            "url, base64, text. The URL is public to whoever knows it. File arguments also take a path directly.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            TicketArguments,
            _ticket,
            name="create_upload_ticket",
            title="Get an address to upload to",
            description="For a file that this server cannot see: gives a short-lived address and the command that puts "
            "the file there, to be run where the file is, and the URL it then has.",
            effect="writes",
            key="user",
        ),
    ]


async def _upload(arguments: UploadArguments, call: Call) -> Outcome:
    given = [name for name in ("path", "url", "base64", "text") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise InvalidInput("Exactly one of path, url, base64 and text is needed.", hint="Give one of them.")
    lifetime = None
    if arguments.lifetime is not None:
        if arguments.lifetime not in _LIFETIMES:
            raise InvalidInput(f"{arguments.lifetime!r} is no lifetime.", hint=f"One of: {', '.join(_LIFETIMES)}.")
        lifetime = _LIFETIMES[arguments.lifetime]
    call.fal().need_key()
    if arguments.path is not None:
        path = path_in(arguments.path)
        if path is None:
            raise InvalidInput(f"{one_line(arguments.path, 120)!r} is not a path.", hint="Give url for an address.")
        await files.may_read(path, call)
        with call.readable.opened(path) as file:
            return await _put(file, arguments, call, lifetime)
    if arguments.url is not None:
        with tempfile.TemporaryFile() as spool:
            size = await _fetch(arguments.url, spool, call)
            name = arguments.name or arguments.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
            return await _put(_as_file(spool, name, size), arguments, call, lifetime)
    content = arguments.text.encode() if arguments.text is not None else _decoded(arguments.base64 or "")
    name = arguments.name or ("text.txt" if arguments.text is not None else "upload.bin")
    return await _put(_as_file(io.BytesIO(content), name, len(content)), arguments, call, lifetime)


async def _put(file: LocalFile, arguments: UploadArguments, call: Call, lifetime: int | None) -> Outcome:
    if not file.size:
        raise InvalidInput(f"{file.name!r} is empty.", hint="Give a file with something in it.")
    head = await anyio.to_thread.run_sync(files.head_of, file)
    kind = arguments.content_type or files.sniffed(head, arguments.name or file.name)
    url = await files.upload(file, kind, call, lifetime=lifetime)
    kept = f"for {arguments.lifetime}" if arguments.lifetime else "as long as the account's settings say"
    data: dict[str, Any] = {"url": url, "size": file.size, "content_type": kind, "lifetime_s": lifetime}
    note = f"{file.name} ({kind}, {file.size:,} bytes) is at {url}; fal keeps it {kept}."
    return Outcome(data=data, media=(Media(url, "file", kind, size=file.size),), note=note, is_plain=True)


async def _fetch(url: str, spool: Any, call: Call) -> int:
    size = 0
    async with fetched(url) as response:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > _MOST_FETCHED:
                raise InvalidInput(
                    f"The file at {one_line(url, 120)!r} is larger than 2 GiB.", hint="Give a smaller one."
                )
            await anyio.to_thread.run_sync(spool.write, chunk)
    await call.say(f"fetched {size / 1e6:.1f} MB")
    return size


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.split(",", 1)[-1] if text.startswith("data:") else text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("That is not base64.", hint="Give a path, or ask for an upload ticket.") from error


def _as_file(stream: Any, name: str, size: int) -> LocalFile:
    safe = Path(one_line(name, 120)).name or "upload.bin"
    return LocalFile(cast(BinaryIO, stream), safe, size, f"made:{id(stream)}:{size}")


async def _ticket(arguments: TicketArguments, call: Call) -> Outcome:
    kind = arguments.content_type or mimetypes.guess_type(arguments.name)[0] or "application/octet-stream"
    signed, url = await call.fal().storage.ticket(arguments.name, kind)
    command = f"curl --fail --upload-file {shlex.quote(arguments.name)} -H {shlex.quote(f'Content-Type: {kind}')} "
    command += shlex.quote(signed)
    note = (
        f"Run this where the file is, within the hour:\n{command}\nThen the file is at {url}; nothing else is "
        "needed to complete it."
    )
    return Outcome(data={"upload_url": signed, "url": url, "command": command}, note=note, is_plain=True)
