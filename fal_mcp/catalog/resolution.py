"""What an id may stand for before anybody is asked: what is typed, read as an endpoint id, and an endpoint of which
nothing is known but its id. Pure.
"""

import difflib
import re
from collections.abc import Iterable

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.json_values import JsonObject

_ADDRESSES = ("https://fal.ai/models/", "https://fal.run/", "https://queue.fal.run/")
_ENDPOINT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,11}")
_LONGEST = 200


def plain_id(typed: str) -> str:
    """What was typed without the address it may stand in."""
    wanted = typed.strip()
    for address in _ADDRESSES:
        wanted = wanted.removeprefix(address)
    return wanted.strip("/")


def is_id(text: str) -> bool:
    """Whether fal could have an endpoint of this id."""
    return len(text) <= _LONGEST and _ENDPOINT_ID.fullmatch(text) is not None


def unchecked(endpoint_id: str, reason: str) -> Endpoint:
    """An endpoint that is run with whatever it is given; `reason` is a sentence without its end."""
    schema: JsonObject = {"type": "object", "properties": {}, "additionalProperties": True}
    return Endpoint(
        endpoint_id=endpoint_id,
        title=endpoint_id,
        category="unknown",
        description="",
        input_schema=schema,
        output_schema={},
        unchecked=f"its arguments were not checked here before they were sent: {reason}",
    )


def nearest(wanted: str, ids: Iterable[str]) -> list[str]:
    """At most five ids that `wanted` may have meant, the nearest first."""
    return difflib.get_close_matches(wanted[:_LONGEST], list(ids), n=5, cutoff=0.5)
