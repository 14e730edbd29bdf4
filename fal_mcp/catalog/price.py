"""What a call is thought to cost: its price a unit, times the units its arguments ask for. Pure.

fal's units are free text, and many models are billed by rules that only a sentence on their page states: what cannot
be told is said, never guessed. Where two readings are left the dearer one is taken, since budgets are held to it.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fal_mcp.catalog.endpoint import Endpoint, Price
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, list_of, number_of, object_of, whole_number_of
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.text import money, one_line

_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_COUNTS = re.compile(
    r"(?:num|number_of|max|n)_(?:images|videos|songs|audios|outputs|samples|results|variations|variants|generations"
    r"|pictures|clips|completions|images_per_prompt)|(?:image|video|output|sample|variation)_count|images_per_prompt"
)
_MAYBE_COUNTS = frozenset({"n", "batch_size", "count", "samples", "quantity", "num"})
"""Counts only where not one thing comes out: a `batch_size` may as well say how much is worked on at once."""
_SECONDS = re.compile(
    r"(?:\w+_)?duration(?:_seconds|_s|_in_seconds)?|seconds(?:_total)?|total_seconds|length_seconds|length|video_length"
    r"|audio_length"
)
_NO_LENGTH = re.compile(r"(?:max_chunk|crop|fade|min|silence|pause)\w*_duration|enable\w*")
_MILLISECONDS = re.compile(r"\w*(?:length|duration)_ms")
_TEXTS = frozenset({"text", "prompt", "script", "input", "lyrics"})
_RESOLUTIONS = ("resolution", "target_resolution", "quality", "image_resolution", "video_resolution")
_NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(?:s|sec|seconds?)?")
_RUNS = re.compile(
    r"|1|videos?|requests?|generations?|runs?|songs?|audios?|models?|calls?|pictures?|meshes|mesh|clips?|tracks?"
)
_MOST = 1e9
"""Dollars: what comes to more than this is a slip in a document or in an argument, and no price."""
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Quote:
    """`amount` in `currency`, None where it cannot be told; `note` says how it was reckoned, or why not."""

    amount: float | None
    note: str
    currency: str = "USD"
    typical: float | None = None
    """What a run of an own app mostly comes to: less than `amount`, and known where that may not be."""
    per_second: float | None = None
    """USD for each second that a run takes, where it is billed by how long that is."""
    rate_note: str = ""
    """Where `per_second` is from."""

    def __str__(self) -> str:
        return self.note if self.amount is None else f"about {money(self.amount)} for {self.note}"

    @property
    def reason(self) -> str:
        """The note, with what is typical before it where `amount` is something else."""
        return self.note if self.typical is None else f"about {money(self.typical)}, {self.note}"


@dataclass(frozen=True, slots=True)
class _Units:
    """How many units, and the words for them."""

    number: float
    words: str


def read(item: object) -> Price | None:
    """The price in an answer of fal's or in its catalog; None where that is no price.

    A price of 0 says nothing: fal records it for many a model that is billed by another rule.
    """
    about = object_of(item)
    amount, unit = number_of(about.get("unit_price")), about.get("unit")
    if amount is None or not isinstance(unit, str):
        return None
    price = Price(amount, one_line(unit, 40), one_line(str(about.get("currency") or "USD"), 3).upper())
    return price if _is_known(price) else None


def quote(endpoint: Endpoint, arguments: JsonMapping, price: Price | None = None) -> Quote:
    """What one call with these arguments is thought to cost; `price` wins over the catalog's.

    An amount is finite and not negative, whatever document, price and arguments say.
    """
    # What this account pays, where it was asked, before the list price.
    price = price or endpoint.price
    if price is None or not _is_known(price):
        return Quote(None, "fal's catalog has no price for it here")
    # Budgets and limits are in USD, and no rate is guessed here.
    if price.currency != "USD":
        return Quote(None, f"its price is in {price.currency}", price.currency)
    units = _units(price.unit.casefold().strip(), endpoint, _with_defaults(endpoint, arguments))
    amount = None if units is None else _rounded_up(price.amount * units.number)
    if units is None or amount is None:
        return Quote(None, f"{price}, and how many that is cannot be told beforehand")
    return Quote(amount, f"{units.words}, at {price}")


def _is_known(price: Price) -> bool:
    amount = number_of(price.amount)
    return amount is not None and (amount > 0 or (amount == 0 and price.unit.casefold() == "free"))


def _rounded_up(amount: float) -> float | None:
    """Whole millionths, so that no price however small becomes nothing; None where it is no price."""
    if not math.isfinite(amount) or not 0 <= amount <= _MOST:
        return None
    # Rounded first: 3 times 0.07 is 0.21 and a hair in binary, and that hair would be charged as a millionth.
    return math.ceil(round(amount * 1e6, 3)) / 1e6


def _with_defaults(endpoint: Endpoint, arguments: JsonMapping) -> JsonObject:
    properties = object_of(endpoint.input_schema.get("properties"))
    # What is left out is filled in by fal, and paid: four images are four where four is the default.
    defaults = {name: part["default"] for name, part in properties.items() if "default" in object_of(part)}
    given = {**defaults, **{name: value for name, value in arguments.items() if value is not None}}
    return {name: value for name, value in given.items() if value is not None}


def _units(unit: str, endpoint: Endpoint, given: JsonMapping) -> _Units | None:
    if unit == "free":
        return _Units(0, "a run")
    count = _count(endpoint, given)
    if count is None:
        return None
    for form, reckoned in _FORMS.items():
        if match := form.fullmatch(unit):
            units = reckoned(match, endpoint, given, count)
            return units and _Units(units.number, units.words + _at_resolution(given))
    return None


def _times(count: int) -> str:
    return f", {count} times" if count > 1 else ""


def _of_pixels(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    # A million pixels, and no block: a fraction of a megapixel counts as that fraction.
    pixels = _megapixels(given)
    return (
        None
        if pixels is None
        else _Units(pixels * count, f"{pixels:.3g} megapixel{'' if pixels == 1 else 's'}{_times(count)}")
    )


def _of_seconds(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    seconds = _seconds(endpoint, given)
    if seconds is None:
        return None
    # A unit of several seconds is a block: the last one begun is paid whole.
    number = seconds if match[1] is None else float(math.ceil(seconds / int(match[1])))
    return _Units(number * count, f"{seconds:g} s{_times(count)}")


def _of_minutes(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    seconds = _seconds(endpoint, given)
    return None if seconds is None else _Units(seconds / 60 * count, f"{seconds:g} s{_times(count)}")


def _of_characters(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    length = sum(len(text) for text in _texts(given, 0))
    # Fractions of a thousand are billed as such: no block here, other than with seconds.
    per = int(match[1] or 1) * (1000 if match[2] else 1)
    return _Units(length / per * count, f"{length:,} characters{_times(count)}") if length else None


def _of_images(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    return _Units(count, "1 image" if count == 1 else f"{count} images")


def _of_runs(match: re.Match[str], endpoint: Endpoint, given: JsonMapping, count: int) -> _Units | None:
    return _Units(count, "a run" if count == 1 else f"{count} in one run")


_Reckoned = Callable[[re.Match[str], Endpoint, JsonMapping, int], _Units | None]
_FORMS: dict[re.Pattern[str], _Reckoned] = {
    re.compile(r"(?:output )?megapixels?"): _of_pixels,
    re.compile(r"(?:([1-9]\d{0,5}) )?(?:(?:output|video|audio) )?seconds?"): _of_seconds,
    re.compile(r"(?:(?:output|video|audio) )?minutes?"): _of_minutes,
    re.compile(r"([1-9]\d{0,8})? ?(k)? ?(?:characters?|chars?)"): _of_characters,
    re.compile(r"(?:output |generated )?images?"): _of_images,
    _RUNS: _of_runs,
}


def _count(endpoint: Endpoint, given: JsonMapping) -> int | None:
    """How many things one run makes at most; None where an argument's number is none of things."""
    many = 1
    for name, value in given.items():
        if not _COUNTS.fullmatch(name) and not (name in _MAYBE_COUNTS and _gives_several(endpoint)):
            continue
        number = whole_number_of(value)
        # A client may send a number as text, and an enum of texts lets it through.
        if number is None and isinstance(value, str) and value.isdecimal() and value.isascii():
            number = int(value[:12])
        if number is None or number < 1:
            return None
        # They multiply: `num_images` of each of several prompts.
        many *= number
    return many


