"""A small chart as a picture: bars over time, and a line over them where there is a second figure."""

import io
from collections.abc import Sequence

import anyio.to_thread

from fal_mcp.outputs.outcome import Preview
from fal_mcp.text import one_line

_WIDTH, _HEIGHT = 640, 320
_LEFT, _TOP, _RIGHT, _BOTTOM = 16, 40, 624, 290
_PAPER, _INK, _BAR, _LINE, _GRID = "white", "#222222", "#5b8def", "#d9480f", "#dddddd"
_FONT_SIZE = 13
_LONGEST_TITLE = 90
_LONGEST_LABEL = 16


async def preview(
    is_wanted: bool, title: str, moments: Sequence[str], values: Sequence[float], line: Sequence[float] = ()
) -> tuple[Preview, ...]:
    """The chart for a model to see; none where previews are off, or where there is nothing to compare."""
    if not is_wanted or len(values) < 2 or not any(values):
        return ()
    return (Preview(await anyio.to_thread.run_sync(bars, title, moments, values, line), "image/png"),)


def bars(title: str, moments: Sequence[str], values: Sequence[float], line: Sequence[float] = ()) -> bytes:
    """A PNG of 640x320: a bar for each value, from 0 to the largest; `line` has a scale of its own. The title says what
    both are, and `moments` when they were."""
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
        if moments:
            where = _LEFT if place == 0 else _RIGHT
            draw.text((where, _BOTTOM + 8), _label(moments[place]), _INK, font, anchor)
    target = io.BytesIO()
    # A chart has five colours: as a palette it is a tenth of the size, which the model pays for.
    picture.quantize(16).save(target, "PNG", optimize=True)
    return target.getvalue()


def _label(moment: str) -> str:
    """Day and minute of an ISO date and time."""
    return one_line(moment, len(moment) + 1)[:_LONGEST_LABEL].replace("T", " ")


def _heights(values: Sequence[float]) -> list[float]:
    """In pixels, the largest value from the bottom to the top."""
    most = max(values, default=0.0)
    return [max(value, 0.0) / most * (_BOTTOM - _TOP) if most > 0 else 0.0 for value in values]
