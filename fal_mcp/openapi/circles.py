"""Which definitions a schema refers to, and the end of those references that lead back to where they stand."""

from collections.abc import Iterator

from fal_mcp.json_values import is_object, list_of, object_of
from fal_mcp.openapi.keywords import SCHEMA_LISTS, SCHEMAS
from fal_mcp.openapi.schema import Schema, definition_of

_IN_PLACE = ("anyOf", "oneOf", "allOf", "not", "if", "then", "else")
"""Keywords whose schemas are held against the same value, and not against something inside it."""


def references_in(schema: object) -> Iterator[str]:
    """The names of the definitions that a schema refers to, wherever in it."""
    for part in parts(schema):
        if (name := definition_of(part)) is not None:
            yield name


def parts(schema: object) -> Iterator[Schema]:
    """`schema` and every schema inside it."""
    if not is_object(schema):
        return
    here = object_of(schema)
    yield here
    for name, value in here.items():
        if name in ("properties", "$defs"):
            yield from (part for inner in object_of(value).values() for part in parts(inner))
        elif name in SCHEMA_LISTS:
            yield from (part for inner in list_of(value) for part in parts(inner))
        elif name in SCHEMAS:
            yield from parts(value)


def end_circles(root: Schema, definitions: Schema) -> None:
    """Take out each reference that leads back to where it stands without going into the value.

    A schema that is itself, or itself or something else, says nothing more by that, and holding a value against it
    would never end.
    """
    finished: set[str] = set()

    def visit(schema: Schema, above: tuple[str, ...]) -> None:
        for part in _in_place(schema):
            name = definition_of(part)
            if name is None or name in finished:
                continue
            if name in above:
                del part["$ref"]
                continue
            visit(definitions[name], (*above, name))
            finished.add(name)

    # Sorted, so that of two references in a circle it is always the same one that goes.
    for name in sorted(definitions):
        if name not in finished:
            visit(definitions[name], (name,))
            finished.add(name)
    visit(root, ())


def _in_place(schema: Schema) -> Iterator[Schema]:
    yield schema
    for keyword in _IN_PLACE:
        value = schema.get(keyword)
        for inner in list_of(value) or ([value] if is_object(value) else []):
            yield from _in_place(object_of(inner))
