"""The schema of an argument list as a model should read it: complete in names and rules, short in words.

Long lists of values are told by their number and first few; `get_model` has the rest. What is listed is also no more
than every host's converter takes (`portable`); the full schema stays what arguments are checked against.
"""

import json
from typing import Any, cast

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


def _about(description: str) -> str:
    return cut(one_line(description, 4 * _LONGEST_DESCRIPTION), _LONGEST_DESCRIPTION)


def _short(part: Any) -> Any:
    if isinstance(part, list):
        return [_short(item) for item in cast(list[Any], part)]
    if not isinstance(part, dict):
        return part
    source = cast(Schema, part)
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
