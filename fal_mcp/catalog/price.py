"""What a call is thought to cost: its price a unit, times the units its arguments ask for. Pure.

fal's units are free text, and many models are billed by rules that only a sentence on their page states: what cannot
be told is said, never guessed (facts/fal-model-documents, item 17).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from fal_mcp.catalog.endpoint import Endpoint, Price

_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_COUNTS = ("num_images", "num_samples")
_TEXTS = ("text", "prompt", "script", "input", "lyrics")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*s?")


@dataclass(frozen=True, slots=True)
class Quote:
    """`amount` in `currency`, None where it cannot be told; `note` says how it was reckoned, or why not."""

    amount: float | None
    note: str
    currency: str = "USD"


def quote(endpoint: Endpoint, arguments: Mapping[str, Any], price: Price | None = None) -> Quote:
    """What one call with these arguments is thought to cost; `price` wins over the catalog's."""
    price = price or endpoint.price
    if price is None:
        return Quote(None, "fal's catalog has no price for it here")
    if price.currency != "USD":
        return Quote(None, f"its price is in {price.currency}", price.currency)
    units = _units(price.unit.casefold(), _with_defaults(endpoint, arguments))
    if units is None:
        return Quote(None, f"{price}, and how many that is cannot be told beforehand")
    return Quote(round(price.amount * units, 6), f"{price}, times {units:g}")


def _with_defaults(endpoint: Endpoint, arguments: Mapping[str, Any]) -> dict[str, Any]:
    properties: Mapping[str, Any] = endpoint.input_schema.get("properties", {})
    defaults = {name: part["default"] for name, part in properties.items() if part.get("default") is not None}
    return {**defaults, **{name: value for name, value in arguments.items() if value is not None}}


def _units(unit: str, given: Mapping[str, Any]) -> float | None:
    count = _count(given)
    if re.fullmatch(r"(processed )?megapixels?", unit):
        pixels = _megapixels(given)
        return None if pixels is None or "processed" in unit else pixels * count
    if re.fullmatch(r"(\d+ )?seconds?", unit):
        seconds, per = _seconds(given), float(unit.split()[0]) if unit[0].isdigit() else 1.0
        return None if seconds is None else seconds / per * count
    if re.fullmatch(r"minutes?", unit):
        seconds = _seconds(given)
        return None if seconds is None else seconds / 60 * count
    if found := re.fullmatch(r"(\d+)?k? ?characters?", unit):
        text = next((given[name] for name in _TEXTS if isinstance(given.get(name), str)), None)
        per = float(found[1] or 1) * (1000 if "k" in unit.split("char")[0] else 1)
        return None if text is None else len(text) / per
    if re.fullmatch(r"images?", unit):
        return float(count)
    if re.fullmatch(r"videos?|requests?|generations?|runs?|songs?|audios?|models?|units?|video segments?", unit):
        return None if unit.startswith(("unit", "video seg")) else float(count)
    return None


def _count(given: Mapping[str, Any]) -> int:
    found = next((given[name] for name in _COUNTS if isinstance(given.get(name), int)), 1)
    return max(int(found), 1)


def _seconds(given: Mapping[str, Any]) -> float | None:
    for name in ("duration", "seconds_total", "duration_seconds", "length", "video_length"):
        value = given.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and (found := _NUMBER.fullmatch(value.strip())):
            return float(found[1])
    return None


def _megapixels(given: Mapping[str, Any]) -> float | None:
    size: Any = given.get("image_size")
    if isinstance(size, str):
        size = dict(zip(("width", "height"), _SIZES.get(size, ()), strict=False))
    sides = cast(Mapping[str, Any], size) if isinstance(size, Mapping) else given
    width, height = sides.get("width"), sides.get("height")
    if not isinstance(width, int) or not isinstance(height, int):
        return None
    return width * height / 1_000_000
