"""What a host's line holds: messages for the SDK, or what is to be answered because it holds none.

The SDK drops a line that it cannot read without a word, and its host waits until it gives up; here each is answered,
and written down in the log.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from fal_mcp.json_values import NotJson, dumped, is_list, object_of, parsed, sound
from fal_mcp.server.wire import LONGEST_LINE, TooLong

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
BATCHES = "2025-03-26"
"""The one revision that has them."""
_ID = re.compile(rb'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}")')

logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to what is no message: JSON, without its line end."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages that came in one array, to be answered by one array; `refusals` are answers already."""

    messages: tuple[SessionMessage, ...]
    refusals: tuple[bytes, ...]


def read(line: bytes | TooLong, version: str = "") -> SessionMessage | Refusal | Batch | None:
    """What a line holds; None where it is no message and wants no answer. `version` is the connection's revision."""
    if isinstance(line, TooLong):
        return _too_long(line)
    # A broken character is a fault within one argument, and no reason to answer nothing.
    text = line.decode("utf-8", "replace")
    try:
        message = types.jsonrpc_message_adapter.validate_json(text, by_name=False)
        # To the SDK a request whose id is none that it knows is a notification, and the host waits for ever.
        if not isinstance(message, types.JSONRPCNotification) or '"id"' not in text:
            return SessionMessage(message)
    except ValidationError:
        pass
    try:
        value = parsed(text)
    except NotJson as error:
        return _refusal(PARSE_ERROR, f"This line cannot be read as JSON: {error}", None)
    if is_list(value):
        return _batch(value, version)
    return _message(value)


def _batch(items: list[Any], version: str) -> Refusal | Batch:
    if version != BATCHES:
        return _refusal(INVALID_REQUEST, f"Only revision {BATCHES} has batches; send one message a line.", None)
    if not items:
        return _refusal(INVALID_REQUEST, "The batch is empty.", None)
    read_items = [_message(item) for item in items]
    return Batch(
        tuple(item for item in read_items if isinstance(item, SessionMessage)),
        tuple(item.answer for item in read_items if isinstance(item, Refusal)),
    )


def _message(value: object) -> SessionMessage | Refusal | None:
    fields = object_of(value)
    # It would be answered under an id that is not the one that was asked with.
    if isinstance(identity := fields.get("id"), str) and sound(identity) != identity:
        return _refusal(INVALID_REQUEST, "The id of this message has half a character in it.", None)
    try:
        # A lone half of a character is no JSON to the SDK's reader, yet Python has it: the call is then refused for
        # the argument that it stands in, where a model reads of it.
        message = types.jsonrpc_message_adapter.validate_python(value, by_name=False)
        if not isinstance(message, types.JSONRPCNotification) or "id" not in fields:
            return SessionMessage(message)
    except ValidationError:
        pass
    is_one = isinstance(identity, int | float | str) and not isinstance(identity, bool)
    if "method" not in fields and ("result" in fields or "error" in fields) and is_one:
        return _no_answer(identity)
    if ("id" not in fields and "method" in fields) or "result" in fields or "error" in fields:
        logger.warning("A message from the host was dropped: it is not what JSON-RPC calls one.")
        return None
    return _refusal(INVALID_REQUEST, "This is not a JSON-RPC 2.0 message.", identity if is_one else None)


def _no_answer(identity: Any) -> SessionMessage | None:
    """An answer to a question of ours that is none, as the error that it is: a call waits for it."""
    logger.warning("An answer from the host is not what JSON-RPC calls one, and counts as an error.")
    error = types.ErrorData(code=INVALID_REQUEST, message="The host's answer is not one of JSON-RPC 2.0.")
    try:
        return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=identity, error=error))
    # Of an id that no question of ours has.
    except ValidationError:
        return None


def _too_long(line: TooLong) -> Refusal:
    most = LONGEST_LINE // 1024**2
    # Before the parameters: an argument may be called id as well.
    identity = _ID.search(line.head.partition(b'"params"')[0])
    return _refusal(
        INVALID_REQUEST,
        f"This line has {line.length} bytes; at most {most} MiB are read. Give a file as a path or a URL instead.",
        parsed(identity[1]) if identity else None,
    )


def _refusal(code: int, message: str, identity: object) -> Refusal:
    # Without the line itself, which may hold a prompt.
    logger.warning("A line from the host was refused with %d: %s", code, message)
    error = {"code": code, "message": message}
    return Refusal(dumped({"jsonrpc": "2.0", "id": identity, "error": error}).encode())


def written(message: types.JSONRPCMessage) -> bytes:
    """A message as the SDK writes it; half characters, which its writer refuses, as U+FFFD."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    except ValueError:
        return dumped(message.model_dump(by_alias=True, exclude_unset=True)).encode()
