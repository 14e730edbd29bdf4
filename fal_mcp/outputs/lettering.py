"""Text in pictures: in a font that has its letters, broken into lines, and cut where there is no room.

The font that comes with Pillow has the letters of English; for others this machine's fonts are asked, and what none of
them has is written with the letters that there are.
"""

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from fal_mcp.text import one_line

if TYPE_CHECKING:
    from PIL import ImageFont

_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "arial.ttf", "Arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "msyh.ttc", "msgothic.ttc", "malgun.ttf", "Arial Unicode.ttf", "PingFang.ttc"),
)
"""What systems have, by the names that Pillow looks for in their folders of fonts."""
_NOWHERE = "\uffff"
_LONGEST = 1000
"""Letters of one text."""
_MORE = "..."


class Lettering:
    """The fonts of one picture."""

    def font(self, text: str, size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
        """A font that can write `text`."""
        return _font(next((name for name in (None, *_FONTS) if _has(name, text)), None), size)

    def width(self, text: str, size: int) -> float:
        return self.font(text, size).getlength(text)


def writable(text: str) -> str:
    """`text` as some font here can write it: whole, or without accents, or without what is left."""
    text = one_line(text, _LONGEST)
    if any(_has(name, text) for name in (None, *_FONTS)):
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(plain.split())


def fitted(text: str, width: float, lettering: Lettering, size: int) -> str:
    """`text` in one line of at most `width` pixels."""
    text = writable(text)
    if lettering.width(text, size) <= width:
        return text
    # Halved and not shortened letter by letter: each try measures the whole.
    least, most = 0, len(text)
    while least < most:
        middle = (least + most + 1) // 2
        if lettering.width(text[:middle].rstrip() + _MORE, size) <= width:
            least = middle
        else:
            most = middle - 1
    return text[:least].rstrip() + _MORE


def wrapped(text: str, width: float, lettering: Lettering, size: int, most: int) -> list[str]:
    """`text` in at most `most` lines; the last one says where it was cut."""
    lines: list[str] = []
    words = writable(text).split()
    while words and len(lines) < most:
        line = words.pop(0)
        while words and lettering.width(f"{line} {words[0]}", size) <= width:
            line = f"{line} {words.pop(0)}"
        is_last = len(lines) == most - 1 and bool(words)
        rest = " ".join([line, *words]) if is_last else line
        shown = fitted(rest, width, lettering, size)
        lines.append(shown)
    return lines


@cache
def _font(name: str | None, size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)


@cache
def _is_there(name: str) -> bool:
    try:
        _font(name, 20)
    except (OSError, ImportError):
        return False
    return True


def _has(name: str | None, text: str) -> bool:
    """Whether a font has every letter of `text`; the one of Pillow is called None."""
    if name is None and text.isascii():
        return True
    if not (name is None or _is_there(name)) or not all(_has_letter(name, letter) for letter in set(text)):
        return False
    try:
        _font(name, 20).getlength(text)
    except RuntimeError:
        # Scripts of two directions in one line may be more than the layout can do.
        return False
    return True


@cache
def _has_letter(name: str | None, letter: str) -> bool:
    return letter.isspace() or _drawn(name, letter) != _drawn(name, _NOWHERE)


def _drawn(name: str | None, letter: str) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (40, 40))
    ImageDraw.Draw(picture).text((4, 4), letter, 255, _font(name, 20))
    return picture.tobytes()
