"""What a chain's step may say in place of a value: `$1.images[0].url`, what step 1 gave there. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import is_list, is_object, place_of, values_in
from fal_mcp.text import one_line

_REFERENCE = re.compile(r"\$(\d+)((?:\.[A-Za-z0-9_-]+|\[\d+\])+)")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")


def found_in(value: object) -> Iterator[tuple[str, int]]:
    """Every reference in a value, with the number of the step that it names."""
    for text in texts(value):
        # The whole text or none of it: a prompt about "coffee at $1.50" is about money.
        if match := _REFERENCE.fullmatch(text):
            yield text, place_of(match[1])


def texts(value: object) -> list[str]:
    """Every text in a value."""
    if isinstance(value, str):
        return [value]
    return [text for item in values_in(value) for text in texts(item)]


def filled(value: object, outputs: list[Any]) -> Any:
    """The value with what each reference in it leads to.

    Raises:
        InvalidInput: one leads nowhere.
    """
    if is_object(value):
        return {key: filled(item, outputs) for key, item in value.items()}
    if is_list(value):
        return [filled(item, outputs) for item in value]
    if isinstance(value, str) and (match := _REFERENCE.fullmatch(value)):
        return _looked_up(outputs[place_of(match[1]) - 1], match[2], value)
    return value


def filled_as_known(value: object, outputs: list[Any]) -> Any:
    """The same, with references to what has not come out yet left as they are."""
    if is_object(value):
        return {key: filled_as_known(item, outputs) for key, item in value.items()}
    if is_list(value):
        return [filled_as_known(item, outputs) for item in value]
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return filled(value, outputs) if match and place_of(match[1]) <= len(outputs) else value


def _looked_up(output: Any, path: str, reference: str) -> Any:
    for name, index in _STEP.findall(path):
        try:
            output = output[name] if name else output[place_of(index)]
        except (KeyError, IndexError, TypeError) as error:
            known = ", ".join(output) if is_object(output) else type(output).__name__
            raise InvalidInput(f"{reference!r} leads nowhere: there is {one_line(known, 200)}.") from error
    return output
