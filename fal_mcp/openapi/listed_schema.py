"""The schema of an argument list as a model should read it: complete in names and rules, short in words.

Long lists of values are told by their number and first few; `get_model` has the rest. The full schema stays what
arguments are checked against.
"""

import json
from typing import Any, cast

from fal_mcp.openapi.schema import Schema
from fal_mcp.text import cut, one_line

MOST_VALUES = 40
_MOST_CHARACTERS = 500
_LONGEST_DESCRIPTION = 160
_SHOWN = 6
_MAPS = frozenset({"properties", "$defs"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_KEPT_WHOLE = frozenset({"enum", "const", "default", "required"})
_LEFT_OUT = frozenset({"x-fal", "limit_description", "contentMediaType", "$comment"})


def lean(schema: Schema) -> Schema:
    """The short form of `schema`, which it never changes."""
    required = set(schema.get("required", ()))
    short = _short(schema)
    short["properties"] = {
        name: part if name in required else _without_null(part) for name, part in short["properties"].items()
    }
    return short


def brief(schema: Any) -> Any:
    """A hand-made schema without what only stops nonsense: lengths, and that there are no other names."""
    if isinstance(schema, list):
        return [brief(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    source = cast(Schema, schema)
    return {key: brief(value) for key, value in source.items() if not _is_guard(key, value)}


def _is_guard(keyword: str, value: Any) -> bool:
    match keyword:
        case "minLength" | "maxLength":
            return isinstance(value, int)
        case "additionalProperties":
            return value in (True, False)
        case "required":
            return value == []
        case "minItems":
            return value == 1
        case _:
            return keyword == "contains"


def values_cut(part: Schema) -> bool:
    """Whether the list of values of `part` is too long to be shown whole."""
    enum = part.get("enum", ())
    return len(enum) > MOST_VALUES or len(json.dumps(enum)) > _MOST_CHARACTERS


def _short(schema: Schema) -> Schema:
    result: Schema = {}
    for keyword, value in schema.items():
        if keyword in _LEFT_OUT:
            continue
        if keyword in _MAPS:
            result[keyword] = {name: _short(part) for name, part in value.items()}
        elif keyword in _LISTS:
            result[keyword] = [_short(part) for part in value]
        elif keyword == "description":
            result[keyword] = cut(one_line(str(value), 4 * _LONGEST_DESCRIPTION), _LONGEST_DESCRIPTION)
        elif isinstance(value, dict) and keyword not in _KEPT_WHOLE:
            result[keyword] = _short(cast(Schema, value))
        else:
            result[keyword] = value
    return _told(result) if values_cut(result) else result


def _told(part: Schema) -> Schema:
    values: list[Any] = part["enum"]
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:_SHOWN])
    said = f"One of {len(values)} values: {shown}, … get_model lists all."
    rest = {keyword: value for keyword, value in part.items() if keyword != "enum"}
    return {**rest, "description": cut(f"{part.get('description', '')} {said}".strip(), 2 * _LONGEST_DESCRIPTION)}


def _without_null(part: Schema) -> Schema:
    """An optional argument that may be null may as well be left out, which is shorter to say."""
    options = part.get("anyOf")
    if not options or {"type": "null"} not in options:
        return part
    rest = [option for option in options if option != {"type": "null"}]
    left_out = {"anyOf", "default"} if part.get("default", 0) is None else {"anyOf"}
    around = {key: value for key, value in part.items() if key not in left_out}
    return {**around, **rest[0]} if len(rest) == 1 and "$ref" not in rest[0] else {**around, "anyOf": rest}
