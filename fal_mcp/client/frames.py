"""What goes over a realtime connection: inputs as msgpack, answers as msgpack or JSON. Pure.

A frame is somebody else's: how long, how deep and how full it may be is bounded before it is believed.
"""

from collections.abc import Callable
from typing import Any, cast

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from fal_mcp.client.inputs import as_json
from fal_mcp.errors import FalError, GenerationFailed, InvalidInput, NotAuthorised, ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object, parsed
from fal_mcp.text import clean, one_line

LARGEST = 64 * 1024 * 1024
"""Bytes of one frame, either way."""
_LONGEST_TEXT = 16 * 1024 * 1024
"""Characters of one that is JSON: three of them can become an object of sixty-four bytes."""
IDLE = "TIMEOUT"
"""fal's word for a connection that nothing came in on."""
_MOST_VALUES = 1_000_000
_MOST_DEPTH = 64
_LONGEST_REASON = 600


def packed(arguments: JsonMapping) -> bytes:
    """An input as it is sent.

    Raises:
        InvalidInput: it is not JSON, or too large.
    """
    # msgpack takes more than JSON; what a model's schema knows is JSON, and the ledger keeps it as such.
    as_json(arguments)
    try:
        frame = cast(bytes, cast(Any, msgpack).packb(dict(arguments)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"The input cannot be sent: {one_line(str(error), 200)}.") from error
    if len(frame) > LARGEST:
        raise InvalidInput(f"The input is {len(frame)} bytes; {LARGEST} are the most.", hint="Give files as URLs.")
    return frame


def read(frame: bytes | str) -> JsonObject | None:
    """What a frame says: an answer, or None where it is only news, such as how long something took.

    Raises:
        NotAuthorised: the token will not do.
        GenerationFailed: fal says that it failed; `error_type` is its code.
        ServiceFailed: the frame cannot be read, or holds too much.
    """
    value = _plain(_unpacked(frame), 0)
    if not is_object(value):
        # As everywhere: an output is an object, and what is none stands under this name.
        return {"output": value}
    answer = value
    if answer.get("type") == "x-fal-message":
        return None
    if answer.get("type") == "x-fal-error":
        raise _failure(answer)
    # A refusal of the connection itself comes in another form than the errors of the app behind it.
    if answer.get("status") == "error" and "error" in answer:
        raise _refusal(clean(str(answer["error"]), _LONGEST_REASON))
    return answer


def _failure(answer: JsonMapping) -> GenerationFailed:
    code = one_line(str(answer.get("error") or "UNKNOWN_ERROR"), 80)
    reason = clean(str(answer.get("reason") or ""), _LONGEST_REASON)
    return GenerationFailed(f"{code}: {reason}" if reason else code, error_type=code)


def _refusal(message: str) -> FalError:
    return NotAuthorised(f"fal said: {message}.") if message.casefold() == "unauthorized" else GenerationFailed(message)


def _unpacked(frame: bytes | str) -> Any:
    if isinstance(frame, str) and len(frame) > _LONGEST_TEXT:
        raise ServiceFailed(f"A text frame of fal's is longer than {_LONGEST_TEXT} characters.", retryable=False)
    try:
        return parsed(frame) if isinstance(frame, str) else _from_msgpack(frame)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        kind = "JSON" if isinstance(frame, str) else "msgpack"
        raise ServiceFailed(f"A frame of fal's cannot be read as {kind}.", retryable=False) from error


def _from_msgpack(frame: bytes) -> Any:
    left = _MOST_VALUES

    # One byte of a frame can become an object of sixty-four.
    def count(container: Any) -> Any:
        nonlocal left
        left -= len(container) + 1
        if left < 0:
            raise ValueError("too many values")
        return container

    limits = {"max_array_len": _MOST_VALUES, "max_map_len": _MOST_VALUES}
    hooks = {"ext_hook": _extension, "list_hook": count, "object_hook": count}
    return cast(Any, msgpack).unpackb(frame, timestamp=1, **hooks, **limits)


def _extension(code: int, content: bytes) -> bytes:
    return content


def masked(value: object, mask: Callable[[str], str]) -> Any:
    """An answer with every text in it as `mask` has it."""
    if isinstance(value, str):
        return mask(value)
    if is_object(value):
        return {mask(str(key)): masked(item, mask) for key, item in value.items()}
    return [masked(item, mask) for item in value] if is_list(value) else value


def _plain(value: object, depth: int) -> Any:
    """`value` as JSON would have it, but for bytes."""
    # Checked here because msgpack's own reader has no bound on it.
    if depth > _MOST_DEPTH:
        raise ServiceFailed(f"A frame of fal's is nested more than {_MOST_DEPTH} deep.", retryable=False)
    if is_object(value):
        items = value.items()
        return {_name(key): _plain(item, depth + 1) for key, item in items}
    if is_list(value):
        return [_plain(item, depth + 1) for item in value]
    return value


def _name(key: object) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
