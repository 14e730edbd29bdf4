"""Files in by themselves: upload one, or hand out an address that somebody else uploads to."""

import base64
import binascii
import io
import mimetypes
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import unquote

import anyio
import anyio.to_thread
from pydantic import Field

from fal_mcp.addresses import parts_of
from fal_mcp.client.public_url import fetched
from fal_mcp.errors import InvalidInput, NotWritable
from fal_mcp.json_values import JsonObject, dumped, object_of
from fal_mcp.machine import file_kind
from fal_mcp.machine.output_folder import slug
from fal_mcp.machine.readable import LocalFile, path_in
from fal_mcp.outputs import saving
from fal_mcp.outputs.outcome import Media, Outcome
from fal_mcp.runs import file_checks, file_upload, input_files
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool

# 3 MB in base64 are four thirds of that, and line breaks.
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
    access: Literal["allow", "forbid", "hide"] | None = Field(
        None, description="Who may see it: everybody, nobody, or nobody and as if it were not there."
    )


class TicketArguments(Arguments):
    name: str = Field(min_length=1, max_length=120, description="The file's name, such as photo.png.")
    content_type: str | None = Field(None, max_length=120, pattern=r"^[\w.+-]+/[\w.+-]+$", description="Its MIME type.")


class DownloadArguments(Arguments):
    file: str = Field(min_length=8, max_length=2000, description="Its URL on fal, or fal://jobs/{job_id}/files/1.")
    save_to: str | None = Field(None, max_length=200, description="A folder in the output folder.")


class Rule(Arguments):
    user: str = Field(min_length=1, max_length=200, description="A user of fal.")
    decision: Literal["allow", "forbid", "hide"] = Field(description="What that user gets.")


class FileArguments(Arguments):
    url: str = Field(min_length=8, max_length=2000, description="The file's URL on fal's CDN, without its query.")


class AccessArguments(FileArguments):
    default: Literal["allow", "forbid", "hide"] | None = Field(
        None, description="What everybody gets from now on: the file, a refusal, or nothing. Left out: only look."
    )
    rules: list[Rule] = Field(default_factory=list[Rule], max_length=100, description="Exceptions for users.")


class SignArguments(FileArguments):
    seconds: int = Field(3600, ge=1, le=604_800, description="How long the address works.")


class SettingsArguments(Arguments):
    lifetime: str | None = Field(None, description="Keep new files 1h, 1d, 7d, 30d, 1y or never (no end).")
    default: Literal["allow", "forbid", "hide"] | None = Field(None, description="Who sees new files.")


def tools() -> list[Tool]:
    """The storage tools."""
    return [*_carriers(), *_keepers()]


def _carriers() -> list[Tool]:
    """What brings a file to fal or from it."""
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
        from_function.tool(
            DownloadArguments,
            _download,
            name="download_file",
            title="Save a file of fal's",
            description="Saves a file that a model made in the server's output folder and gives its path. Never over "
            "another file.",
            effect="writes",
        ),
    ]


def _keepers() -> list[Tool]:
    """Who may see a file that is on fal, and how long it is there."""
    return [
        from_function.tool(
            AccessArguments,
            _access,
            name="file_access",
            title="See or set who may see a file",
            description="The access list of a file on fal's CDN; with default, replaces it.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            SignArguments,
            _sign,
            name="sign_file_url",
            title="Share a restricted file for a while",
            description="An address that shows a restricted file to whoever has it, for up to a week.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            SettingsArguments,
            _settings,
            name="storage_settings",
            title="See or set what becomes of new files",
            description="How long the account keeps new files and who sees them; with arguments, changes it.",
            effect="writes",
            key="user",
        ),
    ]


async def _download(arguments: DownloadArguments, call: Call) -> Outcome:
    if call.output is None:
        raise NotWritable("This server saves no files: it has no --output-dir.")
    item = await input_files.of_job(arguments.file, call) or Media(arguments.file, "file")
    # Else a model that was talked into it would have this machine fetch any address, those of its own network among
    # them.
    if not item.url.startswith("data:") and not (parts_of(item.url) and call.fal().media.is_fals(item.url)):
        raise InvalidInput(
            f"{one_line(arguments.file, 120)!r} is not on fal's hosts, and is not fetched.",
            hint="Give a URL that a run answered with.",
        )
    name = "file" if item.url.startswith("data:") else unquote(item.url.split("?")[0].rsplit("/", 1)[-1])
    stem = slug(name.rsplit(".", 1)[0]) or "file"
    path, oddity = await saving.save(item, call.fal(), call.output, call.output.place(arguments.save_to), stem)
    size = (await anyio.Path(path).stat()).st_size
    odd = f" It is {oddity}." if oddity else ""
    data = {"path": str(path), "size": size, **({"notes": [odd.strip()]} if odd else {})}
    return Outcome(data=data, note=f"Saved as {path} ({size:,} bytes).{odd}", is_plain=True)


