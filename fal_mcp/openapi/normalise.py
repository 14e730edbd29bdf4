"""JSON Schemas as fal writes them, read into ones that mean the same everywhere.

fal's documents call themselves OpenAPI 3.0.4 and are written in 3.1: they are read as JSON Schema 2020-12, and what is
left of 3.0 is translated. Whatever stands in a document, the answer is a valid schema whose evaluation ends: one odd
part costs that part, and a note says which.
"""

from collections.abc import Callable, Iterable
from typing import Any

from fal_mcp.json_values import JsonMapping, is_list, is_object, list_of, object_of, text_of
from fal_mcp.openapi.all_of import ANNOTATIONS, NOTHING, both
from fal_mcp.openapi.circles import end_circles, parts, references_in
from fal_mcp.openapi.keywords import ODD, READERS, SCHEMA_LISTS, SCHEMAS
from fal_mcp.openapi.sayable import is_whole
from fal_mcp.openapi.schema import DEFINITION, MAX_DEPTH, Schema, UnusableSchema, definition_of
from fal_mcp.text import one_line

_COMPONENT = "#/components/schemas/"
_LEFT_OUT = frozenset({"title", "examples", "example", "ui", "nullable", "discriminator", "xml", "externalDocs"})
"""Not needed to fill in an argument; a quarter of a document's size."""
_MOST_NODES = 20_000
"""A thousand times what fal's largest input has; references within references can make more than memory holds."""
_MOST_NOTES = 20
_CONTRADICTIONS = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


def bundle(root: object, components: JsonMapping, notes: list[str] | None = None) -> Schema:
    """The schema `root` with every component it needs under `$defs`, normalised; what was odd is told in `notes`.

    Raises:
        UnusableSchema: `root` is no schema, or a reference that leads nowhere.
    """
    if not is_object(root):
        raise UnusableSchema("The schema is not an object.")
    reading = _Reading(components, [] if notes is None else notes)
    schema = reading.whole(object_of(root))
    definitions: Schema = {}
    waiting = sorted(set(references_in(schema)))
    # Only what is referred to is read: the output's components and the queue's stand in the same list, and are of no
    # use to an input.
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = reading.component(name)
            waiting.extend(set(references_in(definitions[name])) - definitions.keys())
    end_circles(schema, definitions)
    if definitions:
        # Sorted, because fal changes the order of keys from one day to the next, and a list of tools that differs in
        # nothing else would be told to every host as changed.
        schema["$defs"] = {name: definitions[name] for name in sorted(definitions)}
    return schema


def normalise(schema: object) -> Schema:
    """`schema`, which refers to nothing, as plain 2020-12: single types, no UI keywords."""
    return _Reading({}, []).schema(schema, "$", 0)


class _TooLarge(Exception):
    """What is being put together comes to more than may be written out."""


