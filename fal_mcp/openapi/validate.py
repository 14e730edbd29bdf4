"""A schema held against JSON Schema 2020-12, and a value held against a schema. The one door of `jsonschema`."""

import math
from collections.abc import Iterator
from typing import Any, cast

import jsonschema
import jsonschema.exceptions
import jsonschema.validators
import referencing

from fal_mcp.json_values import is_list, is_object, list_of, number_of, object_of
from fal_mcp.openapi import patterns
from fal_mcp.openapi.keywords import READERS, SCHEMA_LISTS, SCHEMAS
from fal_mcp.openapi.sayable import is_sayable
from fal_mcp.openapi.schema import DEFINITION, MAX_DEPTH, Schema, UnusableSchema

_ROUNDING = 1e-9

Problem = jsonschema.exceptions.ValidationError


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
    try:
        # Patterns are of any dialect: which can be read was decided when the schema was.
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=jsonschema.FormatChecker(()))
    except jsonschema.exceptions.SchemaError as error:
        raise UnusableSchema(f"The schema is not valid at {error.json_path}: {error.message[:200]}") from error
    except RecursionError as error:
        raise UnusableSchema("The schema is nested too deep.") from error


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


def problems(schema: Schema, value: object) -> Iterator[Problem]:
    """Every problem of a value; nothing in it is unsayable."""
    return _validator(schema).iter_errors(value)


def fits(schema: Schema, value: object) -> bool:
    """Whether a value is what a schema asks for."""
    return is_sayable(value) and bool(_validator(schema).is_valid(value))


def _pattern(validator: object, pattern: object, instance: object, schema: object) -> Iterator[Problem]:
    if isinstance(instance, str) and isinstance(pattern, str) and not patterns.matches(pattern, instance):
        yield Problem("it does not match")


def _multiple_of(validator: object, step: object, instance: object, schema: object) -> Iterator[Problem]:
    if isinstance(instance, bool) or not isinstance(instance, int | float):
        return
    if isinstance(instance, int) and isinstance(step, int):
        is_multiple = instance % step == 0
    else:
        # 0.15 / 0.05 is not quite 3, and fal's own check lets it pass.
        ratio = (number_of(instance) or 0.0) / (number_of(step) or 1.0)
        is_multiple = not math.isfinite(ratio) or abs(ratio - round(ratio)) <= _ROUNDING * max(1.0, abs(ratio))
    if not is_multiple:
        yield Problem("it is not a multiple")


_extended: Any = jsonschema.validators
_Validator: Any = _extended.extend(jsonschema.Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of})


def _validator(schema: Schema) -> Any:
    # The default registry would fetch references off the document over the network.
    registry: object = cast(Any, referencing.Registry)()
    return _Validator(schema, registry=registry)
