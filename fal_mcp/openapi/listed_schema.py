"""The schema of an argument list as a model should read it: complete in names and rules, short in words.

Long lists of values are told by their number and first few; `get_model` has the rest. What is listed is also no more
than every host's converter takes (`portable`); the full schema stays what arguments are checked against.
"""

import json
from typing import Any, cast

from fal_mcp.json_values import is_list, is_object
from fal_mcp.openapi.portable import MOST_VALUES, plain, values_cut
from fal_mcp.openapi.schema import Schema
from fal_mcp.text import cut, one_line

__all__ = ["MOST_VALUES", "brief", "lean", "plain", "values_cut"]

_LONGEST_DESCRIPTION = 160
_SHOWN = 6


def lean(schema: Schema) -> Schema:
    """The short form of `schema`, which it never changes."""
    # Plain first: shortening counts what is listed, and writing references out makes more of it.
    return cast(Schema, _short(plain(schema, _about)))


def brief(schema: object) -> Any:
    """A hand-made schema without what only stops nonsense: lengths, and that there are no other names."""
    if is_list(schema):
        return [brief(item) for item in schema]
    if not is_object(schema):
        return schema
    source = schema
    return {key: brief(value) for key, value in source.items() if not _is_guard(key, value)}


def _is_guard(keyword: str, value: object) -> bool:
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


def _about(description: str) -> str:
    return cut(one_line(description, 4 * _LONGEST_DESCRIPTION), _LONGEST_DESCRIPTION)


def _short(part: object) -> Any:
    if is_list(part):
        return [_short(item) for item in part]
    if not is_object(part):
        return part
    source = part
    result = {
        key: {name: _short(inner) for name, inner in value.items()}
        if key == "properties"
        else _short(value)
        if key in ("items", "anyOf", "additionalProperties")
        else value
        for key, value in source.items()
    }
    return _told(result) if values_cut(result) else result


def _told(part: Schema) -> Schema:
    values: list[Any] = part["enum"]
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:_SHOWN])
    sentence = f"One of {len(values)} values: {shown}, … get_model lists all."
    rest = {keyword: value for keyword, value in part.items() if keyword != "enum"}
    return {**rest, "description": cut(f"{part.get('description', '')} {sentence}".strip(), 2 * _LONGEST_DESCRIPTION)}
