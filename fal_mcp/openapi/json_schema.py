"""The one door of `jsonschema`: its meta-schema and its validator, with two keywords as fal reads them."""

import math
from collections.abc import Iterator
from typing import Any, cast

import jsonschema
import jsonschema.exceptions
import jsonschema.validators
import referencing

from fal_mcp.json_values import number_of
from fal_mcp.openapi import patterns
from fal_mcp.openapi.schema import Schema, UnusableSchema

_ROUNDING = 1e-9

Problem = jsonschema.exceptions.ValidationError


def check(schema: Schema) -> None:
    """Refuse a schema that is not valid 2020-12.

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


def validator(schema: Schema) -> Any:
    """What holds values against this schema."""
    # The default registry would fetch references off the document over the network.
    registry: object = cast(Any, referencing.Registry)()
    return _Validator(schema, registry=registry)
