"""Pictures that others made, opened safely: a few formats, none of whose readers starts a program; a bound on what is
unpacked before it is; and whatever a decoder raises is one error.

The one door of Pillow for what comes from elsewhere.
"""

import io
import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PIL import Image

# Not EPS, PDF or PSD: Pillow starts Ghostscript for the first, and readers that few use have the faults.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_BYTES_A_PIXEL = {"PNG": 7, "GIF": 7, "BMP": 7, "TIFF": 7, "WEBP": 18, "AVIF": 14}
"""What unpacking and shrinking take, measured at their highest. A JPEG is read at a fraction of its size, unless it is
progressive."""
_WITH_HOLES = 10
_PROGRESSIVE = 7
MOST = 400_000_000
"""Memory that one picture may take."""
SMALL = 30_000_000
"""Memory of one that may be unpacked beside another."""
_SIDES = (1024, 768, 512, 384, 256)
_QUALITY = 80
_NEAR = 0.9
"""A picture read at a little less than the largest side is as good, and often half the work."""


class NotAPicture(Exception):
    """It cannot be read as one of the formats that are read here."""


class TooLarge(NotAPicture):
    """It unpacks to more than is unpacked here."""


def size_of(stream: IO[bytes]) -> tuple[int, int]:
    """Width and height, by the file's header alone.

    Raises:
        NotAPicture: it is none that is read here.
    """
    with _opened(stream) as picture:
        return picture.size


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A small picture, and the width and height of what it was made of."""

    content: bytes
    size_before: tuple[int, int]


def shrunk(content: bytes, budget: int, most: int = MOST) -> Shrunk:
    """A JPEG of at most `budget` bytes and 1,024 pixels a side, or a WebP where the picture is transparent; a JPEG that
    is so small already, as it is.

    Raises:
        TooLarge: unpacking it may take more than `most` bytes of memory.
        NotAPicture: it is none that is read here, or cannot be made so small.
    """
    with _opened(io.BytesIO(content)) as picture:
        # By the header, before a pixel is unpacked.
        if _memory(picture) > most:
            raise TooLarge
        size = picture.size
        if _is_small_enough(picture, len(content), budget):
            # Read to its end at an eighth of its size, for an eighth of the time: what breaks off is found out.
            picture.draft(picture.mode, (picture.width // 8, picture.height // 8))
            picture.load()
            return Shrunk(content, size)
        # A JPEG can be read at an eighth of its size, for a sixteenth of the time and memory.
        picture.draft("RGB", _near(picture))
        picture.load()
        # A palette cannot be averaged: shrunk as it is, a picture gets colours that it never had.
        if picture.mode in ("P", "PA"):
            plain = picture.convert("RGBA" if _has_holes(picture) else "RGB")
        else:
            plain = picture
        # In place, and from an eighth where that is enough: nothing of the picture's size is copied.
        plain.thumbnail((_SIDES[0], _SIDES[0]), reducing_gap=2.0)
        even = _of_eight_bits(plain).convert("RGBA" if _has_holes(plain) else "RGB")
        return Shrunk(_fitted(even, budget), size)


def _is_small_enough(picture: "Image.Image", size: int, budget: int) -> bool:
    """Whether it is what would be made of it already. How a camera was held is left to nobody's reader: with a note of
    that it is made anew."""
    is_plain = picture.format == "JPEG" and picture.mode in ("RGB", "L") and "exif" not in picture.info
    return is_plain and size <= budget and max(picture.size) <= _SIDES[0]


def _of_eight_bits(picture: "Image.Image") -> "Image.Image":
    """A picture of wider numbers, such as a map of depths, from its darkest to its lightest point: converted as it is,
    all of it above 255 would be white."""
    if picture.mode.partition(";")[0] not in ("I", "F"):
        return picture
    wide = picture.convert("F")
    lowest, highest = cast(tuple[float, float], wide.getextrema())
    scale = 255 / (highest - lowest) if math.isfinite(highest - lowest) and highest > lowest else 1.0
    if scale == 1.0:
        return wide.convert("L")

    def scaled(value: Any) -> Any:
        return value * scale + -lowest * scale

    return cast(Any, wide).point(scaled).convert("L")


def _fitted(picture: "Image.Image", budget: int) -> bytes:
    kind = "WEBP" if picture.mode == "RGBA" else "JPEG"
    # Smaller before coarser: a model sees little of fine detail, but is misled by the blocks of a low quality.
    for side in _SIDES:
        picture.thumbnail((side, side))
        target = io.BytesIO()
        picture.save(target, kind, quality=_QUALITY)
        if target.tell() <= budget:
            return target.getvalue()
    raise NotAPicture


def _memory(picture: "Image.Image") -> int:
    pixels = picture.width * picture.height
    if picture.format in ("JPEG", "MPO"):
        if picture.info.get("progressive") or picture.info.get("progression"):
            return pixels * _PROGRESSIVE
        halved = max(min(picture.width / _near(picture)[0], 8), 1)
        return int(pixels * 4 / halved)
    least = _WITH_HOLES if _has_holes(picture) else 0
    return pixels * max(_BYTES_A_PIXEL.get(picture.format or "", max(_BYTES_A_PIXEL.values())), least)


def _near(picture: "Image.Image") -> tuple[int, int]:
    share = _NEAR * _SIDES[0] / max(picture.size)
    return max(round(picture.width * share), 1), max(round(picture.height * share), 1)


def _has_holes(picture: "Image.Image") -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info


@contextmanager
def _opened(stream: IO[bytes]) -> "Generator[Image.Image]":
    """The picture, unread but for its header. Decoders raise whatever their authors thought of, and what they raise
    says only that there is no picture."""
    from PIL import Image

    try:
        # Pillow's own bound warns before it refuses, and warnings cannot be caught for one thread alone.
        Image.MAX_IMAGE_PIXELS = None
        with Image.open(stream, formats=_known()) as picture:
            yield picture
    except NotAPicture:
        raise
    except Exception as error:
        raise NotAPicture(str(error)) from error


def _known() -> list[str]:
    """Those of the formats that this Pillow was built with."""
    from PIL import Image

    if not all(name in Image.OPEN for name in _FORMATS):
        Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
