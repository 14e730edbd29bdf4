"""JSON from elsewhere: read without surprises, taken one kind of value at a time, written so that anybody can read it.

The one door of `json`: what it raises becomes `NotJson` here, and no number that JSON does not have gets out.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard, cast

JsonObject = dict[str, Any]
"""An object of JSON, as it is read and as it is made."""
JsonMapping = Mapping[str, Any]
"""The same where it is only read."""

_MOST_DIGITS = 4000
"""Python refuses longer whole numbers, with an error that names none of the input."""
_MOST_BITS = 13_000
"""Of a whole number with as many digits."""
_MOST_DIGITS_OF_A_PLACE = 9


class NotJson(ValueError):
    """A text that is not JSON, or is nested too deep to be read."""


def parsed(content: bytes | str) -> Any:
    """The value that a text stands for. `NaN` and `Infinity`, which Python services write, are numbers here too.

    Raises:
        NotJson: it stands for none.
    """
    try:
        # Python refuses a number of thousands of digits with an error of its own, and so would refuse a whole paid
        # answer.
        return json.loads(content, parse_int=_whole_number)
    except RecursionError:
        raise NotJson("It is nested too deep to be read.") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def dumped(value: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON that any reader takes: `null` for a number that is not finite, U+FFFD for half a character.
    However deep it is: where the nesting is too much for `json`, it is written on one line."""
    try:
        text = _written(value, indent, sort_keys)
        # Half a character passes through `json` and fails where the text is written, far from here.
        text.encode()
        return text
    except (ValueError, TypeError, RecursionError):
        plain = sound(value)
    try:
        return _written(plain, indent, sort_keys)
    except RecursionError:
        return "".join(_pieces(plain, sort_keys))


def sound(value: Any) -> Any:
    """The same value without what JSON cannot say: numbers that are not finite are None, half characters U+FFFD."""
    return mapped(value, _sound_leaf, _sound_key)


def mapped(value: Any, leaf: Callable[[Any], Any], key: Callable[[str], str] = str) -> Any:
    """The same lists and objects with `leaf` of everything else in them and `key` of every key; two keys that become
    one are told apart by a number. Nothing is too deep: it goes by a list of its own and not by Python's stack."""
    top: list[Any] = [None]
    # fal hands on what models give, and a few thousand brackets end Python's stack.
    waiting: list[tuple[Any, Any, Any]] = [(value, top, 0)]
    while waiting:
        item, target, place = waiting.pop()
        # Asked first: most are no more than that, and whether something is a mapping takes long to answer.
        if isinstance(item, str | int | float):
            target[place] = leaf(item)
        elif isinstance(item, Mapping):
            inner = _named(cast("Mapping[Any, Any]", item), key)
            target[place] = dict.fromkeys(inner)
            waiting += [(part, target[place], name) for name, part in inner.items()]
        elif isinstance(item, list | tuple):
            parts = cast("list[Any]", item)
            target[place] = [None] * len(parts)
            waiting += [(part, target[place], number) for number, part in enumerate(parts)]
        else:
            target[place] = leaf(item)
    return top[0]


def object_of(value: object) -> JsonObject:
    """The object that a value is; an empty one where it is none."""
    return value if is_object(value) else {}


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether a value is an object; of what is in it a type checker knows no more than people do."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def list_of(value: object) -> list[Any]:
    """The list that a value is; an empty one where it is none."""
    return value if is_list(value) else []


def values_in(value: object) -> list[Any]:
    """What stands directly in a list or an object, in order; nothing where it is neither."""
    return list(value.values()) if is_object(value) else list_of(value)


def text_of(value: object) -> str | None:
    """The text that a value is; None where it is none."""
    return value if isinstance(value, str) else None


def number_of(value: object) -> float | None:
    """The finite number that a value is; None where it is none. `True` is no number, although Python thinks so."""
    # Checked first: a limit of `true` dollars would be one dollar.
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


def place_of(digits: str) -> int:
    """The place in a list that digits name. Longer numbers than any list has places for come out as one beyond it:
    Python does not even read those of thousands of digits."""
    return int(digits[:_MOST_DIGITS_OF_A_PLACE])


def _named(item: Mapping[Any, Any], key: Callable[[str], str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, part in item.items():
        free = plain = key(str(name))
        number = 2
        while free in named:
            free, number = f"{plain} ({number})", number + 1
        named[free] = part
    return named


def _sound_key(name: str) -> str:
    # By way of UTF-16, where two halves that stand together become the character that they are.
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sound_leaf(value: Any) -> Any:
    if isinstance(value, str):
        return _sound_key(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if value.bit_length() <= _MOST_BITS else None
    return None if value is None else _sound_key(str(value))


def _pieces(value: Any, sort_keys: bool) -> Iterator[str]:
    """JSON text of what is too deep for `json`, piece by piece."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Written):
            yield item
        elif isinstance(item, dict):
            names = sorted(cast("dict[str, Any]", item)) if sort_keys else list(cast("dict[str, Any]", item))
            waiting.append(_Written("}"))
            for place in range(len(names) - 1, -1, -1):
                comma = "," if place else ""
                waiting += [item[names[place]], _Written(f"{comma}{json.dumps(names[place], ensure_ascii=False)}:")]
            yield "{"
        elif isinstance(item, list):
            waiting.append(_Written("]"))
            for place, part in reversed(list(enumerate(cast("list[Any]", item)))):
                waiting += [part, *([_Written(",")] if place else [])]
            yield "["
        else:
            yield json.dumps(item, ensure_ascii=False)


class _Written(str):
    """Text that is JSON already."""

    __slots__ = ()


def _written(value: Any, indent: int | None, sort_keys: bool) -> str:
    separators = None if indent else (",", ":")
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) < _MOST_DIGITS else float("-inf" if digits.startswith("-") else "inf")