def _gives_several(endpoint: Endpoint) -> bool:
    """Whether a list may come out; an output that is not described may be anything."""
    properties = object_of(endpoint.output_schema.get("properties"))
    if not properties:
        return True
    options = (one for part in properties.values() for one in branches(object_of(part), endpoint.output_schema))
    return any(one.get("type") == "array" for one in options)


def _seconds(endpoint: Endpoint, given: JsonMapping) -> float | None:
    lengths = list(_lengths(endpoint, given))
    known = [length for length in lengths if length is not None]
    # One length that cannot be read may be the long one, so nothing is told.
    if not known or len(known) < len(lengths) or any(length <= 0 for length in known):
        return None
    # Several lengths are bounds or parts of one film, and which of them is billed is not said: the longest is the
    # dearer reading.
    return max(known)


def _lengths(endpoint: Endpoint, given: JsonMapping) -> Iterator[float | None]:
    """Every length that the arguments state; None for one that cannot be read."""
    for name, value in given.items():
        if _SECONDS.fullmatch(name) and not _NO_LENGTH.fullmatch(name) and not isinstance(value, bool):
            if (length := _length(value)) is not None or not isinstance(value, str):
                yield length
            else:
                # "auto" lets the model choose; the price held against a budget is that of the longest it may choose.
                yield _longest(endpoint, name)
        elif _MILLISECONDS.fullmatch(name):
            length = _length(value)
            yield None if length is None else length / 1000
        elif is_list(value):
            # Shots, each with a length of its own.
            shots = [_length(object_of(shot).get("duration")) for shot in list_of(value)]
            if known := [shot for shot in shots if shot is not None]:
                yield sum(known) if len(known) == len(shots) else None


