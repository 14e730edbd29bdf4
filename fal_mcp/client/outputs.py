"""A model's output, from the bytes that fal gave: an object in any case, so that nothing that was paid for is lost.

What is no object stands under `output`. What is no JSON, or too large to be read as such, stands under `_raw`, with why
in `_raw_reason`: a text as itself, other bytes as a data URI under `_raw.url`, and what is too large to be fetched at
all as where it is and how to fetch it.
"""

import base64
from collections.abc import Iterable
from typing import Any

import anyio.to_thread

from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonObject, NotJson, is_object, list_of, object_of, parsed
from fal_mcp.text import one_line, readable_size

RAW = "_raw"
REASON = "_raw_reason"
_LARGE = 1024 * 1024
"""Bytes from which on an answer is read in a thread, so that no other call waits for it."""
_DEEPEST = 200
_MOST_VALUES = 4_000_000
"""Values of one answer. A byte or two can become an object of sixty-four."""


async def read_output(body: bytes) -> JsonObject:
    """As `output_of`, a large answer in a thread.

    Raises:
        ServiceFailed: it is not JSON.
    """
    return await anyio.to_thread.run_sync(output_of, body) if len(body) > _LARGE else output_of(body)


def output_of(body: bytes) -> JsonObject:
    """A model's answer as an object; one that is too deep or too full to be handled stays text.

    Raises:
        ServiceFailed: it is not JSON.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    # Counted in the bytes, because once it is read the memory is taken.
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        return raw_output(body, "application/json", f"It holds more than {_MOST_VALUES} values.")
    try:
        value = parsed(body)
    except NotJson as error:
        if "too deep" in str(error):
            return {"output": body.decode("utf-8", "replace")}
        raise ServiceFailed("fal's answer is not JSON.") from error
    # Python reads it, and then much of what is done with it ends its stack.
    if _is_too_deep(body, value):
        return {"output": body.decode("utf-8", "replace")}
    return object_of(value) if is_object(value) else {"output": value}


def raw_output(body: bytes, content_type: str, reason: str) -> JsonObject:
    """An answer that could not be read, as it is: nothing of what was paid for is thrown away."""
    kind = one_line(content_type.partition(";")[0], 100).casefold() or "application/octet-stream"
    try:
        return {RAW: body.decode(), REASON: reason}
    except UnicodeDecodeError:
        # It was said to be JSON and is not even text: what it is called no longer says what it is.
        kind = "application/octet-stream" if kind == "application/json" else kind
        uri = f"data:{kind};base64,{base64.b64encode(body).decode()}"
        return {RAW: {"url": uri, "content_type": kind}, REASON: reason}


def too_large_output(url: str, most: int) -> JsonObject:
    """What stands for an output that is too large to be fetched into memory: where it is, and how to get it."""
    how = f'curl --compressed -o result.json -H "Authorization: Key $FAL_KEY" "{url}"'
    reason = f"The result is larger than {readable_size(most)} and was not fetched. It is at fal; `how` fetches it."
    return {RAW: {"response_url": url, "how": how}, REASON: reason}


def _is_too_deep(body: bytes, value: object) -> bool:
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[Any]:
    return object_of(value).values() if is_object(value) else list_of(value)
