"""Values that JSON can say and that can be gone through: no infinite numbers, half characters or bottomless nests."""

import math
from collections.abc import Iterator
from typing import cast

from fal_mcp.json_values import list_of, object_of

DEEPEST = 64
"""Nothing that fal takes is nested a quarter as deep, and a value is gone through by calls within calls."""
_MOST_BITS = 8192
"""Python cannot write down longer whole numbers without being asked to."""


def is_sayable(value: object) -> bool:
    """Whether nothing in a value is what no JSON can say, or nobody reads."""
    return next(unsayable(value), None) is None


def unsayable(value: object, path: str = "$", depth: int = 0) -> Iterator[tuple[str, str]]:
    """What in a value no JSON can say, or nobody reads: each with its path."""
    if depth > DEEPEST:
        yield path[:200], f"is nested more than {DEEPEST} levels deep"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "is no number that JSON has"
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        yield path, "is a number of more digits than anybody reads"
    elif isinstance(value, str) and not is_whole(value):
        yield path, "has half a character in it (a lone surrogate)"
    elif isinstance(value, dict):
        for name, item in object_of(cast(object, value)).items():
            if not is_whole(name):
                yield path, "has half a character in a name (a lone surrogate)"
            else:
                yield from unsayable(item, f"{path}.{name[:80]}", depth + 1)
    else:
        for index, item in enumerate(list_of(cast(object, value))):
            yield from unsayable(item, f"{path}[{index}]", depth + 1)


def is_whole(text: str) -> bool:
    """Whether a text has no half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
