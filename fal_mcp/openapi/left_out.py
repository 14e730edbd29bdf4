"""What was sent to say that nothing was meant: `null`, and an empty text where a number, a choice or a text of some
form, such as an address, is wanted.

Clients fill in every argument that there is, and models do as the schema seems to ask. A schema that gives `null` a
meaning is left its say.
"""

from collections.abc import Iterator
from typing import Any

from fal_mcp.json_values import JsonObject, is_list, is_object
from fal_mcp.openapi import validate
from fal_mcp.openapi.schema import Schema, branches

_DEEPEST = 12


def without(schema: Schema, arguments: JsonObject) -> JsonObject:
    """`arguments` without what was left out, at any depth; what is required stays, for its fault to be told."""
    return _in_object(schema, arguments, schema, 0)


def _in_object(schema: Schema, value: JsonObject, root: Schema, depth: int) -> JsonObject:
    objects = [branch for branch in branches(schema, root) if branch.get("type", "object") == "object"]
    # Where any name may be given, null may mean something too: that a label is to go, say.
    is_closed = bool(objects) and not any(_takes_any_name(branch) for branch in objects)
    given: JsonObject = {}
    for name, item in value.items():
        parts = [part for branch in objects if (part := _part(branch, name)) is not None]
        # Of a union the branch is not known yet: a name stays where every branch needs it.
        needed = bool(objects) and all(name in branch.get("required", ()) for branch in objects)
        if needed or not _says_nothing(item, parts, is_closed, root):
            given[name] = _inside(parts, item, root, depth + 1)
    return given


def _takes_any_name(branch: Schema) -> bool:
    return not branch.get("properties") or branch.get("additionalProperties") not in (None, False)


def _part(branch: Schema, name: str) -> Schema | None:
    others = branch.get("additionalProperties")
    return branch.get("properties", {}).get(name, others if is_object(others) else None)


def _says_nothing(item: object, parts: list[Schema], is_closed: bool, root: Schema) -> bool:
    if item is None:
        # By a name that the schema does not have, nothing is meant either.
        return (is_closed or bool(parts)) and not any(_fits(part, None, root) for part in parts)
    if item != "" or not parts:
        return False
    kinds = [branch for part in parts for branch in branches(part, root)]
    # An empty text is a text: where free text may stand (a negative prompt, say) it is meant.
    takes_text = any(_is_text(kind) and "pattern" not in kind for kind in kinds)
    return not takes_text and not any(_fits(part, "", root) for part in parts)


def _is_text(kind: Schema) -> bool:
    """Whether words may be meant: an empty one is then a fault that is better told."""
    return kind.get("type", "string") == "string" and "enum" not in kind


def _inside(parts: list[Schema], item: object, root: Schema, depth: int) -> Any:
    if depth > _DEEPEST or not parts:
        return item
    if is_object(item):
        return _in_object({"anyOf": parts}, item, root, depth)
    if is_list(item):
        inner = list(_items(parts, root))
        return [_inside(inner, one, root, depth + 1) for one in item]
    return item


def _items(parts: list[Schema], root: Schema) -> Iterator[Schema]:
    for part in parts:
        for branch in branches(part, root):
            if isinstance(branch.get("items"), dict):
                yield branch["items"]


def _fits(part: Schema, value: object, root: Schema) -> bool:
    return validate.fits({**part, "$defs": root.get("$defs", {})}, value)