async def _access(arguments: AccessArguments, call: Call) -> Outcome:
    access = call.fal().access
    if arguments.default is None:
        access_list = await access.list_of(arguments.url)
    else:
        rules = [rule.model_dump() for rule in arguments.rules]
        access_list = await access.set_list(arguments.url, arguments.default, rules)
    return _told("The file's access list", access_list)


async def _sign(arguments: SignArguments, call: Call) -> Outcome:
    signed = await call.fal().access.sign(arguments.url, arguments.seconds)
    return Outcome(data={"url": signed}, note=f"For {arguments.seconds} s it is at {signed}", is_plain=True)


async def _settings(arguments: SettingsArguments, call: Call) -> Outcome:
    access = call.fal().access
    now = await access.settings()
    if arguments.lifetime is None and arguments.default is None:
        return _told("New files", now)
    # fal replaces the whole, so what is not asked for is sent as it is.
    changed = {key: value for key, value in now.items() if value is not None}
    if arguments.lifetime == "never":
        changed.pop("expiration_duration_seconds", None)
    elif arguments.lifetime is not None:
        changed["expiration_duration_seconds"] = _seconds(arguments.lifetime)
    if arguments.default is not None:
        # fal wants a list of rules even where only the default changes.
        changed["initial_acl"] = {"rules": [], **object_of(now.get("initial_acl")), "default": arguments.default}
    return _told("New files", await access.set_settings(changed))


def _told(what: str, found: JsonObject) -> Outcome:
    return Outcome(data=found, note=f"{what}: {dumped(found)}", is_plain=True)


def _seconds(lifetime: str) -> int:
    if lifetime not in _LIFETIMES:
        raise InvalidInput(f"{lifetime!r} is no lifetime.", hint=f"One of: {', '.join(_LIFETIMES)}.")
    return _LIFETIMES[lifetime]


async def _upload(arguments: UploadArguments, call: Call) -> Outcome:
    # Counted by None: an empty text is given too, and refused later as an empty file.
    given = [name for name in ("path", "url", "base64", "text") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise InvalidInput("Exactly one of path, url, base64 and text is needed.", hint="Give one of them.")
    lifetime = None if arguments.lifetime is None else _seconds(arguments.lifetime)
    call.fal().need_key()
    if arguments.path is not None:
        path = path_in(arguments.path)
        if path is None:
            raise InvalidInput(f"{one_line(arguments.path, 120)!r} is not a path.", hint="Give url for an address.")
        await input_files.may_read(path, call)
        with call.readable.opened(path) as file:
            return await _put(file, arguments, call, lifetime)
    if arguments.url is not None:
        # On the disk first: the size has to be known before the first byte goes to fal, and what a web server says of
        # it need not be true.
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
    # The bytes decide what it is: names in chats and downloads often say nothing, and models refuse a file of the
    # wrong type.
    head = await anyio.to_thread.run_sync(file_checks.head_of, file)
    kind = arguments.content_type or file_kind.sniffed(head, arguments.name or file.name)
    url = await file_upload.upload(file, kind, call, lifetime=lifetime, access=arguments.access)
    lifetime_in_words = f"for {arguments.lifetime}" if arguments.lifetime else "as long as the account's settings say"
    data: JsonObject = {"url": url, "size": file.size, "content_type": kind, "lifetime_s": lifetime}
    note = f"{file.name} ({kind}, {file.size:,} bytes) is at {url}; fal keeps it {lifetime_in_words}."
    return Outcome(data=data, media=(Media(url, "file", kind, size=file.size),), note=note, is_plain=True)


async def _fetch(url: str, spool: Any, call: Call) -> int:
    size = 0
    async with fetched(url) as response:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            # Counted as it comes, as the length in the header may be missing or wrong.
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


def _as_file(stream: object, name: str, size: int) -> LocalFile:
    # The name goes to fal and into an address: no folders and nothing that hides.
    safe = Path(one_line(name, 120)).name or "upload.bin"
    # The identity of nothing on this disk, so that no upload before stands for it.
    return LocalFile(cast(BinaryIO, stream), safe, size, f"made:{id(stream)}:{size}")


async def _ticket(arguments: TicketArguments, call: Call) -> Outcome:
    kind = arguments.content_type or mimetypes.guess_type(arguments.name)[0] or "application/octet-stream"
    signed, url = await call.fal().storage.ticket(arguments.name, kind)
    # The type has to be the one that the address was asked for with; without `--fail` curl would call a refusal a
    # success.
    command = f"curl --fail --upload-file {shlex.quote(arguments.name)} -H {shlex.quote(f'Content-Type: {kind}')} "
    command += shlex.quote(signed)
    note = (
        f"Run this where the file is, within the hour:\n{command}\nThen the file is at {url}; nothing else is "
        "needed to complete it."
    )
    return Outcome(data={"upload_url": signed, "url": url, "command": command}, note=note, is_plain=True)
