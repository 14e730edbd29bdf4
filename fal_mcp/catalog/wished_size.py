"""A size that somebody wishes for, in the forms that endpoints take sizes in. Pure.

fal's models take a size as an object of pixels, as a name such as `landscape_16_9`, as an aspect ratio, as the number
of lines of a film, or as width and height.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from fal_mcp.json_values import JsonObject, list_of, object_of
from fal_mcp.openapi.schema import Schema, branches

PATTERN = r"^[1-9]\d{0,4}(x[1-9]\d{1,4}|:[1-9]\d{0,2})$"
"""Pixels such as `1024x768`, or a ratio such as `16:9`."""
_PLACES = ("image_size", "video_size", "output_size", "size")
_RATIOS = ("aspect_ratio", "ratio", "image_aspect_ratio")
_RESOLUTIONS = ("resolution", "video_resolution", "image_resolution", "output_resolution")
_NAMED = re.compile(r"(portrait|landscape)_(\d{1,9})_(\d{1,9})")
_PAIR = re.compile(r"(\d{1,9})\s*[x:*]\s*(\d{1,9})")
_LINES = re.compile(r"(\d{3,4})p")
_THOUSANDS = re.compile(r"(\d)k", re.IGNORECASE)
_PIXELS = 1024 * 1024
"""Of a ratio, where nothing but pixels can be given."""
_GRID = 16
"""What models want their sides to be a multiple of."""
_NEAR_RATIO = 0.12
"""How far the logarithms of two ratios lie apart that pass for one: 4:3 and 3:2 do, 4:3 and 1:1 do not."""
_SAME_RATIO = 0.02
_NEAR_LINES = 0.2


@dataclass(frozen=True, slots=True)
class Size:
    """`width` and `height` in pixels, or only their ratio."""

    width: int
    height: int
    is_ratio: bool

    @classmethod
    def read(cls, text: str) -> Self:
        """The size that a text of `PATTERN` names."""
        width, height = map(int, re.split("[x:]", text))
        return cls(width, height, ":" in text)

    def __str__(self) -> str:
        return f"{self.width}{':' if self.is_ratio else 'x'}{self.height}"

    @property
    def pixels(self) -> tuple[int, int]:
        """Itself, or about a megapixel of its ratio, on the grid that models like."""
        if not self.is_ratio:
            return self.width, self.height
        scale = math.sqrt(_PIXELS / (self.width * self.height))
        width, height = (max(round(side * scale / _GRID), 1) * _GRID for side in (self.width, self.height))
        return width, height

    @property
    def ratio(self) -> str:
        """Such as `16:9`."""
        shared = math.gcd(self.width, self.height)
        return f"{self.width // shared}:{self.height // shared}"

    def away(self, width: float, height: float) -> float:
        """How far another ratio is from this one; 0 where it is the same."""
        return abs(math.log(self.width / self.height * height / width))


def forms(size: Size, schema: Schema) -> Iterator[JsonObject]:
    """The arguments by which an input schema can be given this size, the truest first; each alone may be refused by
    the schema, and the next is for then."""
    properties = object_of(schema.get("properties"))
    for name in _PLACES:
        if name in properties:
            yield from ({name: value} for value in _values(size, properties[name], schema))
    if {"width", "height"} <= properties.keys():
        width, height = size.pixels
        yield {"width": width, "height": height}
    for name in _RATIOS:
        if name in properties and (ratio := _ratio(size, properties[name], schema)):
            yield {name: ratio, **_resolution(size, properties, schema)}
    if resolution := _resolution(size, properties, schema):
        yield resolution


def loss(size: Size, given: Mapping[str, Any]) -> str:
    """What of the wish is not in the arguments that were chosen for it, in a few words; empty where all is."""
    values = list(given.values())
    if values == list(size.pixels) or any(object_of(value) for value in values):
        return ""
    known = [pair for value in values if (pair := _pair(value))]
    if not known:
        return "only how large, and not its ratio"
    is_same = size.away(*known[0]) < _SAME_RATIO
    is_whole = size.is_ratio or (len(values) > 1 and is_same) or (size.width, size.height) == known[0]
    return "" if is_same and is_whole else "its ratio" if is_same else "the nearest it takes"


def _values(size: Size, part: Any, root: Schema) -> Iterator[Any]:
    """What an argument of sizes can be given: a name where only the ratio is wished for, else pixels first."""
    options = list(branches(object_of(part), root))
    width, height = size.pixels
    pixels: list[Any] = [
        {"width": width, "height": height} for option in options if {"width", "height"} <= _names_of(option)
    ]
    named = sorted(
        (size.away(*pair), number, name)
        for option in options
        for number, name in enumerate(list_of(option.get("enum")))
        if (pair := _pair(name)) and size.away(*pair) <= _NEAR_RATIO
    )
    names = [name for _, _, name in named]
    is_exact = size.is_ratio and named and named[0][0] < _SAME_RATIO
    yield from [*names, *pixels] if is_exact else [*pixels, *names]
    if any(option.get("type") == "string" and "enum" not in option for option in options):
        yield f"{width}x{height}"


def _names_of(option: Schema) -> set[str]:
    return set(object_of(option.get("properties")))


def _ratio(size: Size, part: Any, root: Schema) -> str | None:
    options = list(branches(object_of(part), root))
    known = [
        (size.away(*pair), value) for one in options for value in list_of(one.get("enum")) if (pair := _pair(value))
    ]
    if known:
        away, nearest = min(known, key=lambda one: one[0])
        return nearest if away <= _NEAR_RATIO else None
    is_free = any(option.get("type") == "string" and "enum" not in option for option in options)
    return size.ratio if is_free else None


def _resolution(size: Size, properties: JsonObject, root: Schema) -> JsonObject:
    """The number of lines nearest to the wished pixels; nothing where only a ratio is wished for: more lines cost
    more, and nobody asked for them."""
    name = next((name for name in _RESOLUTIONS if name in properties), None)
    if name is None or size.is_ratio:
        return {}
    values = [value for one in branches(object_of(properties[name]), root) for value in list_of(one.get("enum"))]
    known = [(abs(math.log(lines / _lines_of(size, value))), value) for value in values if (lines := _lines(value))]
    away, nearest = min(known, key=lambda one: one[0], default=(math.inf, None))
    return {name: nearest} if away <= _NEAR_LINES else {}


def _lines_of(size: Size, value: Any) -> float:
    """How large the wished size is, in the measure that a name of a resolution has: lines, or the side of a square."""
    is_lines = bool(_LINES.fullmatch(str(value)))
    return min(size.width, size.height) if is_lines else math.sqrt(size.width * size.height)


def _lines(value: Any) -> int | None:
    if match := _LINES.fullmatch(str(value)):
        return int(match[1])
    return int(match[1]) * 1024 if (match := _THOUSANDS.fullmatch(str(value))) else None


def _pair(value: Any) -> tuple[int, int] | None:
    """Width and height, or their ratio, of a name; None where it has none."""
    text = str(value)
    if text.startswith("square"):
        return 1, 1
    if match := _NAMED.fullmatch(text):
        larger, smaller = sorted((int(match[2]), int(match[3])), reverse=True)
        return (larger, smaller) if match[1] == "landscape" else (smaller, larger)
    match = _PAIR.fullmatch(text.strip())
    pair = (int(match[1]), int(match[2])) if match else (0, 0)
    return pair if all(pair) else None
