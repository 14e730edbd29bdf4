"""Saves what came out: streamed to disk from fal's hosts, named after model, prompt and seed, with a note beside it
that says how to make it again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, NotWritable
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonMapping, JsonObject, dumped
from fal_mcp.machine.output_folder import OutputFolder, slug
from fal_mcp.outputs import data_uris, endings
from fal_mcp.outputs.outcome import Media
from fal_mcp.outputs.shortening import named

_LARGEST = 20 * 1024**3
_LARGEST_DRAWING = 20_000_000
_WORDS = ("prompt", "text", "query", "lyrics")
_LONGEST_SEED = 20
_MOST_NUMBERS = 10
Take = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Saved:
    """Where files are now, by their references or URLs, and which of them are not as one would think."""

    paths: dict[str, str] = field(default_factory=dict[str, str])
    oddities: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """The numbers of files, by what is to be said of each."""

    def say(self, number: int, what: str) -> None:
        """Say `what` of a file, once for all of which it is to be said."""
        self.oddities.setdefault(what, []).append(number)

    @property
    def notes(self) -> list[str]:
        """A sentence on each oddity, with the files that have it."""
        return [f"{_numbered(numbers)}: {what}." for what, numbers in self.oddities.items()]


async def save_all(
    media: tuple[Media, ...],
    job: Job,
    output: JsonMapping,
    fal: Fal,
    folder: OutputFolder,
    below: str | None,
    *,
    is_only_bytes: bool = False,
) -> Saved:
    """Save every file that came as bytes and, unless it is to be only those, every one that is on fal's hosts. What
    goes wrong with one of them is that one's alone, and told.

    Raises:
        NotWritable: `below` is no place for them.
    """
    place = folder.place(below)
    stem = stem_of(job.endpoint_id, job.arguments or {}, output)
    saved = Saved()
    for number, (item, name) in enumerate(zip(media, named(media, job.job_id), strict=True), 1):
        if item.url.startswith("data:") or (not is_only_bytes and fal.media.is_fals(item.url)):
            try:
                target, oddity = await save(item, fal, folder, place, f"{stem}-{number}")
            except FalError as error:
                saved.say(number, f"could not be saved ({error.message.rstrip('.')})")
                continue
            saved.paths[name.url] = str(target)
            if oddity:
                saved.say(number, oddity)
            if trouble := await _noted(folder, target, _about(job, output, name)):
                saved.say(number, trouble)
        elif not is_only_bytes:
            saved.say(number, "not on fal's hosts and not saved")
    return saved


def are_there(saved: Mapping[str, str]) -> bool:
    """Whether every file that was saved is still where it was put."""
    return all(map(is_there, saved.values()))


def is_there(path: str) -> bool:
    """Whether a file that was saved is still where it was put."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


async def save(item: Media, fal: Fal, folder: OutputFolder, place: Path, stem: str) -> tuple[Path, str]:
    """Save one file under the first free name that begins with `stem`, its ending by what it is; and what is odd of
    it, in a few words.

    Raises:
        NotWritable: it cannot be written, or is larger than 20 GiB.
        FalError: it could not be fetched.
    """
    oddity = ""

    async def each(take: Take) -> None:
        await _each(item, fal, take)

    def ending(head: bytes) -> str:
        nonlocal oddity
        oddity = _oddity(head, item)
        return endings.of(head, item)

    return await write(each, folder, place, stem, ending), oddity


def _oddity(head: bytes, item: Media) -> str:
    if not head:
        return "empty, without any bytes"
    if endings.is_page(head) and "html" not in (item.content_type or ""):
        return f"a web page, and not what it is said to be ({item.content_type or item.kind})"
    return ""


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
        # What the file is shows in its first bytes, and only then does it get its name.
        head.extend(chunk[: max(endings.HEAD - len(head), 0)])
        size += len(chunk)
        # Counted as it comes: a length that a host announces is not believed.
        if size > most:
            raise NotWritable(f"The file is larger than {most:,} bytes, the most that is saved here.")
        await anyio.to_thread.run_sync(stream.write, chunk)

    try:
        with stream:
            await each(take)
        ending = await anyio.to_thread.run_sync(_quiet, ending_of(bytes(head)), unfinished)
        return await anyio.to_thread.run_sync(folder.finish, unfinished, stem, ending)
    except OSError as error:
        raise NotWritable(f"A file could not be written: {error.strerror}.") from error
    finally:
        # A call that is broken off leaves no half a file that looks like a whole one.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(folder.drop, unfinished)


async def _each(item: Media, fal: Fal, take: Take) -> None:
    if not item.url.startswith("data:"):
        return await fal.media.each(item.url, take)
    try:
        pieces = data_uris.pieces(item.url)
        while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
            await take(piece)
    except ValueError as error:
        raise NotWritable("It came as bytes that cannot be read.") from error


def stem_of(endpoint_id: str, arguments: JsonMapping, output: JsonMapping) -> str:
    """The beginning of a file's name: model, prompt and seed."""
    words = next((str(arguments[name])[:200] for name in _WORDS if isinstance(arguments.get(name), str)), "")
    seed = output.get("seed", arguments.get("seed"))
    model = slug(endpoint_id.removeprefix("fal-ai/"), 40)
    # A seed becomes a part of a file's name; one of a thousand digits would be no name.
    is_number = isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < 10**_LONGEST_SEED
    return "_".join(filter(None, [model, slug(words, 40), str(seed) if is_number else ""]))


def _quiet(ending: str, file: Path) -> str:
    """The ending of a drawing that may run something where it is opened is that of a text."""
    if ending != ".svg":
        return ending
    # Too long to be looked through is too long to be trusted.
    is_long = file.stat().st_size > _LARGEST_DRAWING
    return ".txt" if is_long or endings.is_active(file.read_bytes()) else ending


async def _noted(folder: OutputFolder, target: Path, about: JsonMapping) -> str:
    """What went wrong with the note beside a file."""
    try:
        await anyio.to_thread.run_sync(folder.note, target, dumped(about, indent=1))
    except NotWritable as error:
        return f"saved, and its note could not be written ({error.message.rstrip('.')})"
    return ""


def _numbered(numbers: list[int]) -> str:
    shown = [str(number) for number in numbers[:_MOST_NUMBERS]]
    if len(numbers) > len(shown):
        shown.append(f"{len(numbers) - len(shown)} more")
    return f"Files {', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else f"File {shown[0]}"


def _about(job: Job, output: JsonMapping, item: Media) -> JsonObject:
    return {
        "endpoint_id": job.endpoint_id,
        "arguments": job.arguments,
        "seed": output.get("seed"),
        "request_id": job.request.request_id if job.request else None,
        "job_id": job.job_id,
        "usd": job.cost,
        "url": item.url,
    }
