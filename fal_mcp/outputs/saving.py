"""Saves what came out: streamed to disk from fal's hosts, named after model, prompt and seed, with a note beside it
that says how to make it again."""

import json
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

from fal_mcp.client.fal import Fal
from fal_mcp.errors import NotWritable
from fal_mcp.jobs.job import Job
from fal_mcp.machine.file_kind import sniffed
from fal_mcp.machine.output_folder import OutputFolder, slug
from fal_mcp.outputs.outcome import Media
from fal_mcp.outputs.previews import unpacked
from fal_mcp.outputs.shortening import named

_LARGEST = 20 * 1024**3
_HEAD = 8192
_ENDINGS = {"image/jpeg": ".jpg", "audio/x-wav": ".wav", "audio/wav": ".wav", "model/gltf-binary": ".glb"}
_WORDS = ("prompt", "text", "query", "lyrics")
Take = Callable[[bytes], Awaitable[None]]


async def save_all(
    media: tuple[Media, ...],
    job: Job,
    output: Mapping[str, Any],
    fal: Fal,
    folder: OutputFolder,
    below: str | None,
    *,
    is_only_bytes: bool = False,
) -> dict[str, str]:
    """Save every file that came as bytes and, unless it is to be only those, every one that is on fal's hosts; where
    each is now, by its reference or URL.

    Raises:
        NotWritable: the folder cannot be written.
        FalError: a file could not be fetched.
    """
    place = folder.place(below)
    stem = stem_of(job.endpoint_id, job.arguments or {}, output)
    saved: dict[str, str] = {}
    for number, (item, name) in enumerate(zip(media, named(media, job.job_id), strict=True), 1):
        if item.url.startswith("data:") or (not is_only_bytes and fal.media.is_fals(item.url)):
            target = await save(item, fal, folder, place, f"{stem}-{number}")
            saved[name.url] = str(target)
            await anyio.to_thread.run_sync(_note, target, job, output, name)
    return saved


def are_there(saved: Mapping[str, str]) -> bool:
    """Whether every file that was saved is still where it was put."""
    return all(Path(path).is_file() for path in saved.values())


async def save(item: Media, fal: Fal, folder: OutputFolder, place: Path, stem: str) -> Path:
    """Save one file under the first free name that begins with `stem`, its ending by what it is.

    Raises:
        NotWritable: it cannot be written, or is larger than 20 GiB.
        FalError: it could not be fetched.
    """

    async def each(take: Take) -> None:
        await _each(item, fal, take)

    return await write(each, folder, place, stem, lambda head: _ending(head, item))


async def write(
    each: Callable[[Take], Awaitable[None]],
    folder: OutputFolder,
    place: Path,
    stem: str,
    ending_of: Callable[[bytes], str],
    *,
    most: int = _LARGEST,
) -> Path:
    """Write what `each` hands over to a file under the first free name that begins with `stem`; nothing is left of one
    that breaks off. `ending_of` is given its first bytes.

    Raises:
        NotWritable: it cannot be written, or has more than `most` bytes.
        FalError: it could not be fetched.
    """
    stream, unfinished = await anyio.to_thread.run_sync(folder.begin, place)
    head, size = bytearray(), 0

    async def take(chunk: bytes) -> None:
        nonlocal size
        head.extend(chunk[: max(_HEAD - len(head), 0)])
        size += len(chunk)
        if size > most:
            raise NotWritable(f"The file is larger than {most:,} bytes, the most that is saved here.")
        await anyio.to_thread.run_sync(stream.write, chunk)

    try:
        with stream:
            await each(take)
        return await anyio.to_thread.run_sync(folder.finish, unfinished, stem, ending_of(bytes(head)))
    except OSError as error:
        raise NotWritable(f"A file could not be written: {error.strerror}.") from error
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(folder.drop, unfinished)


async def _each(item: Media, fal: Fal, take: Take) -> None:
    if not item.url.startswith("data:"):
        return await fal.media.each(item.url, take)
    content = await anyio.to_thread.run_sync(unpacked, item.url)
    if content is None:
        raise NotWritable("A file came as bytes that cannot be read.")
    await take(content)


def _ending(head: bytes, item: Media) -> str:
    """By what the file is, and not by what it is said to be."""
    name = "" if item.url.startswith("data:") else item.url.split("?")[0].rsplit("/", 1)[-1]
    kind = sniffed(head, "")
    if kind == "application/octet-stream":
        kind = item.content_type or sniffed(b"", name)
    return ending_of(kind)


def ending_of(content_type: str) -> str:
    """The ending of a file's name."""
    return _ENDINGS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"


def stem_of(endpoint_id: str, arguments: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    """The beginning of a file's name: model, prompt and seed."""
    words = next((str(arguments[name]) for name in _WORDS if isinstance(arguments.get(name), str)), "")
    seed = output.get("seed", arguments.get("seed"))
    model = slug(endpoint_id.removeprefix("fal-ai/"), 40)
    return "_".join(filter(None, [model, slug(words, 40), str(seed) if isinstance(seed, int) else ""]))


def _note(target: Path, job: Job, output: Mapping[str, Any], item: Media) -> None:
    about = {
        "endpoint_id": job.endpoint_id,
        "arguments": job.arguments,
        "seed": output.get("seed"),
        "request_id": job.request.request_id if job.request else None,
        "job_id": job.job_id,
        "usd": job.cost,
        "url": item.url,
    }
    try:
        # A note is made once and never over another file.
        with target.with_name(f"{target.name}.json").open("x", encoding="utf-8") as file:
            json.dump(about, file, ensure_ascii=False, indent=1)
    except OSError as error:
        raise NotWritable(f"The note beside {target.name!r} could not be written: {error.strerror}.") from error
