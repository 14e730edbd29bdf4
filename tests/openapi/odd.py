"""Schemas as no document should have them, and values that fit none: what the tests of documents are made from."""

from typing import Any

from hypothesis import strategies as st

REFERENCES = st.sampled_from(
    [
        *("#/components/schemas/Size", "#/components/schemas/Loop", "#/components/schemas/Node"),
        *("#/components/schemas/Union", "#/components/schemas/Gone", "#/components/schemas/A"),
        *("#/components/schemas/Odd", "https://example.com/schema", "#/$defs/Size", "", "#"),
    ]
)
COMPONENTS: dict[str, Any] = {
    "Size": {"type": "object", "properties": {"width": {"type": "integer", "minimum": 1}}, "required": ["width"]},
    "Loop": {"$ref": "#/components/schemas/Loop"},
    "Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "n": {"type": "number"}}},
    "Union": {"anyOf": [{"$ref": "#/components/schemas/Union"}, {"type": "string"}, {"type": "null"}]},
    "A": {"allOf": [{"$ref": "#/components/schemas/B"}, {"minimum": 3}]},
    "B": {"allOf": [{"$ref": "#/components/schemas/A"}], "maximum": 9, "type": "integer"},
    "Odd": 7,
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["\ud800", 10**400, -(10**20), "^(a+)+$", r"^\p{L}{2,}$", "(?<hex>[0-9", "(", "0", "any", "file"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    [
        *("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "items"),
        *("prefixItems", "properties", "required", "additionalProperties", "patternProperties", "anyOf", "oneOf"),
        *("allOf", "not", "if", "then", "else", "contains", "propertyNames", "dependentRequired", "default"),
        *("description", "title", "nullable", "deprecated", "$ref", "$id", "$schema", "$dynamicRef", "$defs"),
        *("x-fal", "x-fal-order-properties", "examples", "format", "unevaluatedProperties", "minProperties"),
    ]
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null", "file", "any", "STRING"])


def _laid_over(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {**first, **second}


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(["a", "b", "url", "n"]), inner, max_size=3)
    known = st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, max_size=3),
            "$ref": REFERENCES,
            "anyOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=3),
            "properties": named,
            "required": st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
            "items": inner,
            "enum": st.lists(SCALARS, max_size=4),
            "minimum": st.integers(-5, 5),
            "maximum": st.integers(-5, 5),
            "additionalProperties": inner | st.booleans(),
            "nullable": st.booleans(),
        },
    )
    odd = st.dictionaries(KEYWORDS, VALUES, max_size=3)
    return st.builds(_laid_over, known, odd)


SCHEMAS = st.recursive(VALUES | st.fixed_dictionaries({"$ref": REFERENCES}), _schemas, max_leaves=10)
"""Anything that may stand where a schema should."""