def _length(value: object) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value.strip().casefold())
        return float(match[1]) if match else None
    return number_of(value)


def _longest(endpoint: Endpoint, name: str) -> float | None:
    """The longest length an argument may have, for a word such as `auto` in its place."""
    part = object_of(object_of(endpoint.input_schema.get("properties")).get(name))
    options = list(branches(part, endpoint.input_schema))
    values = [value for one in options for value in list_of(one.get("enum"))]
    lengths = [_length(value) for value in [*values, *(one.get("maximum") for one in options)]]
    return max((length for length in lengths if length is not None), default=None)


def _texts(value: Any, depth: int) -> Iterator[str]:
    """What is read or sung: every text under such a name, in lists of lines too."""
    if depth > _DEEPEST:
        return
    for name, inner in object_of(value).items():
        if isinstance(inner, str) and name in _TEXTS:
            yield inner
        elif isinstance(inner, dict | list):
            yield from _texts(inner, depth + 1)
    for inner in list_of(value):
        yield from _texts(inner, depth + 1)


def _megapixels(given: JsonMapping) -> float | None:
    # A name such as `landscape_4_3`, or an object with both sides; models without either take the sides as arguments
    # of their own.
    size: object = given.get("image_size", given.get("video_size"))
    if isinstance(size, str):
        size = dict(zip(("width", "height"), _SIZES.get(size, ()), strict=False))
    sides: Schema = object_of(size) if size is not None else dict(given)
    width, height = number_of(sides.get("width")), number_of(sides.get("height"))
    if width is None or height is None or width <= 0 or height <= 0:
        return None
    return width * height / 1_000_000


def _at_resolution(given: JsonMapping) -> str:
    named = next((given[name] for name in _RESOLUTIONS if isinstance(given.get(name), str)), None)
    return f" at {one_line(named, 20)}" if named else ""
