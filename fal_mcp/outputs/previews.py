"""Small pictures of what came out, so that the model can judge its own work in the same turn.

A picture that cannot be read is left out, never passed on: a bad one ends a conversation (facts/mcp §5.4).
"""

import base64
import binascii
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import anyio.to_thread

from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError
from fal_mcp.outputs.film_and_sound import BEGINNING, glimpse
from fal_mcp.outputs.outcome import Media, Preview

logger = logging.getLogger("fal_mcp")
_MOST_PICTURES = 8
_MOST_BYTES = 40_000_000
_MOST_PIXELS = 120_000_000
_BUDGET = 500_000
"""Bytes of all pictures together: some 670 kB as base64."""
_LONGEST = 15.0
"""Seconds for all of them."""
_SIDES = (1024, 768, 512, 384, 256)
_QUALITY = 80
_NEAR = 0.9
"""A picture read at a little less than the largest side is as good, and often half the work."""


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
            content, notes[number] = await _picture(number, item, fal)
            if content is not None:
                small = await anyio.to_thread.run_sync(shrunk, content, _BUDGET // len(wanted))
                if small is not None:
                    made[number] = Preview(small, "image/jpeg" if small[:2] == b"\xff\xd8" else "image/webp")
        except FalError:
            return
        except Exception:
            # Decoders fail in more ways than they say; a result that is paid for is never lost to its picture.
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
    found = await glimpse(item, *await fal.media.beginning(item.url, BEGINNING))
    long = [f"is {found.seconds:.1f} s long"] if found.seconds else []
    what = "its first frame" if item.kind == "video" else "its waveform"
    shown = [f"{what} is shown"] if found.picture else []
    return found.picture, f"File {number} {' and '.join([*long, *shown])}." if long or shown else ""


def shrunk(content: bytes, budget: int) -> bytes | None:
    """A JPEG of at most `budget` bytes and 1,024 pixels a side, or a WebP where the picture is transparent; None where
    `content` is no picture, or one that unpacks to more than 120 megapixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    return None
                # JPEG's own halving: a twelve-megapixel picture is read in a fraction of the time.
                share = _NEAR * _SIDES[0] / max(picture.size)
                picture.draft("RGB", (round(picture.width * share), round(picture.height * share)))
                has_holes = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
                plain = picture.convert("RGBA" if has_holes else "RGB")
            return _fitted(plain, budget)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _fitted(picture: object, budget: int) -> bytes | None:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    kind = "WEBP" if picture.mode == "RGBA" else "JPEG"
    for side in _SIDES:
        small = picture.copy()
        small.thumbnail((side, side))
        target = io.BytesIO()
        small.save(target, kind, quality=_QUALITY)
        if target.tell() <= budget:
            return target.getvalue()
    return None


async def _content(item: Media, fal: Fal) -> bytes | None:
    if item.url.startswith("data:"):
        return await anyio.to_thread.run_sync(unpacked, item.url)
    if item.url.startswith("file:"):
        return await anyio.to_thread.run_sync(_read, item.url)
    if not fal.media.is_fals(item.url):
        return None
    return await fal.media.read(item.url, _MOST_BYTES)


def _read(url: str) -> bytes | None:
    """A file that was written here; no output can name one, because only web and data addresses are files in it."""
    path = Path(url2pathname(urlsplit(url).path))
    try:
        return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    except OSError:
        return None


def unpacked(url: str) -> bytes | None:
    """The bytes of a `data:` URI; None where it is broken or larger than 40 MB."""
    head, _, body = url.partition(",")
    if len(body) > _MOST_BYTES or not head.endswith(";base64"):
        return None
    try:
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        return None
