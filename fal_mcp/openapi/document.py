"""One model's OpenAPI document: whose it is, what goes in, what comes out.

The input is found by the `$ref` of `POST /{id}`, never by its name: in 71 of fal's documents two components end in
`Input`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from fal_mcp.json_values import JsonMapping, object_of
from fal_mcp.openapi import shown
from fal_mcp.openapi.normalise import bundle
from fal_mcp.openapi.schema import MAX_CHARACTERS, Schema, UnusableSchema
from fal_mcp.openapi.validate import check
from fal_mcp.text import one_line


@dataclass(frozen=True, slots=True)
class Document:
    """What one document says; schemas are bundled and normalised."""

    endpoint_id: str
    metadata: JsonMapping
    input_schema: Schema
    output_schema: Schema
    markers: Schema
    """The input's properties as fal wrote them, with the UI markers that tell which are files."""
    shown: Mapping[shown.Path, tuple[str, ...]]
    """The texts that it shows for a place in the arguments."""
    oddities: tuple[str, ...] = ()
    """What in it could not be taken as it is, a sentence each."""


class UnusableDocument(ValueError):
    """A document that no tool can be made from; the message is a sentence that says why."""


def read(document: object) -> Document:
    """Read a model document.

    Raises:
        UnusableDocument: the reason, in one sentence. Nothing else is raised, whatever `document` is.
    """
    try:
        return _read(document)
    except UnusableSchema as error:
        raise UnusableDocument(str(error)) from error


def _read(document: object) -> Document:
    if not isinstance(document, dict):
        raise UnusableDocument("The document is not a JSON object.")
    whole = object_of(cast(object, document))
    if "error" in whole and "paths" not in whole:
        raise UnusableDocument("fal could not produce this model's document.")
    metadata = object_of(object_of(whole.get("info")).get("x-fal-metadata"))
    endpoint_id = _named(metadata.get("endpointId"))
    components = object_of(object_of(whole.get("components")).get("schemas"))
    body = _at(whole, "paths", f"/{endpoint_id}", "post", "requestBody", "content", "application/json", "schema")
    oddities: list[str] = []
    schema = _input(bundle(body, components, oddities), oddities)
    examples = shown.texts(body, components)
    shown.let_in(schema, examples)
    return Document(
        endpoint_id=endpoint_id,
        metadata=metadata,
        input_schema=schema,
        output_schema=_output(whole, endpoint_id, components, oddities),
        markers=_markers(object_of(body), components),
        shown=examples,
        oddities=tuple(oddities),
    )


def _named(endpoint_id: object) -> str:
    if not isinstance(endpoint_id, str) or not endpoint_id:
        raise UnusableDocument("The document does not say which model it describes.")
    return endpoint_id


def _at(whole: Schema, *names: str) -> Any:
    part: object = whole
    for name in names:
        part = object_of(part).get(name)
    if part is None:
        raise UnusableDocument(f"The document lacks a part every model document has: {one_line(names[1], 200)}.")
    return part


def _input(schema: Schema, oddities: list[str]) -> Schema:
    if not object_of(schema.get("properties")) and any(word in schema for word in ("anyOf", "oneOf", "allOf", "not")):
        raise UnusableDocument("The input is a union at its root, which hosts refuse.")
    schema.setdefault("type", "object")
    if schema["type"] != "object":
        raise UnusableDocument(f"The input is of type {schema['type']!r}, not an object.")
    schema.setdefault("properties", {})
    # The input's own description is a docstring of the app; the tool has a description of its own.
    schema.pop("description", None)
    if len(json.dumps(schema)) > MAX_CHARACTERS:
        raise UnusableDocument(f"The input schema is larger than {MAX_CHARACTERS // 1024} KiB.")
    return _checked(schema, oddities)


def _checked(schema: Schema, oddities: list[str]) -> Schema:
    """`schema` as JSON Schema 2020-12 has it. A property that is not is left open, and costs nothing else."""
    try:
        check(schema)
        return schema
    except UnusableSchema:
        pass
    for name, part in schema["properties"].items():
        try:
            check({**part, "$defs": schema.get("$defs", {})})
        except UnusableSchema as error:
            schema["properties"][name] = {}
            oddities.append(f"$.{name}: {error}")
    check(schema)
    return schema


def _output(whole: Schema, endpoint_id: str, components: Schema, oddities: list[str]) -> Schema:
    """What comes out, as far as it is described: it is shown and nothing is held against it."""
    steps = (f"/{endpoint_id}/requests/{{request_id}}", "get", "responses", "200", "content", "application/json")
    odd: list[str] = []
    try:
        schema = bundle(_at(whole, "paths", *steps, "schema"), components, odd)
    except (UnusableSchema, UnusableDocument) as error:
        schema, odd = {}, [str(error)]
    if len(json.dumps(schema)) > MAX_CHARACTERS:
        schema, odd = {}, ["It is too large."]
    oddities.extend(f"In what comes out: {sentence}" for sentence in odd[:3])
    return schema


def _markers(body: Schema, components: Schema) -> Schema:
    for _ in range(5):
        reference = body.get("$ref")
        if not isinstance(reference, str):
            break
        body = object_of(components.get(reference.rsplit("/", 1)[-1]))
    return object_of(body.get("properties"))
