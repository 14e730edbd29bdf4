"""A model document and its catalog item, read into an `Endpoint`."""

import re

from fal_mcp.catalog import file_arguments, price
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.json_values import JsonMapping, number_of, object_of
from fal_mcp.openapi import document
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.openapi.schema import Schema
from fal_mcp.text import clean, one_line

_LONGEST_DESCRIPTION = 600
_MOST_MINUTES = 100_000
_ENDPOINT_ID = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+")
_PROPERTY_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def endpoint(source: object, item: JsonMapping | None = None) -> Endpoint:
    """The endpoint that the model document `source` describes; `item` is its line of `GET /v1/models`.

    Raises:
        UnusableDocument: the reason, in one sentence.
    """
    read = document.read(source)
    # The id becomes a part of addresses and of a tool's name: it is looked at before anything is made of it.
    _check_id(read.endpoint_id)
    schema, unnamed = _with_names_hosts_take(read.input_schema)
    item = object_of(item)
    metadata = object_of(item.get("metadata"))
    # fal's list first: the document's own text is often missing, another model's, or a comment out of its code.
    about = str(metadata.get("description") or read.metadata.get("about") or "")
    # fal gives it in minutes.
    minutes = number_of(metadata.get("duration_estimate"))
    return Endpoint(
        endpoint_id=read.endpoint_id,
        title=one_line(str(metadata.get("display_name") or _title(read.endpoint_id)), 80),
        category=one_line(str(metadata.get("category") or read.metadata.get("category") or "unknown"), 40),
        description=clean(about, _LONGEST_DESCRIPTION),
        input_schema=schema,
        output_schema=read.output_schema,
        files=file_arguments.find(schema, read.markers, read.shown),
        price=price.read(item.get("price")),
        typical_seconds=minutes * 60 if minutes is not None and 0 < minutes < _MOST_MINUTES else None,
        metadata=dict(metadata),
        oddities=(*read.oddities, *unnamed),
    )


def _check_id(endpoint_id: str) -> None:
    if not _ENDPOINT_ID.fullmatch(endpoint_id) or len(endpoint_id) > 200:
        raise UnusableDocument(f"The endpoint id {one_line(endpoint_id[:200], 80)!r} is not one fal could have.")


def _with_names_hosts_take(schema: Schema) -> tuple[Schema, list[str]]:
    """`schema` without the arguments whose names hosts refuse, and a sentence on each; one that is needed costs all."""
    odd = [name for name in schema["properties"] if not _PROPERTY_NAME.fullmatch(name)]
    for name in odd:
        if name in schema.get("required", ()):
            # Without it every call would be refused; under another name fal would not know it.
            raise UnusableDocument(f"The argument name {one_line(name[:200], 80)!r} is one that hosts refuse.")
    if odd:
        known = {name: part for name, part in schema["properties"].items() if name not in odd}
        schema = {**schema, "properties": known}
    return schema, [f"$ leaves out {one_line(name[:200], 80)!r}, a name that hosts refuse." for name in odd]


def _title(endpoint_id: str) -> str:
    return endpoint_id.removeprefix("fal-ai/").replace("/", " ").replace("-", " ")
