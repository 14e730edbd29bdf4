"""What fal would charge for each attempt, by its own arithmetic: from what came out, where that can be counted.

It shares nothing with the client on purpose: what a client writes down is held against it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fal_mcp.emulator.documents import Document
from fal_mcp.emulator.job import CANCELLED, Job
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object

Reason = Literal[
    "completed", "refused", "failed on fal's side", "cancelled in the queue", "cancelled while it ran", "broken off"
]
_COUNTS = ("num_images", "max_images", "num_samples")
_LENGTHS = ("duration", "seconds_total", "duration_seconds", "length", "video_length")
_TEXTS = ("text", "prompt", "script", "input", "lyrics")
_USUAL_SIDES = (1024, 768)
_SIDES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt on the bill. `amount` is in USD, 0 for what is free, and None where fal's price is not known."""

    request_id: str
    endpoint_id: str
    sent: str
    amount: float | None
    reason: Reason


def reason_of(job: Job) -> Reason:
    """How a job that is over counts."""
    if job.failure is None:
        return "completed"
    if job.failure is CANCELLED:
        return "cancelled while it ran" if job.has_begun else "cancelled in the queue"
    # fal bills nothing that failed with a status of 5xx.
    return "failed on fal's side" if job.failure.status >= 500 else "refused"


def is_billed(reason: Reason) -> bool:
    """Whether fal takes money for it: for whatever a model worked on, unless it failed."""
    return reason in ("completed", "cancelled while it ran", "broken off")


def units(document: Document, arguments: JsonMapping, output: JsonMapping, unit: str) -> float | None:
    """How many of its units a run took; None where this emulator cannot tell."""
    given = {**_defaults(document), **{name: value for name, value in arguments.items() if value is not None}}
    # By what came out, and only where that shows no pictures by what was asked for.
    pictures = list(_sides(output)) or [_asked(given)] * _count(given)
    word = unit.casefold().removesuffix("s")
    match word:
        case "megapixel":
            return sum(width * height for width, height in pictures) / 1e6
        case "image":
            return float(len(pictures))
        case "second" | "minute":
            seconds = _seconds(given)
            return None if seconds is None else seconds / (60 if word == "minute" else 1) * _count(given)
        case "video" | "request" | "generation" | "run" | "song" | "audio" | "model":
            return float(_count(given))
        case "character" | "1000 character" | "1k character":
            text = next((value for name in _TEXTS if isinstance(value := given.get(name), str)), "")
            return len(text) / (1 if word == "character" else 1000)
        case _:
            return None


def _defaults(document: Document) -> JsonObject:
    properties: JsonObject = document.input.get("properties", {})
    return {name: part["default"] for name, part in properties.items() if part.get("default") is not None}


def _count(given: JsonMapping) -> int:
    product = 1
    for name in _COUNTS:
        number = given.get(name)
        product *= number if isinstance(number, int) and number > 0 else 1
    return product


def _seconds(given: JsonMapping) -> float | None:
    for name in _LENGTHS:
        if digits := re.fullmatch(r"(\d+(?:\.\d+)?)s?", str(given.get(name))):
            return float(digits[1])
    return None


def _asked(given: JsonMapping) -> tuple[int, int]:
    size: object = given.get("image_size")
    if isinstance(size, str):
        return _SIDES.get(size, _USUAL_SIDES)
    sides: JsonMapping = size if is_object(size) else given
    width, height = sides.get("width"), sides.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else _USUAL_SIDES


def _sides(value: object) -> Iterator[tuple[int, int]]:
    """The sides of every picture in an output."""
    if is_object(value):
        about = value
        width, height = about.get("width"), about.get("height")
        if str(about.get("content_type")).startswith("image/") and isinstance(width, int) and isinstance(height, int):
            yield width, height
            return
        value = list(about.values())
    if is_list(value):
        for part in value:
            yield from _sides(part)
