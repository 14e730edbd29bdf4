"""Small pictures of what came out, so that the model can judge its own work in the same turn.

A picture that cannot be read is left out, never passed on: a bad one ends a conversation. What all of them take at
once is bounded, in this whole process: threads that unpack cannot be stopped.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from fal_mcp.addresses import parts_of
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError
from fal_mcp.outputs import data_uris, pictures
from fal_mcp.outputs.film_and_sound import BEGINNING, glimpse
from fal_mcp.outputs.outcome import Media, Preview

logger = logging.getLogger("fal_mcp")
_MOST_PICTURES = 8
_MOST_BYTES = 40_000_000
_MOST_FETCHED = 3
"""Files whose bytes are held at once."""
_MOST_SMALL = 2
_BUDGET = 500_000
"""Bytes of all pictures together: some 670 kB as base64."""
_LONGEST = 15.0
"""Seconds for all of them."""


@dataclass(slots=True)
class _Slots:
    """What may go on at once, of all calls together."""

    files: anyio.CapacityLimiter
    small: anyio.CapacityLimiter
    large: anyio.CapacityLimiter


# Of the event loop and not of the module: a limiter belongs to the loop it was first used in, and tests have many.
_slots: RunVar[_Slots] = RunVar("fal-mcp-previews")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model is shown, and what was learnt on the way: a sentence on each film and sound."""

    previews: tuple[Preview, ...] = ()
    notes: tuple[str, ...] = ()


async def of(media: tuple[Media, ...], fal: Fal) -> Seen:
    """The pictures among `media`, a frame of each film and the shape of each sound, in their order. Nothing of them
    that cannot be had is an error: the result is there and linked."""
    wanted = [(number, item) for number, item in enumerate(media, 1) if item.kind in ("image", "video", "audio")]
    wanted = wanted[:_MOST_PICTURES]
    made: dict[int, Preview] = {}
    notes: dict[int, str] = {}

    async def one(number: int, item: Media) -> None:
        try:
            async with _of_all_calls().files:
                content, notes[number] = await _picture(number, item, fal)
                if content is not None:
                    # An equal share for each, known before any of them is made.
                    made[number] = await _shrunk(content, _BUDGET // len(wanted))
        except pictures.TooLarge:
            notes[number] = f"File {number} unpacks to too much to be shown small here."
        except (FalError, pictures.NotAPicture):
            return
        except Exception:
            # A result that is paid for is never lost to its picture.
            logger.exception("A preview of file %d could not be made.", number)

    # A result waits for its pictures, but not for a host that hands them over slowly.
    with anyio.move_on_after(_LONGEST):
        async with anyio.create_task_group() as tasks:
            for number, item in wanted:
                tasks.start_soon(one, number, item)
    return Seen(
        tuple(made[number] for number in sorted(made)),
        tuple(notes[number] for number in sorted(notes) if notes[number]),
    )


async def _picture(number: int, item: Media, fal: Fal) -> tuple[bytes | None, str]:
    """A picture of one file, and what else is told of it."""
    if item.kind == "image":
        return await _content(item, fal), ""
    if not fal.media.is_fals(item.url):
        return None, ""
    look = await glimpse(item, *await fal.media.beginning(item.url, BEGINNING))
    long = [f"is {look.seconds:.1f} s long"] if look.seconds else []
    what = "its first frame" if item.kind == "video" else "its waveform"
    shown = [f"{what} is shown"] if look.picture else []
    return look.picture, f"File {number} {' and '.join([*long, *shown])}." if long or shown else ""


def _of_all_calls() -> _Slots:
    try:
        return _slots.get()
    except LookupError:
        slots = _Slots(*(anyio.CapacityLimiter(most) for most in (_MOST_FETCHED, _MOST_SMALL, 1)))
        _slots.set(slots)
        return slots


async def _shrunk(content: bytes, budget: int) -> Preview:
    slots = _of_all_calls()
    try:
        small = await anyio.to_thread.run_sync(pictures.shrunk, content, budget, pictures.SMALL, limiter=slots.small)
    except pictures.TooLarge:
        # A large one alone and small ones beside: two large ones at once would double what the process takes at its
        # highest.
        small = await anyio.to_thread.run_sync(pictures.shrunk, content, budget, limiter=slots.large)
    return Preview(small.content, "image/jpeg" if small.content[:2] == b"\xff\xd8" else "image/webp", small.size_before)


async def _content(item: Media, fal: Fal) -> bytes | None:
    if item.url.startswith("data:"):
        return await anyio.to_thread.run_sync(data_uris.content, item.url, _MOST_BYTES)
    if item.url.startswith("file:"):
        return await anyio.to_thread.run_sync(_read, item.url)
    if not fal.media.is_fals(item.url):
        return None
    return await fal.media.read(item.url, _MOST_BYTES)


def _read(url: str) -> bytes | None:
    """A file that was written here; no output can name one, because only web and data addresses are files in it."""
    parts = parts_of(url)
    try:
        path = Path(url2pathname(parts.path if parts else ""))
        return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    except (OSError, ValueError):
        return None
