"""What a document shows as examples: the texts, each with its place in the arguments.

An example is evidence of what a model takes, and better evidence than the name of an argument.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fal_mcp.json_values import JsonMapping, is_list, is_object, list_of, object_of, text_of
from fal_mcp.openapi.schema import Schema, branches

Path = tuple[str, ...]
"""Property names from the root, `[]` for each item of a list."""

_DEEPEST = 8
_MOST = 5000


def texts(body: object, components: JsonMapping) -> dict[Path, tuple[str, ...]]:
    """Every text that is shown for a place in the arguments, defaults included; empty for what is no text."""
    found: dict[Path, dict[str, None]] = {}
    for _, (path, text) in zip(range(_MOST), _in_schema(body, components, (), 0, [_MOST]), strict=False):
        found.setdefault(path, {})[text] = None
    return {path: tuple(shown) for path, shown in found.items()}


def let_in(schema: Schema, places: Mapping[Path, Any]) -> None:
    """Take names that an example has and the schema lacks for arguments: fal takes what it shows."""
    for path in [path for path in places if len(path) > 1]:
        parts = [schema]
        for step in path:
            options = [branch for part in parts for branch in branches(part, schema)]
            if step == "[]":
                parts = [branch["items"] for branch in options if isinstance(branch.get("items"), dict)]
                continue
            objects = [branch["properties"] for branch in options if branch.get("properties")]
            parts = [properties[step] for properties in objects if step in properties]
            if objects and not parts:
                objects[0][step] = {}
                break


def _in_schema(
    value: object, components: JsonMapping, path: Path, depth: int, room: list[int]
) -> Iterator[tuple[Path, str]]:
    room[0] -= 1
    schema = object_of(value)
    for _ in range(_DEEPEST):
        reference = text_of(schema.get("$ref"))
        if reference is None:
            break
        rest = {key: part for key, part in schema.items() if key != "$ref"}
        schema = {**object_of(components.get(reference.rsplit("/", 1)[-1])), **rest}
    if depth > _DEEPEST or room[0] < 0:
        return
    for shown in [*list_of(schema.get("examples")), schema.get("example"), schema.get("default")]:
        if shown is not None:
            yield from _in_value(shown, path, depth)
    for name, part in object_of(schema.get("properties")).items():
        yield from _in_schema(part, components, (*path, name), depth + 1, room)
    if isinstance(schema.get("items"), dict):
        yield from _in_schema(schema["items"], components, (*path, "[]"), depth + 1, room)
    for keyword in ("anyOf", "oneOf", "allOf"):
        for part in list_of(schema.get(keyword)):
            yield from _in_schema(part, components, path, depth + 1, room)


def _in_value(value: object, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    if depth > 2 * _DEEPEST:
        return
    if path and not is_object(value) and not is_list(value):
        # What is no text is shown all the same: there is an argument of that name.
        yield path, value if isinstance(value, str) else ""
    for name, part in object_of(value).items():
        yield from _in_value(part, (*path, name), depth + 1)
    for part in list_of(value)[:20]:
        yield from _in_value(part, (*path, "[]"), depth + 1)
