"""What several runs made, side by side in one picture: each under its number and name, with what it took.

Drawn from small pictures alone, one after the other, so that a sheet takes the memory of itself and of one of them.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fal_mcp.outputs.lettering import Lettering, fitted, wrapped, writable
from fal_mcp.outputs.outcome import Kind
from fal_mcp.text import one_line

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

MOST_PICTURES = 4
"""Of one run."""
_WIDTH, _HEIGHT = 1568, 980
"""Pixels at most: what models look at without shrinking it, in the shape of a slide."""
_LARGEST = 480_000
"""Bytes: as base64 still below what hosts take in one answer."""
_MARGIN, _GAP, _ROW_GAP, _INNER_GAP, _RADIUS = 48, 28, 32, 6, 12
_TITLE, _SUBTITLE, _NAME, _SMALL_NAME, _FACTS, _SMALL_FACTS, _WORDS = 34, 21, 24, 20, 20, 16, 22
_NARROWEST = 264
"""Of a tile: a model's name has to fit below it."""
_CAPTION = 78
_MOST_COLUMNS = 5
_PAPER, _TILE, _INK, _FAINT = "#ffffff", "#f0f1f4", "#15171c", "#5b6270"
_BADGE, _BADGE_INK = "#15171c", "#ffffff"
_FAILED, _FAILED_INK = "#fdf0ee", "#a4271a"
_NEAR = 0.08
"""How far two ratios may lie apart, as logarithms, to pass for one."""
_WIDEST, _TALLEST = 2.2, 0.75
_FILLED = 0.85
"""The share of its place from which on a picture stands there alone, without a mat around it."""
_TITLE_LINES = 2
_QUALITIES = (88, 80, 68)


