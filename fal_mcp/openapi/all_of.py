"""Several schemas that hold at once, as one: what JSON Schema's `allOf` means.

What two of them say of the same thing is narrowed to what fits both. What cannot be said in one place stays in
`allOf`, so that nothing is lost.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from fal_mcp.openapi.circles import parts
from fal_mcp.openapi.schema import Schema

Take = Callable[[Iterable[object]], None]
"""Told of what is gone through and of what is written once more, a thing at a time; it raises where that is too
much."""

NOTHING: Schema = {"not": {}}
"""Fits no value."""
ANNOTATIONS = frozenset({"description", "default", "deprecated", "x-fal", "limit_description", "contentMediaType"})
"""What narrows nothing: the one said last, beside the reference, is meant."""

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def both(first: Schema, second: Schema, take: Take) -> Schema:
    """What fits `first` and `second`; where both annotate, `second` is heard."""
    result: Schema = {}
    left_over: Schema = {}
    for keyword in dict.fromkeys([*first, *second]):
        # Together, further down: what one schema says of all other names holds for the names of the other one.
        if keyword in ("properties", "additionalProperties"):
            continue
        if keyword not in first or keyword not in second or first[keyword] == second[keyword]:
            result[keyword] = second[keyword] if keyword in second else first[keyword]
        elif keyword in ANNOTATIONS:
            result[keyword] = second[keyword]
        elif keyword == "items":
            result[keyword] = both(first[keyword], second[keyword], take)
        elif keyword in _NARROWED:
            result[keyword] = _NARROWED[keyword](first[keyword], second[keyword])
        else:
            result[keyword] = first[keyword]
            left_over[keyword] = second[keyword]
    result |= _members(first, second, take)
    # Two patterns, say: each has to match, and there is no one pattern for both.
    if left_over:
        result["allOf"] = [*result.get("allOf", ()), left_over]
    # None is how the narrowing says that nothing is left, such as of two types that exclude one another.
    return NOTHING if None in (result.get("type", 0), result.get("enum", 0)) else result


def _members(first: Schema, second: Schema, take: Take) -> Schema:
    """The properties of both. One that a schema does not name falls under what that says of all others."""
    names = list(dict.fromkeys([*first.get("properties", ()), *second.get("properties", ())]))
    take(names)
    of_names = {name: _member(name, first, second, take) for name in names}
    members: Schema = {}
    if names:
        members["properties"] = {name: part for name, part in of_names.items() if part is not None}
    others = [schema["additionalProperties"] for schema in (first, second) if "additionalProperties" in schema]
    if others:
        members["additionalProperties"] = _others(others, take)
    return members


def _member(name: str, first: Schema, second: Schema, take: Take) -> Schema | None:
    said: list[Any] = [s.get("properties", {}).get(name, s.get("additionalProperties", True)) for s in (first, second)]
    if False in said:
        return None
    for schema in (first, second):
        # What is said of all other names is written out once more for each of them, with all there is in it.
        if name not in schema.get("properties", {}):
            take(parts(schema.get("additionalProperties")))
    known: list[Schema] = [part for part in said if isinstance(part, dict)]
    return both(known[0], known[1], take) if len(known) == 2 else known[0]


def _others(said: list[Any], take: Take) -> Any:
    if False in said:
        return False
    known: list[Schema] = [part for part in said if isinstance(part, dict)]
    return both(known[0], known[1], take) if len(known) == 2 else known[0] if known else True


def _same_type(first: str, second: str) -> str | None:
    # A whole number is both; any other two types have no value in common.
    return "integer" if {first, second} == {"integer", "number"} else None


def _common(first: list[Any], second: list[Any]) -> list[Any] | None:
    known = {json.dumps(value, sort_keys=True) for value in second}
    return [value for value in first if json.dumps(value, sort_keys=True) in known] or None


def _either(first: list[Any], second: list[Any]) -> list[Any]:
    return list(dict.fromkeys([*first, *second]))


_NARROWED: dict[str, Callable[[Any, Any], Any]] = {
    "type": _same_type,
    "enum": _common,
    "required": _either,
    "uniqueItems": lambda first, second: first or second,
    "allOf": lambda first, second: [*first, *second],
    **dict.fromkeys(_LEAST, max),
    **dict.fromkeys(_MOST, min),
}
