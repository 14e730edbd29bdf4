"""JSON Schemas as fal writes them, made into ones that every host takes, and the check of a value against one.

fal's documents call themselves OpenAPI 3.0.4 and are written in 3.1 (facts/fal-model-documents, item 3): they are
read as JSON Schema 2020-12, and what is left of 3.0 is translated.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import jsonschema
import jsonschema.exceptions
import referencing

Schema = dict[str, Any]

MAX_DEPTH = 40
MAX_CHARACTERS = 256 * 1024

_COMPONENT = "#/components/schemas/"
_DEFINITION = "#/$defs/"
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "not", "contains", "propertyNames", "if", "then", "else"})
_LEFT_OUT = frozenset({"title", "examples", "example", "ui", "nullable", "discriminator", "xml", "externalDocs"})
"""Not needed to fill in an argument; a quarter of a document's size."""


class UnusableSchema(ValueError):
    """A schema that no tool can be made from; the message is a sentence that says why."""


def bundle(root: Any, components: Mapping[str, Any]) -> Schema:
    """The schema `root` with every component it needs under `$defs`, normalised.

    Raises:
        UnusableSchema: a reference leads nowhere or off the document, or the schema is too deep or too large.
    """
    if not isinstance(root, dict):
        raise UnusableSchema("The schema is not an object.")
    resolved = _follow(cast(Schema, root), components)
    schema = normalise(resolved)
    definitions: Schema = {}
    waiting = sorted(set(_names(schema)))
    while waiting:
        name = waiting.pop()
        if name in definitions:
            continue
        definitions[name] = normalise(_component(name, components))
        waiting.extend(set(_names(definitions[name])) - definitions.keys())
    if definitions:
        schema["$defs"] = {name: definitions[name] for name in sorted(definitions)}
    return schema


def normalise(schema: Any, depth: int = 0) -> Schema:
    """`schema` as plain 2020-12: ordered properties, single types, no UI keywords, references into `$defs`."""
    if depth > MAX_DEPTH:
        raise UnusableSchema(f"The schema is nested more than {MAX_DEPTH} levels deep.")
    if schema is False:
        return {"not": {}}
    if not isinstance(schema, dict):
        return {}
    source = cast(Schema, schema)
    result: Schema = {}
    for keyword, value in source.items():
        if _is_kept(keyword, value):
            result[keyword] = _inside(keyword, value, source, depth)
    if len(result.get("allOf", ())) == 1:
        # OpenAPI 3.0's way to say something beside a reference.
        result = {**result.pop("allOf")[0], **result}
    return _single_types(_bounds(_typed_items(result)), nullable=source.get("nullable") is True)


def check(schema: Schema) -> None:
    """Refuse a schema that is not valid 2020-12, so that it never reaches a client.

    Raises:
        UnusableSchema: with the first thing wrong.
    """
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        raise UnusableSchema(f"The schema is not valid at {error.json_path}: {error.message[:200]}") from error


def validator(schema: Schema) -> jsonschema.Draft202012Validator:
    """A validator that resolves references inside `schema` and nowhere else."""
    # The default registry would fetch remote references over the network (facts/mcp, fact 14).
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry())


def resolve(schema: Schema, root: Schema) -> Schema:
    """`schema`, or what its local `$ref` stands for."""
    for _ in range(MAX_DEPTH):
        name = _name(schema.get("$ref"), _DEFINITION)
        if name is None:
            return schema
        schema = {**root.get("$defs", {}).get(name, {}), **{k: v for k, v in schema.items() if k != "$ref"}}
    return {}


def branches(schema: Schema, root: Schema) -> Iterator[Schema]:
    """`schema` and each alternative it allows, references resolved; `null` left out."""
    schema = resolve(schema, root)
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not options:
        if schema.get("type") != "null":
            yield schema
        return
    for option in options:
        yield from branches(option, root)


def _follow(schema: Schema, components: Mapping[str, Any]) -> Schema:
    for _ in range(MAX_DEPTH):
        name = _name(schema.get("$ref"), _COMPONENT)
        if name is None:
            return schema
        schema = _component(name, components)
    raise UnusableSchema("The schema refers to itself and to nothing else.")


