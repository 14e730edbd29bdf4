"""The one door of `jsonschema`: its meta-schema and its validator, with two keywords as fal reads them, and with
references that are not followed without end."""

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

_MOST_TIMES = 20
_MOST_TIMES_PLAIN = 200
"""Every 7 in a list is the same 7, and each has a fault of its own to be told."""

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


class _Held(jsonschema.FormatChecker):
    """What came of holding values against definitions, in one run of a validator.

    Two alternatives that lead to the same definition have a value held against it twice, and so at each step: thirty
    steps are a billion. What was held often enough is known, and is not gone through again.
    """

    # It takes the place of the checker of formats, which are no rule here: that is the one thing of ours which a
    # validator hands on to those that it makes for the parts of its schema.
    def __init__(self) -> None:
        super().__init__(())
        self._times: dict[tuple[str, int], int] = {}
        self._misfits: set[tuple[str, int]] = set()

    def check(self, instance: object, format: str) -> None:
        """Any text is of any format."""

    def follow(self, validator: object, reference: str, instance: object, schema: object) -> Iterator[Problem]:
        """Hold a value against what `reference` stands for."""
        # The value as a whole is kept by who has it checked, so that no other part of it gets the same number.
        key = (reference, id(instance))
        times = self._times[key] = self._times.get(key, 0) + 1
        if times > (_MOST_TIMES if isinstance(instance, dict | list) else _MOST_TIMES_PLAIN):
            if key in self._misfits:
                yield Problem("it does not fit")
            return
        for problem in _follow(validator, reference, instance, schema):
            # Before it is handed on: who only asks whether there is a problem does not come back.
            self._misfits.add(key)
            yield problem


def _reference(validator: Any, reference: str, instance: object, schema: object) -> Iterator[Problem]:
    yield from validator.format_checker.follow(validator, reference, instance, schema)


_extended: Any = jsonschema.validators
_follow: Any = jsonschema.Draft202012Validator.VALIDATORS["$ref"]
_Validator: Any = _extended.extend(
    jsonschema.Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of, "$ref": _reference}
)


def validator(schema: Schema) -> Any:
    """What holds one value against this schema."""
    # The default registry would fetch references off the document over the network.
    registry: object = cast(Any, referencing.Registry)()
    return _Validator(schema, registry=registry, format_checker=_Held())
