"""A model document and its catalog item, read into an `Endpoint`."""

import re
from collections.abc import Mapping
from typing import Any

from fal_mcp.catalog import file_arguments
from fal_mcp.catalog.endpoint import Endpoint, Price
from fal_mcp.openapi import document
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.text import clean, one_line

_LONGEST_DESCRIPTION = 600
_ENDPOINT_ID = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")
_PROPERTY_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def endpoint(source: Any, item: Mapping[str, Any] | None = None) -> Endpoint:
    """The endpoint that the model document `source` describes; `item` is its line of `GET /v1/models`.

    Raises:
        UnusableDocument: the reason, in one sentence.
    """
    read = document.read(source)
    _check_names(read.endpoint_id, read.input_schema["properties"])
    metadata = dict((item or {}).get("metadata") or {})
    about = str(metadata.get("description") or read.metadata.get("about") or "")
    minutes = metadata.get("duration_estimate")
    return Endpoint(
        endpoint_id=read.endpoint_id,
        title=one_line(str(metadata.get("display_name") or _title(read.endpoint_id)), 80),
        category=one_line(str(metadata.get("category") or read.metadata.get("category") or "unknown"), 40),
        description=clean(about, _LONGEST_DESCRIPTION),
        input_schema=read.input_schema,
        output_schema=read.output_schema,
        files=file_arguments.find(read.input_schema, read.markers),
        price=_price((item or {}).get("price")),
        typical_seconds=minutes * 60 if isinstance(minutes, (int, float)) and minutes > 0 else None,
        metadata=metadata,
    )


def _check_names(endpoint_id: Any, properties: Mapping[str, Any]) -> None:
    if not isinstance(endpoint_id, str) or not _ENDPOINT_ID.fullmatch(endpoint_id) or len(endpoint_id) > 200:
        raise UnusableDocument(f"The endpoint id {str(endpoint_id)[:80]!r} is not one fal could have.")
    for name in properties:
        if not _PROPERTY_NAME.fullmatch(name):
            raise UnusableDocument(f"The argument name {name[:80]!r} is one that hosts refuse.")


def _title(endpoint_id: str) -> str:
    return endpoint_id.removeprefix("fal-ai/").replace("/", " ").replace("-", " ")


def _price(item: Any) -> Price | None:
    match item:
        case {"unit_price": int() | float() as amount, "unit": str() as unit}:
            return Price(float(amount), one_line(unit, 40), str(item.get("currency", "USD"))[:3])
        case _:
            return None