@dataclass(frozen=True, slots=True)
class Tile:
    """One run. `words` stand where there is no picture: what was written, or why there is nothing."""

    name: str
    facts: str
    pictures: tuple[bytes, ...] = ()
    kind: Kind = "image"
    words: str = ""
    is_failed: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """Columns and rows, and the size of a tile's picture in pixels."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def page_width(self) -> int:
        return 2 * _MARGIN + self.columns * self.width + (self.columns - 1) * _GAP


def draw(title: str, subtitle: str, tiles: Sequence[Tile]) -> bytes:
    """A JPEG of at most 1,568x980 pixels. Work for a thread."""
    from PIL import Image, ImageDraw

    shapes = [_shape(tile) for tile in tiles]
    plan = _plan(len(tiles), _common(shapes))
    lettering = Lettering()
    lines = wrapped(one_line(title, 400), plan.page_width - 2 * _MARGIN, lettering, _TITLE, _TITLE_LINES)
    head = _MARGIN + len(lines) * 42 + 40
    height = head + plan.rows * (plan.height + _CAPTION) + (plan.rows - 1) * _ROW_GAP + _MARGIN // 2
    page = Image.new("RGB", (plan.page_width, height), _PAPER)
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((_MARGIN, _MARGIN - 10 + number * 42), line, _INK, lettering.font(line, _TITLE))
    about = fitted(subtitle, plan.page_width - 2 * _MARGIN, lettering, _SUBTITLE)
    pen.text((_MARGIN, head - 46), about, _FAINT, lettering.font(about, _SUBTITLE))
    for number, tile in enumerate(tiles):
        place = _place(plan, number, len(tiles), head)
        _tile(page, pen, tile, number + 1, place, plan, lettering)
    return _encoded(page)


def _place(plan: _Plan, number: int, count: int, head: int) -> tuple[int, int]:
    row, column = divmod(number, plan.columns)
    # A last row that is not full stands in the middle.
    missing = plan.columns - min(count - row * plan.columns, plan.columns)
    left = _MARGIN + column * (plan.width + _GAP) + missing * (plan.width + _GAP) // 2
    return left, head + row * (plan.height + _CAPTION + _ROW_GAP)


def _tile(
    page: "Image.Image",
    pen: "ImageDraw.ImageDraw",
    tile: Tile,
    number: int,
    place: tuple[int, int],
    plan: _Plan,
    lettering: Lettering,
) -> None:
    left, top = place
    box = (left, top, left + plan.width, top + plan.height)
    if tile.pictures:
        _pictures(page, tile, box)
    else:
        pen.rounded_rectangle(box, _RADIUS, _FAILED if tile.is_failed else _TILE)
        _words(pen, tile, box, lettering)
    badge = str(number)
    below = box[3] + 12
    pen.rounded_rectangle((left, below, left + 34, below + 30), 8, _BADGE)
    pen.text((left + 17, below + 15), badge, _BADGE_INK, lettering.font(badge, 19), "mm")
    room = plan.width - 46
    size = _NAME if lettering.width(writable(tile.name), _NAME) <= room else _SMALL_NAME
    name = fitted(tile.name, room, lettering, size)
    pen.text((left + 46, below + 15), name, _INK, lettering.font(name, size), "lm")
    size = _FACTS if lettering.width(writable(tile.facts), _FACTS) <= plan.width else _SMALL_FACTS
    facts = fitted(tile.facts, plan.width, lettering, size)
    ink = _FAILED_INK if tile.is_failed else _FAINT
    pen.text((left, below + 39), facts, ink, lettering.font(facts, size))


def _pictures(page: "Image.Image", tile: Tile, box: tuple[int, int, int, int]) -> None:
    from PIL import Image

    columns, rows = _inner(tile.pictures)
    width, height = box[2] - box[0], box[3] - box[1]
    each = ((width - (columns - 1) * _INNER_GAP) // columns, (height - (rows - 1) * _INNER_GAP) // rows)
    content = Image.new("RGB", (width, height), _TILE)
    used = (0, 0)
    for number, picture in enumerate(tile.pictures[:MOST_PICTURES]):
        with Image.open(io.BytesIO(picture)) as opened:
            small = _contained(opened.convert("RGBA"), each)
        row, column = divmod(number, columns)
        # A picture that all but fills its place begins where its name does; one of another shape lies on a mat.
        is_alone = small.width >= _FILLED * each[0] and small.height >= _FILLED * each[1]
        spare = (0, 0) if is_alone else ((each[0] - small.width) // 2, (each[1] - small.height) // 2)
        left, top = column * (each[0] + _INNER_GAP) + spare[0], row * (each[1] + _INNER_GAP) + spare[1]
        content.paste(small, (left, top), small)
        edge = (left + small.width, top + small.height) if is_alone else (width, height)
        used = (max(used[0], edge[0]), max(used[1], edge[1]))
        if tile.kind == "video":
            _play(content, (left + small.width // 2, top + small.height // 2))
    shown = content.crop((0, 0, used[0], used[1]))
    page.paste(shown, (box[0], box[3] - used[1]), _corners(shown.size))


def _contained(picture: "Image.Image", size: tuple[int, int]) -> "Image.Image":
    scale = min(size[0] / picture.width, size[1] / picture.height)
    width, height = (max(round(side * scale), 1) for side in picture.size)
    # A pixel beside the edge shows as a line: what nearly fills its place fills it.
    wanted = (min(width + 1, size[0]), min(height + 1, size[1]))
    # Pillow's hints name numpy's arrays, which are not here.
    return cast(Any, picture).resize(wanted)


def _corners(size: tuple[int, int]) -> "Image.Image":
    from PIL import Image, ImageDraw

    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), _RADIUS, 255)
    return mask


def _play(content: "Image.Image", centre: tuple[int, int]) -> None:
    """The mark of a film, on the one frame of it that is shown."""
    from PIL import ImageDraw

    x, y = centre
    pen = ImageDraw.Draw(content, "RGBA")
    pen.ellipse((x - 36, y - 36, x + 36, y + 36), (15, 17, 22, 150))
    pen.polygon([(x - 11, y - 18), (x - 11, y + 18), (x + 20, y)], (255, 255, 255, 235))


def _words(pen: "ImageDraw.ImageDraw", tile: Tile, box: tuple[int, int, int, int], lettering: Lettering) -> None:
    width, height = box[2] - box[0] - 48, box[3] - box[1] - 40
    most = max(height // 30, 1)
    lines = wrapped(tile.words, width, lettering, _WORDS, most)
    ink = _FAILED_INK if tile.is_failed else _INK
    top = (box[1] + box[3]) // 2 - len(lines) * 15
    for number, line in enumerate(lines):
        pen.text((box[0] + 24, top + number * 30), line, ink, lettering.font(line, _WORDS))


def _shape(tile: Tile) -> float | None:
    """Width by height of what a tile shows; None where that is no picture."""
    if not tile.pictures:
        return None
    columns, rows = _inner(tile.pictures)
    return _ratio(tile.pictures[0]) * columns / rows


def _inner(pictures: Sequence[bytes]) -> tuple[int, int]:
    """Columns and rows of the pictures of one run."""
    match min(len(pictures), MOST_PICTURES):
        case 1:
            return 1, 1
        case 2:
            return (2, 1) if _ratio(pictures[0]) < 1.3 else (1, 2)
        case _:
            return 2, 2


def _ratio(picture: bytes) -> float:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        return opened.width / opened.height


def _common(shapes: Sequence[float | None]) -> float:
    """The ratio of all tiles: that of the pictures where they are alike, else between theirs."""
    known = [math.log(shape) for shape in shapes if shape]
    if not known:
        return 1.5
    if max(known) - min(known) <= _NEAR:
        return min(max(math.exp(known[0]), _TALLEST / 2), 2 * _WIDEST)
    return min(max(math.exp(sum(known) / len(known)), _TALLEST), _WIDEST)


def _plan(count: int, ratio: float) -> _Plan:
    """The grid in which the pictures come out largest."""
    plans = [_of_columns(columns, count, ratio) for columns in range(1, min(count, _MOST_COLUMNS) + 1)]
    return max(plans, key=lambda plan: (_seen(plan, ratio), -(plan.columns * plan.rows - count)))


def _of_columns(columns: int, count: int, ratio: float) -> _Plan:
    rows = math.ceil(count / columns)
    width = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
    room = _HEIGHT - _MARGIN - 2 * 42 - 40 - _MARGIN // 2 - rows * _CAPTION - (rows - 1) * _ROW_GAP
    height = min(round(width / ratio), room // rows)
    # Where the page is full, narrower tiles and a narrower page leave no empty stripes.
    return _Plan(columns, rows, min(width, max(round(height * ratio), _NARROWEST)), height)


def _seen(plan: _Plan, ratio: float) -> float:
    """The area of one picture, in steps that the eye would notice."""
    width = min(plan.width, plan.height * ratio)
    return round(math.log(max(width * width / ratio, 1)), 1)


def _encoded(page: "Image.Image") -> bytes:
    content = b""
    for quality in _QUALITIES:
        target = io.BytesIO()
        page.save(target, "JPEG", quality=quality, optimize=True, subsampling=0 if quality > 80 else 2)
        content = target.getvalue()
        if len(content) <= _LARGEST:
            break
    return content
