"""A schema held against JSON Schema 2020-12, and a value held against a schema."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fal_mcp.json_values import is_list, is_object, list_of, object_of
from fal_mcp.openapi.keywords import READERS, SCHEMA_LISTS, SCHEMAS
from fal_mcp.openapi.sayable import is_sayable
from fal_mcp.openapi.schema import DEFINITION, MAX_DEPTH, Schema

# 3 MB: it comes in with the first call, and few lists need it.
if TYPE_CHECKING:
    from fal_mcp.openapi.json_schema import Problem


def check(schema: Schema) -> None:
    """Refuse a schema that is not valid 2020-12, so that it never reaches a client.

    Raises:
        UnusableSchema: with the first thing wrong.
    """
    if not _is_plain(schema, 0):
        check_in_full(schema)


def check_in_full(schema: Schema) -> None:
    """As `check`, by the meta-schema and nothing else.

    Raises:
        UnusableSchema: with the first thing wrong.
    """
    from fal_mcp.openapi import json_schema

    json_schema.check(schema)


def _is_plain(schema: object, depth: int) -> bool:
    """Whether a schema is made of the keywords that are read here, each as it is read: then it is valid.

    The meta-schema says the same of it, and takes four milliseconds a model: three seconds over a whole catalog.
    """
    if not is_object(schema) or depth > 2 * MAX_DEPTH:
        return False
    return all(_is_plain_keyword(name, value, depth + 1) for name, value in object_of(schema).items())


def _is_plain_keyword(name: str, value: object, depth: int) -> bool:
    if name in READERS:
        # The old flags of exclusive bounds are read as they are, and are no valid 2020-12.
        return READERS[name](value) == value and not (name.startswith("exclusive") and isinstance(value, bool))
    if name in ("properties", "$defs"):
        return is_object(value) and all(_is_plain(part, depth) for part in object_of(value).values())
    if name in SCHEMA_LISTS:
        return is_list(value) and bool(value) and all(_is_plain(part, depth) for part in list_of(value))
    if name == "$ref":
        return isinstance(value, str) and value.startswith(DEFINITION)
    if name == "additionalProperties" and isinstance(value, bool):
        return True
    return name in SCHEMAS and _is_plain(value, depth)


def problems(schema: Schema, value: object) -> "Iterator[Problem]":
    """Every problem of a value; nothing in it is unsayable."""
    from fal_mcp.openapi import json_schema

    return json_schema.validator(schema).iter_errors(value)


def fits(schema: Schema, value: object) -> bool:
    """Whether a value is what a schema asks for."""
    from fal_mcp.openapi import json_schema

    return is_sayable(value) and bool(json_schema.validator(schema).is_valid(value))
