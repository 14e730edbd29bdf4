"""Lists in pages: by cursor as most of the Platform host has them, by offset as a few. Fact F6.1."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.platform.request import Request
from fal_mcp.json_values import JsonObject

_DEFAULT_LIMIT = 50
_MOST = 1000


def by_cursor(fal: Emulator, request: Request, name: str, items: Sequence[Any]) -> JsonObject:
    """The page asked for, under `name`; an endless list begins again where it ends."""
    start, limit = _start(request.query.get("cursor")), min(request.query.get("limit", _DEFAULT_LIMIT), _MOST)
    if items and request.operation.operation_id in fal.endless:
        # A client that trusts `has_more` would read on for ever: this is what its bound is tried with.
        page, more = [items[number % len(items)] for number in range(start, start + limit)], True
    else:
        page, more = list(items[start : start + limit]), start + limit < len(items)
    return {name: page, "next_cursor": _cursor(start + limit) if more else None, "has_more": more}


def by_offset(request: Request, name: str, items: Sequence[Any]) -> JsonObject:
    """The page asked for, under `name`."""
    start: int = request.query.get("offset") or 0
    return {name: list(items[start : start + request.query["limit"]])}


def _cursor(start: int) -> str:
    return base64.b64encode(str(start).encode()).decode()


def _start(cursor: str | None) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True)) if cursor else 0
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"Unknown cursor {cursor!r}") from error
