"""A small chart as a picture: bars over time, and a line over them where there is a second figure."""

import io
from collections.abc import Sequence

from fal_mcp.text import one_line

_WIDTH, _HEIGHT = 640, 320
_LEFT, _TOP, _RIGHT, _BOTTOM = 16, 40, 624, 290
_PAPER, _INK, _BAR, _LINE, _GRID = "white", "#222222", "#5b8def", "#d9480f", "#dddddd"
_FONT_SIZE = 13
_LONGEST_TITLE = 90
_LONGEST_LABEL = 16


def bars(title: str, labels: Sequence[str], values: Sequence[float], line: Sequence[float] = ()) -> bytes:
    """A PNG of 640x320: a bar for each value, from 0 to the largest; `line` has a scale of its own. The title says what
    both are."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_SIZE)
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_LEFT, 12), one_line(title, _LONGEST_TITLE), _INK, font)
    draw.line((_LEFT, _BOTTOM, _RIGHT, _BOTTOM), _GRID)
    step = (_RIGHT - _LEFT) / max(len(values), 1)
    for number, height in enumerate(_heights(values)):
        left = _LEFT + number * step
        if height:
            draw.rectangle((left, _BOTTOM - height, left + max(0.8 * step, 1), _BOTTOM), _BAR)
    points = [(_LEFT + (number + 0.4) * step, _BOTTOM - height) for number, height in enumerate(_heights(line))]
    if len(points) > 1:
        draw.line(points, _LINE, 2)
    for place, anchor in ((0, "la"), (-1, "ra")):
        if labels:
            where = _LEFT if place == 0 else _RIGHT
            draw.text((where, _BOTTOM + 8), one_line(labels[place], _LONGEST_LABEL), _INK, font, anchor)
    target = io.BytesIO()
    picture.quantize(16).save(target, "PNG", optimize=True)
    return target.getvalue()


def _heights(values: Sequence[float]) -> list[float]:
    """In pixels, the largest value from the bottom to the top."""
    most = max(values, default=0.0)
    return [max(value, 0.0) / most * (_BOTTOM - _TOP) if most > 0 else 0.0 for value in values]
