"""A schema as every host's converter takes it: Gemini's, OpenAI's, Anthropic's, llama.cpp's grammar.

Each of them refuses something else, and one refused argument takes the whole list of tools down with it: so what is
listed has no references, no unions of types but `anyOf`, no choice among numbers, `items` on every array, and no
keyword outside a small set. A limit that is thereby lost is said in words where a model needs it, and checked here.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from fal_mcp.json_values import is_list, is_object, list_of, number_of, object_of
from fal_mcp.openapi.schema import MAX_DEPTH, Schema, alternatives, definition_of, resolve

MOST_VALUES = 40
_MOST_CHARACTERS = 500
_MOST_PARTS = 2000
"""References are written out; those within references could come to more than any host reads."""
_DEEPEST = 12
_KEPT = frozenset({"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"})
_PATTERN = re.compile(
    r"\^(?:[(|]|(?:[A-Za-z0-9 _./:@,-]|\[(?!-)(?:[A-Za-z0-9 _./:@+*?(){},|]|-(?!-))+\]|\))"
    r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})?)*\$"
)
"""Anchored at both ends, and made of what every engine reads in the same way: JavaScript's has no flags in the middle,
no possessive and no repeated quantifiers, no classes by name and no bracket that stands alone; llama.cpp's has no `(?`.
"""
_BY_PLACE = {"properties": "object", "items": "array", "additionalProperties": "object"}
_ANY: Schema = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "object"}]}

About = Callable[[str], str]


def plain(schema: Schema, about: About = str) -> Schema:
    """`schema`, an object's, with nothing in it that a host's converter refuses; `about` shortens descriptions."""
    made = _Plain(schema, about).part(schema, (), 0) or {}
    # Some hosts refuse the whole list for one tool whose schema has `anyOf` at the top, or no properties at all.
    return {**{"type": "object", "properties": {}}, **{key: made[key] for key in made if key != "anyOf"}}


def values_cut(part: Schema) -> bool:
    """Whether the list of values of `part` is too long to be shown whole."""
    enum = part.get("enum", ())
    return len(enum) > MOST_VALUES or len(json.dumps(enum)) > _MOST_CHARACTERS


class _Plain:
    """One schema being written out."""

    def __init__(self, root: Schema, about: About) -> None:
        self._root = root
        self._about = about
        self._parts = 0

    def part(self, schema: Schema, above: tuple[str, ...], depth: int) -> Schema | None:
        """`schema` in plain words; None where nothing fits it."""
        self._parts += 1
        name = definition_of(schema)
        is_circle = name is not None and name in above
        above = above if name is None else (*above, name)
        here = resolve(schema, self._root)
        if depth > min(_DEEPEST, MAX_DEPTH) or self._parts > _MOST_PARTS or is_circle or len(above) > _DEEPEST:
            return self._shape(here)
        # Nothing can be given there, so there is no argument to list.
        if here.get("not") == {}:
            return None
        options = list(alternatives(here))
        made = self._union(here, options, above, depth) if options else self._one(here, above, depth)
        return None if made is None else self._described(made, here)

    def _shape(self, schema: Schema) -> Schema:
        """What is left of a part that would go on for ever: its type."""
        kind = schema.get("type")
        return {"type": kind} if kind in ("object", "string", "number", "integer", "boolean") else dict(_ANY)

    def _union(self, schema: Schema, options: list[Schema], above: tuple[str, ...], depth: int) -> Schema | None:
        beside = {key: value for key, value in schema.items() if key in _BY_PLACE or key in _KEPT or key == "required"}
        made: list[Schema] = []
        for option in options:
            # That an argument may be left out is told by its not being required: null as a type is one of the things
            # that converters refuse, and a model that reads it sends it.
            if resolve(option, self._root).get("type") == "null":
                continue
            inner = self.part({**beside, **option} if beside else option, above, depth + 1)
            # A union within a union is one union.
            for one in list_of(inner.get("anyOf")) if inner and set(inner) == {"anyOf"} else [inner]:
                if one is not None and one not in made:
                    made.append(one)
        if len(made) < 2:
            return made[0] if made else None
        return {"anyOf": made}

    def _one(self, schema: Schema, above: tuple[str, ...], depth: int) -> Schema | None:
        kind = schema.get("type") or _kind_of(schema)
        # Without a type a converter has nothing to go by; here it becomes one of the few types that a value can have.
        if kind in (None, "null") and not {"enum", "const"} & schema.keys():
            return dict(_ANY)
        made: Schema = {"type": kind, **{key: schema[key] for key in schema if key in _KEPT}}
        match kind:
            case "object":
                self._members(made, schema, above, depth)
            case "array":
                made["items"] = self._items(schema, above, depth)
            case "string":
                made |= _of_text(schema)
            case "integer" | "number":
                made |= _of_number(schema, kind)
            case "boolean":
                pass
            case _:
                made = _of_text(schema)
        return made

    def _members(self, made: Schema, schema: Schema, above: tuple[str, ...], depth: int) -> None:
        required = [name for name in list_of(schema.get("required")) if isinstance(name, str)]
        parts = {
            name: part
            for name, inner in object_of(schema.get("properties")).items()
            if (part := self.part(inner, above, depth + 1)) is not None
        }
        # Only the root has to have `properties`. Further down, none may mean any names, and an empty list of them
        # would read as that it takes nothing.
        if parts or not depth:
            made["properties"] = parts
        # A name that is required and not among the properties is an error to some converters, and `part` may have
        # dropped it.
        if known := [name for name in required if name in parts]:
            made["required"] = known
        others = schema.get("additionalProperties")
        if is_object(others) and others and not parts:
            made["additionalProperties"] = self.part(object_of(others), above, depth + 1) or dict(_ANY)

    def _items(self, schema: Schema, above: tuple[str, ...], depth: int) -> Schema:
        positions = [object_of(part) for part in list_of(schema.get("prefixItems"))]
        item: Schema = {"anyOf": positions} if positions else object_of(schema.get("items"))
        # Never without `items`: a converter that finds an array of nothing refuses it.
        return self.part(item, above, depth + 1) or dict(_ANY)

    def _described(self, made: Schema, schema: Schema) -> Schema:
        sentences = [self._about(str(schema["description"]))] if schema.get("description") else []
        sentences += _in_words(schema)
        default = schema.get("default")
        result = {key: value for key, value in made.items() if key not in ("description", "default")}
        if default is None and schema.get("anyOf"):
            default = made.get("default")
        if not sentences and made.get("description"):
            sentences = [made["description"]]
        elif made.get("description") and schema.get("anyOf"):
            sentences += _in_words(made)
        # A few of fal's documents have a default of another type than the argument; some converters check that, and
        # the argument is as good without.
        if default is not None and _is_default_of(default, result):
            result["default"] = default
        if sentences:
            result["description"] = " ".join(sentences)
        return result


def _kind_of(schema: Schema) -> str | None:
    """The type that a schema without one must mean."""
    for keyword, kind in _BY_PLACE.items():
        if keyword in schema:
            return kind
    values = _values(schema)
    kinds = {_type_of(value) for value in values}
    # A whole number among fractions is written without a point in JSON; both are numbers.
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "string" if values else None


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, dict) else "string"


def _values(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else [one for one in list_of(schema.get("enum")) if one is not None]


def _of_text(schema: Schema) -> Schema:
    """Texts to choose from; other values stand among them as JSON writes them, and are read back as what they are."""
    # Enums are of text only where some hosts are concerned, and one number in them has the whole list refused. The
    # repair before a call reads "8" back as 8.
    values = [value if isinstance(value, str) else json.dumps(value) for value in _values(schema)]
    made: Schema = {"type": "string", **{key: schema[key] for key in ("minLength", "maxLength") if key in schema}}
    if values:
        # Gemini refuses an empty text among them; one may be given all the same.
        made["enum"] = list(dict.fromkeys(value for value in values if value))
        if not made["enum"]:
            del made["enum"]
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _PATTERN.fullmatch(pattern):
        made["pattern"] = pattern
    return made


def _of_number(schema: Schema, kind: str) -> Schema:
    made: Schema = {}
    step = 1 if kind == "integer" else 0
    if (least := number_of(schema.get("exclusiveMinimum"))) is not None:
        # Exclusive bounds are not in the set of keywords that all hosts take. For whole numbers the next one is the
        # same bound; for fractions it is said in words.
        made["minimum"] = int(least) + step if step and least.is_integer() else least
    if (most := number_of(schema.get("exclusiveMaximum"))) is not None:
        made["maximum"] = int(most) - step if step and most.is_integer() else most
    if values := [value for value in _values(schema) if number_of(value) is not None]:
        # A choice among numbers cannot be listed; its range can, the words say the choice, and the check before
        # sending holds to it.
        made |= {"minimum": min(values), "maximum": max(values)}
    return made


def _in_words(schema: Schema) -> Iterator[str]:
    """The limits that are not listed as keywords."""
    kind = schema.get("type") or _kind_of(schema)
    values = _values(schema)
    if kind in ("integer", "number", "boolean", "object", "array") and values and not _is_range(values):
        shown = [json.dumps(value, ensure_ascii=False) for value in values[:MOST_VALUES]]
        yield f"{'One of' if len(shown) > 1 else 'Only'} {', '.join(shown)}."
    # Said in words for fractions only: for whole numbers the bound itself was moved.
    if kind == "number" and (least := schema.get("exclusiveMinimum")) is not None:
        yield f"More than {least}."
    if kind == "number" and (most := schema.get("exclusiveMaximum")) is not None:
        yield f"Less than {most}."
    if (step := schema.get("multipleOf")) is not None:
        yield f"A multiple of {step}."
    if schema.get("uniqueItems") is True:
        yield "Each only once."
    if positions := list_of(schema.get("prefixItems")):
        yield f"{len(positions)} values, each in its place."


def _is_range(values: list[Any]) -> bool:
    """Whether the values are all whole numbers between their least and their greatest."""
    if len(values) < 2 or not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return False
    return max(values) - min(values) + 1 == len(set(values))


def _is_default_of(default: object, made: Schema) -> bool:
    """Whether a default is one that a reader of the listed form would take."""
    kinds = [option.get("type") for option in list_of(made.get("anyOf"))] or [made.get("type")]
    kind = "array" if is_list(default) else _type_of(default)
    fits = kind in kinds or (kind == "integer" and "number" in kinds)
    number = number_of(default)
    within = number is None or made.get("minimum", number) <= number <= made.get("maximum", number)
    return fits and within and default in made.get("enum", [default])
