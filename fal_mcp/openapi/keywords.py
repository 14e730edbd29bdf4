"""What may stand beside each keyword of a JSON Schema: a value as it wants it, mended where its sense is plain.

One function a kind of value; each answers with `ODD` where there is no sense in it.
"""

import math
from collections.abc import Callable
from typing import Any, Final

from fal_mcp.json_values import JsonObject, is_list, is_object, list_of, number_of, object_of, whole_number_of
from fal_mcp.openapi import patterns
from fal_mcp.openapi.sayable import is_sayable, is_whole
from fal_mcp.text import visible

ODD: Final = object()
"""A value that its keyword can make nothing of."""

SCHEMA_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
SCHEMAS = frozenset({"items", "not", "contains", "propertyNames", "if", "then", "else", "additionalProperties"})
"""Keywords that hold schemas."""
TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_OTHER_WORDS = {
    **dict.fromkeys(("str", "text", "file", "binary", "url", "uri", "date", "datetime", "uuid"), "string"),
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    "bool": "boolean",
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("dict", "map"), "object"),
    "none": "null",
}
"""Types of programming languages that end up in documents, and what they are in JSON."""


def _type(value: object) -> Any:
    if is_list(value):
        named = [_type(name) for name in list_of(value) if isinstance(name, str)]
        known = list(dict.fromkeys(name for name in named if name is not ODD))
        return known or ODD
    word = value.strip().lower() if isinstance(value, str) else ""
    word = _OTHER_WORDS.get(word, word)
    return word if word in TYPES else ODD


def _number(value: object) -> Any:
    # A number in quotes is still a bound, and what is meant by it is plain.
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return ODD
        value = int(value) if math.isfinite(value) and value.is_integer() else value
    return ODD if number_of(value) is None or not is_sayable(value) else value


def _bound(value: object) -> Any:
    return value if isinstance(value, bool) else _number(value)


def _positive(value: object) -> Any:
    number = _number(value)
    return number if number is not ODD and number > 0 else ODD


def _count(value: object) -> Any:
    number = _number(value)
    whole = None if number is ODD else whole_number_of(number)
    return ODD if whole is None or whole < 0 else whole


def _text(value: object) -> Any:
    return " ".join(visible(value).split()) if isinstance(value, str) else ODD


def _word(value: object) -> Any:
    return value if isinstance(value, str) and is_whole(value) else ODD


def _flag(value: object) -> Any:
    return value if isinstance(value, bool) else ODD


def _values(value: object) -> Any:
    # An enum with nothing in it lets nothing through; with it left out, fal's own check decides.
    return [one for one in list_of(value) if is_sayable(one)] or ODD


def _names(value: object) -> Any:
    if not is_list(value):
        return ODD
    return list(dict.fromkeys(name for name in list_of(value) if isinstance(name, str)))


def _names_by_name(value: object) -> Any:
    named = object_of(value)
    known: JsonObject = {name: _names(names) for name, names in named.items()}
    lists = {name: names for name, names in known.items() if names is not ODD}
    return lists or ODD


def _pattern(value: object) -> Any:
    return value if isinstance(value, str) and patterns.is_readable(value) else ODD


def _anything(value: object) -> Any:
    return value if is_sayable(value) else ODD


def _object(value: object) -> Any:
    return value if is_object(value) and is_sayable(value) else ODD


READERS: dict[str, Callable[[Any], Any]] = {
    "type": _type,
    **dict.fromkeys(("minimum", "maximum"), _number),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _bound),
    "multipleOf": _positive,
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains"), _count
    ),
    "description": _text,
    **dict.fromkeys(("format", "limit_description", "contentMediaType"), _word),
    **dict.fromkeys(("uniqueItems", "deprecated"), _flag),
    "enum": _values,
    "required": _names,
    "dependentRequired": _names_by_name,
    "pattern": _pattern,
    **dict.fromkeys(("default", "const"), _anything),
    "x-fal": _object,
    # The bounds of files, as fal writes them.
    **dict.fromkeys(("max_file_size", "max_pixels", "min_width", "max_width", "min_height", "max_height"), _number),
}
"""Every keyword that is kept and holds no schema. What is not named here is no rule that is checked anywhere."""