class _Reading:
    """One reading of a schema: what its references lead to, and what was odd about it."""

    def __init__(self, components: JsonMapping, notes: list[str]) -> None:
        self._components = components
        self._notes = notes
        self._nodes = 0
        self._following: tuple[str, ...] = ()

    def whole(self, root: Schema) -> Schema:
        """A root schema, its own reference followed."""
        # The body of a request is nothing but a reference to the input. It is followed here, so that the root of a
        # tool's schema is an object with properties, which hosts insist on.
        for _ in range(MAX_DEPTH):
            name = _component_name(root.get("$ref"))
            if name is None or set(root) - {"$ref"} - ANNOTATIONS - _LEFT_OUT:
                return self._opened(self.schema(root, "$", 0))
            if not isinstance(self._components.get(name), dict):
                # A few of fal's documents lack their own input. Any arguments would seem to fit it, so there is no
                # tool rather than one that takes everything.
                raise UnusableSchema(f"The document refers to a component {name[:100]!r} that it does not have.")
            root = object_of(self._components[name])
        raise UnusableSchema("The schema refers to itself and to nothing else.")

    def component(self, name: str) -> Schema:
        """A component that something refers to; the reference was looked at then."""
        return self.schema(self._components.get(name), name, 0)

    def schema(self, value: object, path: str, depth: int) -> Schema:
        """`value` as a valid schema."""
        self._nodes += 1
        # `false` is a schema too, and converters know no booleans in the place of one.
        if value is False:
            return dict(NOTHING)
        if not is_object(value):
            # What cannot be read is let through: fal checks it again, and a refusal here would take away what works
            # there.
            return {} if value is True else self._odd(path, "is no schema", {})
        if depth > MAX_DEPTH or self._nodes > _MOST_NODES:
            return self._odd(path, "is nested too deep, or too large", {})
        source = object_of(value)
        try:
            return self._agreeing(self._meant(source, path, depth), path)
        except _TooLarge:
            return self._odd(path, "is nested too deep, or too large", {})

    def _meant(self, source: Schema, path: str, depth: int) -> Schema:
        # First the tuples and bounds, which look at one keyword each; the split by types copies all keywords into
        # every branch and so comes after them.
        result = _bounds(_tuple_items(self._said(source, path, depth)))
        for _ in list_of(result.get("type"))[1:]:
            self._take(inner for inner in parts(result) if inner is not result)
        result = _single_types(result, nullable=source.get("nullable") is True)
        return self._with_all_of(result, source, path, depth)

    def _take(self, things: Iterable[object]) -> None:
        """Count what is written out once more: a copy of a copy doubles with each step of depth."""
        for _ in things:
            self._nodes += 1
            if self._nodes > _MOST_NODES:
                raise _TooLarge

    def _said(self, source: Schema, path: str, depth: int) -> Schema:
        result: Schema = {}
        for keyword, value in source.items():
            if keyword in READERS:
                read = READERS[keyword](value)
                if read is ODD:
                    self._odd(path, f"has a {keyword!r} that says nothing: {one_line(str(value)[:200], 60)!r}", None)
                elif not (keyword == "format" and read == "binary"):
                    # OpenAPI's `format: binary` says nothing to a JSON Schema reader.
                    result[keyword] = read
            elif keyword in _INNER:
                # Only keywords that are known survive: fal's own (`ui`, `x-fal-…`) are read elsewhere, and an unknown
                # one is something a host's converter may refuse.
                inner = _INNER[keyword](self, value, source, path, depth)
                if inner is not None:
                    result[keyword] = inner
        if isinstance(source.get("patternProperties"), dict) and result.get("additionalProperties") is False:
            # Names by a pattern are few and far between; they are let through unchecked.
            result["additionalProperties"] = True
        return result

    def _reference(self, value: object, source: Schema, path: str, depth: int) -> str | None:
        name = _component_name(value)
        if name is None:
            return self._odd(path, f"has a reference that leads off the document: {str(value)[:100]!r}", None)
        if not isinstance(self._components.get(name), dict):
            return self._odd(path, f"refers to a component {name[:100]!r} that the document does not have", None)
        return DEFINITION + name

    def _properties(self, value: object, source: Schema, path: str, depth: int) -> Schema | None:
        if not is_object(value):
            return self._odd(path, "has properties that are none", None)
        named = object_of(value)
        return {
            name: self.schema(named[name], f"{path}.{one_line(name, 60)}", depth + 1)
            for name in _ordered(named, source)
            if is_whole(name)
        }

    def _listed(self, value: object, source: Schema, path: str, depth: int) -> list[Schema] | None:
        if not is_list(value) or not value:
            return self._odd(path, "has a list of schemas that is none", None)
        return [self.schema(item, path, depth + 1) for item in list_of(value)]

    def _one(self, value: object, source: Schema, path: str, depth: int) -> Any:
        return self.schema(value, path, depth + 1)

    def _items(self, value: object, source: Schema, path: str, depth: int) -> Any:
        if is_list(value):
            # The tuples of JSON Schema before 2020.
            return [self.schema(item, f"{path}[]", depth + 1) for item in list_of(value)]
        return self.schema(value, f"{path}[]", depth + 1)

    def _others(self, value: object, source: Schema, path: str, depth: int) -> Any:
        return value if isinstance(value, bool) else self.schema(value, f"{path}.*", depth + 1)

    def _with_all_of(self, result: Schema, source: Schema, path: str, depth: int) -> Schema:
        """`result` narrowed by what it refers to, where it says more beside the reference, and by its `allOf`."""
        held = [self.schema(part, path, depth + 1) for part in list_of(source.get("allOf"))]
        beside = {key: value for key, value in result.items() if key != "$ref"}
        if "$ref" in result and (held or beside.keys() - ANNOTATIONS):
            held.insert(0, {"$ref": result["$ref"]})
            result = beside
        if len(held) == 1 and not beside.keys() - ANNOTATIONS:
            # OpenAPI 3.0's way to say something beside a reference.
            return {**held[0], **beside}
        narrowed: Schema = {}
        for part in held:
            narrowed = both(narrowed, self._opened(part, path, depth), self._take)
        return both(narrowed, result, self._take) if held else result

    def _opened(self, schema: Schema, path: str = "$", depth: int = 0) -> Schema:
        """`schema` with what it refers to in its place."""
        name = definition_of(schema)
        if name is None:
            return schema
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        # A part that contains itself through `allOf` has no end when it is written out; what it says beside the
        # reference is kept.
        if name in self._following:
            return self._odd(path, "contains itself", rest)
        before, self._following = self._following, (*self._following, name)
        try:
            meant = self._opened(self.schema(self._components.get(name), path, depth + 1), path, depth + 1)
            return both(meant, rest, self._take)
        except _TooLarge:
            return self._odd(path, "is nested too deep, or too large", rest)
        finally:
            self._following = before

    def _agreeing(self, schema: Schema, path: str) -> Schema:
        for least, most in _CONTRADICTIONS:
            if least in schema and most in schema and schema[least] > schema[most]:
                # Left standing, they would refuse every value there is, and with it a model that works.
                self._odd(path, f"has a {least!r} above its {most!r}", None)
                schema = {key: value for key, value in schema.items() if key not in (least, most)}
        return schema

    def _odd(self, path: str, what: str, instead: object) -> Any:
        # A broken document is broken in a hundred places in the same way; the first few tell it.
        if len(self._notes) < _MOST_NOTES and (note := f"{path} {what}.") not in self._notes:
            self._notes.append(note)
        return instead


