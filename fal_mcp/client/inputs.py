"""What is sent, as JSON: all of it or nothing, because somebody pays for what is sent."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import dumped


def as_json(value: object) -> bytes | None:
    """A value as JSON; None for None, which is no body at all.

    Raises:
        InvalidInput: JSON cannot say it; nothing of it is replaced in silence.
    """
    if value is None:
        return None
    try:
        if _is_sound(value):
            return dumped(value).encode()
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise _refusal() from error
    raise _refusal()


def _refusal() -> InvalidInput:
    return InvalidInput(
        "The input cannot be sent as JSON: it is too deep, or has a number that is not finite or half a character.",
        hint="Nothing was sent. Correct the input and call again.",
    )


def _is_sound(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "replace").decode() == value
    if isinstance(value, Mapping):
        return all(_is_sound(key) and _is_sound(item) for key, item in cast(Mapping[Any, Any], value).items())
    return all(map(_is_sound, cast(Sequence[Any], value))) if isinstance(value, (list, tuple)) else True
