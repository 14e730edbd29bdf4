"""A JSON Schema as a value: where its references lead, and the alternatives it leaves.

Everything here is bounded, whatever the schema: what refers to itself comes to an end.
"""

from collections.abc import Iterator

from fal_mcp.json_values import JsonObject, list_of, object_of, text_of

Schema = JsonObject

MAX_DEPTH = 40
MAX_CHARACTERS = 256 * 1024
DEFINITION = "#/$defs/"

_MOST_STEPS = 1000
"""Alternatives looked at in one schema: a union of unions can have more of them than there are atoms."""


class UnusableSchema(ValueError):
    """A schema that no tool can be made from; the message is a sentence that says why."""


def definition_of(schema: Schema) -> str | None:
    """The name of the definition that `schema` refers to; None where it refers to none."""
    reference = text_of(schema.get("$ref"))
    return reference.removeprefix(DEFINITION) if reference and reference.startswith(DEFINITION) else None


def resolve(schema: Schema, root: Schema) -> Schema:
    """`schema`, or what its local `$ref` stands for; a reference that leads nowhere stands for anything."""
    for _ in range(MAX_DEPTH):
        name = definition_of(schema)
        if name is None:
            return schema
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**object_of(object_of(root.get("$defs")).get(name)), **rest}
    return {}


def branches(schema: Schema, root: Schema) -> Iterator[Schema]:
    """`schema` and each alternative it allows, references resolved; `null` left out.

    What a schema says beside its alternatives holds for each of them.
    """
    waiting = [schema]
    for _ in range(_MOST_STEPS):
        if not waiting:
            return
        here = resolve(waiting.pop(), root)
        options = list(alternatives(here))
        if options:
            beside = {key: value for key, value in here.items() if key not in ("anyOf", "oneOf", "allOf")}
            waiting.extend(_with(beside, resolve(option, root)) for option in reversed(options))
        elif here.get("type") != "null":
            yield here


def alternatives(schema: Schema) -> Iterator[Schema]:
    """The alternatives that `schema` itself names."""
    for holder in (schema, *map(object_of, list_of(schema.get("allOf")))):
        for keyword in ("anyOf", "oneOf"):
            yield from map(object_of, list_of(holder.get(keyword)))


def _with(beside: Schema, option: Schema) -> Schema:
    if not beside:
        return option
    merged = {**beside, **option}
    if "properties" in beside and "properties" in option:
        merged["properties"] = {**object_of(beside["properties"]), **object_of(option["properties"])}
    if "required" in beside and "required" in option:
        merged["required"] = list(dict.fromkeys([*beside["required"], *option["required"]]))
    return merged