def _component(name: str, components: Mapping[str, Any]) -> Schema:
    found = components.get(name)
    if not isinstance(found, dict):
        raise UnusableSchema(f"The document refers to a component {name!r} that it does not have.")
    return cast(Schema, found)


def _name(reference: Any, prefix: str) -> str | None:
    if reference is None:
        return None
    if not isinstance(reference, str) or not reference.startswith(prefix):
        raise UnusableSchema(f"The reference {str(reference)[:100]!r} leads off the document.")
    return reference.removeprefix(prefix)


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for keyword, value in cast(Schema, schema).items():
            if keyword == "$ref" and isinstance(value, str):
                yield value.removeprefix(_DEFINITION)
            elif keyword not in {"enum", "const", "default"}:
                yield from _names(value)
    elif isinstance(schema, list):
        for item in cast(list[Any], schema):
            yield from _names(item)


def _is_kept(keyword: str, value: Any) -> bool:
    # A number, pattern or name may be called "title"; only the keyword of that name goes, and it is a string.
    # Of fal's own keywords `x-fal` stays: it has the bounds of files.
    if (keyword.startswith(("x-", "_fal")) and keyword != "x-fal") or keyword in _LEFT_OUT:
        return False
    # OpenAPI's `format: binary` says nothing to a JSON Schema reader.
    return not (keyword == "format" and value == "binary")


def _inside(keyword: str, value: Any, source: Schema, depth: int) -> Any:
    if keyword == "$ref":
        return _DEFINITION + (_name(value, _COMPONENT) or "")
    if keyword in _SCHEMA_MAPS and isinstance(value, dict):
        named = cast(Schema, value)
        names = _ordered(named, source) if keyword == "properties" else list(named)
        return {name: normalise(named[name], depth + 1) for name in names}
    if keyword in _SCHEMA_LISTS and isinstance(value, list):
        return [normalise(item, depth + 1) for item in cast(list[Any], value)]
    if keyword in _SCHEMAS:
        return normalise(value, depth + 1)
    if keyword == "additionalProperties" and isinstance(value, dict):
        return normalise(value, depth + 1)
    if keyword == "description" and isinstance(value, str):
        return " ".join(value.split())
    return value


def _ordered(properties: Schema, schema: Schema) -> list[str]:
    order = schema.get("x-fal-order-properties")
    named = [str(name) for name in cast(list[Any], order) if name in properties] if isinstance(order, list) else []
    return list(dict.fromkeys([*named, *properties]))


def _typed_items(schema: Schema) -> Schema:
    # Gemini refuses an array that does not say what it holds (facts/mcp §5.3).
    if schema.get("type") == "array" and "items" not in schema and "prefixItems" not in schema:
        schema["items"] = {}
    return schema


def _bounds(schema: Schema) -> Schema:
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        flag = schema.get(exclusive)
        if isinstance(flag, bool):
            del schema[exclusive]
            if flag and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)
    return schema


def _single_types(schema: Schema, *, nullable: bool) -> Schema:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        names = cast(list[str], kinds)
        nullable = nullable or "null" in names
        rest = [name for name in names if name != "null"]
        if len(rest) != 1:
            about = {k: schema.pop(k) for k in ("description", "default") if k in schema}
            return {**about, "anyOf": [{**schema, "type": name} for name in [*rest, *(["null"] if nullable else [])]]}
        schema["type"] = rest[0]
    return _or_null(schema) if nullable and schema.get("type") != "null" else schema


def _or_null(schema: Schema) -> Schema:
    options = schema.get("anyOf")
    if isinstance(options, list):
        known = cast(list[Schema], options)
        return schema if {"type": "null"} in known else {**schema, "anyOf": [*known, {"type": "null"}]}
    about = {k: schema.pop(k) for k in ("description", "default") if k in schema}
    return {**about, "anyOf": [schema, {"type": "null"}]}
