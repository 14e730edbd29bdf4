"""One model's OpenAPI document: whose it is, what goes in, what comes out.

The input is found by the `$ref` of `POST /{id}`, never by its name: in 71 of fal's documents two components end in
`Input` (facts/fal-model-documents, item 6). Fact sheet §7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from fal_mcp.openapi.schema import MAX_CHARACTERS, Schema, UnusableSchema, bundle


@dataclass(frozen=True, slots=True)
class Document:
    """What one document says; schemas are bundled and normalised."""

    endpoint_id: str
    metadata: Mapping[str, Any]
    input_schema: Schema
    output_schema: Schema
    markers: Schema
    """The input's properties as fal wrote them, with the UI markers that tell which are files."""


class UnusableDocument(ValueError):
    """A document that no tool can be made from; the message is a sentence that says why."""


def read(document: Any) -> Document:
    """Read a model document.

    Raises:
        UnusableDocument: the reason, in one sentence. Nothing else is raised, whatever `document` is.
    """
    try:
        return _read(document)
    except UnusableSchema as error:
        raise UnusableDocument(str(error)) from error
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnusableDocument(f"The document lacks a part every model document has ({error!r:.80}).") from error


def _read(document: Any) -> Document:
    if not isinstance(document, dict):
        raise UnusableDocument("The document is not a JSON object.")
    whole = cast(Schema, document)
    if "error" in whole and "paths" not in whole:
        raise UnusableDocument("fal could not produce this model's document.")
    metadata: Schema = whole["info"]["x-fal-metadata"]
    endpoint_id: str = metadata["endpointId"]
    components: Schema = whole["components"]["schemas"]
    post = whole["paths"][f"/{endpoint_id}"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    schema = _input(bundle(body, components))
    return Document(
        endpoint_id=endpoint_id,
        metadata=metadata,
        input_schema=schema,
        output_schema=_output(whole["paths"], endpoint_id, components),
        markers=_markers(body, components),
    )


def _input(schema: Schema) -> Schema:
    if any(word in schema for word in ("anyOf", "oneOf", "allOf")):
        raise UnusableDocument("The input is a union at its root, which hosts refuse.")
    schema.setdefault("type", "object")
    if schema["type"] != "object":
        raise UnusableDocument(f"The input is of type {schema['type']!r}, not an object.")
    schema.setdefault("properties", {})
    # The input's own description is a docstring of the app; the tool has a description of its own.
    schema.pop("description", None)
    if len(str(schema)) > MAX_CHARACTERS:
        raise UnusableDocument(f"The input schema is larger than {MAX_CHARACTERS // 1024} KiB.")
    return schema


def _output(paths: Schema, endpoint_id: str, components: Schema) -> Schema:
    answer = paths[f"/{endpoint_id}/requests/{{request_id}}"]["get"]["responses"]["200"]
    return bundle(answer["content"]["application/json"]["schema"], components)


def _markers(body: Schema, components: Schema) -> Schema:
    for _ in range(5):
        reference = body.get("$ref")
        if not isinstance(reference, str):
            break
        body = components[reference.rsplit("/", 1)[-1]]
    return cast(Schema, body.get("properties", {}))
