"""JSON from elsewhere: read without surprises, taken one kind of value at a time, written so that anybody can read it.

The one door of `json`: what it raises becomes `NotJson` here, and no number that JSON does not have gets out.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

_MOST_DIGITS = 4000
"""Python refuses longer whole numbers, with an error that names none of the input."""


class NotJson(ValueError):
    """A text that is not JSON, or is nested too deep to be read."""


def parsed(content: bytes | str) -> Any:
    """The value that a text stands for. `NaN` and `Infinity`, which Python services write, are numbers here too.

    Raises:
        NotJson: it stands for none.
    """
    try:
        return json.loads(content, parse_int=_whole_number)
    except RecursionError:
        raise NotJson("It is nested too deep to be read.") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def dumped(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON that any reader takes: `null` for a number that is not finite, U+FFFD for half a character."""
    try:
        text = _written(value, indent, sort_keys)
        text.encode()
        return text
    except ValueError:
        return _written(sound(value), indent, sort_keys)


def sound(value: Any) -> Any:
    """The same value without what JSON cannot say: numbers that are not finite are None, half characters U+FFFD."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, Mapping):
        return {str(sound(str(key))): sound(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [sound(item) for item in cast(list[Any], value)]
    return value


def object_of(value: object) -> dict[str, Any]:
    """The object that a value is; an empty one where it is none."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The list that a value is; an empty one where it is none."""
    return cast(list[Any], value) if isinstance(value, list) else []


def text_of(value: object) -> str | None:
    """The text that a value is; None where it is none."""
    return value if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    """The finite number that a value is; None where it is none. `True` is no number, although Python thinks so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def whole_number_of(value: object) -> int | None:
    """The whole number that a value is, `3.0` included; None where it is none."""
    number = number_of(value)
    return int(number) if number is not None and number.is_integer() else None


def _written(value: Any, indent: int | None, sort_keys: bool) -> str:
    separators = None if indent else (",", ":")
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) < _MOST_DIGITS else float("-inf" if digits.startswith("-") else "inf")