_Inner = Callable[[_Reading, Any, Schema, str, int], Any]
# Of one class and one module: the table beside the methods it names.
_INNER: dict[str, _Inner] = {
    "$ref": _Reading._reference,  # pyright: ignore[reportPrivateUsage]
    "properties": _Reading._properties,  # pyright: ignore[reportPrivateUsage]
    **dict.fromkeys(SCHEMA_LISTS - {"allOf"}, _Reading._listed),  # pyright: ignore[reportPrivateUsage]
    **dict.fromkeys(SCHEMAS, _Reading._one),  # pyright: ignore[reportPrivateUsage]
    "items": _Reading._items,  # pyright: ignore[reportPrivateUsage]
    "additionalProperties": _Reading._others,  # pyright: ignore[reportPrivateUsage]
}


def _component_name(reference: object) -> str | None:
    text = text_of(reference)
    return text.removeprefix(_COMPONENT) if text and text.startswith(_COMPONENT) else None


def _ordered(properties: Schema, schema: Schema) -> list[str]:
    # The order of keys in fal's documents changes from one day to the next; this list is the order that is meant.
    order = [name for name in list_of(schema.get("x-fal-order-properties")) if isinstance(name, str)]
    return list(dict.fromkeys([*(name for name in order if name in properties), *properties]))


def _tuple_items(schema: Schema) -> Schema:
    if isinstance(schema.get("items"), list):
        positions = schema.pop("items")
        if positions:
            schema.setdefault("prefixItems", positions)
    return schema


def _bounds(schema: Schema) -> Schema:
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        flag = schema.get(exclusive)
        # In OpenAPI 3.0 an exclusive bound is a flag beside the bound; since 2020-12 it is the bound itself.
        if isinstance(flag, bool):
            del schema[exclusive]
            if flag and inclusive in schema:
                schema[exclusive] = schema.pop(inclusive)
    return schema


def _single_types(schema: Schema, *, nullable: bool) -> Schema:
    kinds = schema.get("type")
    if is_list(kinds):
        about = {key: schema.pop(key) for key in ("description", "default") if key in schema}
        options = [option for kind in list_of(kinds) if (option := _of_type(schema, kind)) is not None]
        if nullable and {"type": "null"} not in options:
            options.append({"type": "null"})
        if len(options) == 1:
            return {**about, **options[0]}
        return {**about, "anyOf": options} if options else {**about, **NOTHING}
    return _or_null(schema) if nullable and schema.get("type") != "null" else schema


def _of_type(schema: Schema, kind: str) -> Schema | None:
    """What `schema` leaves of one of its types; None where its values have none of it."""
    if "enum" in schema:
        values = [value for value in schema["enum"] if _is_of(value, kind)]
        return {**schema, "type": kind, "enum": values} if values and kind != "null" else _null_if(bool(values))
    if "const" in schema and not _is_of(schema["const"], kind):
        return None
    return {"type": "null"} if kind == "null" else {**schema, "type": kind}


def _null_if(is_allowed: bool) -> Schema | None:
    return {"type": "null"} if is_allowed else None


def _is_of(value: object, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return is_list(value)
        case _:
            return is_object(value)


def _or_null(schema: Schema) -> Schema:
    options = schema.get("anyOf")
    if is_list(options):
        known = list_of(options)
        return schema if {"type": "null"} in known else {**schema, "anyOf": [*known, {"type": "null"}]}
    about = {key: schema.pop(key) for key in ("description", "default") if key in schema}
    return {**about, "anyOf": [schema, {"type": "null"}]}
