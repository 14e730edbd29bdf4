"""What is listed is what every host's converter takes: the rules of all of them, over every tool there is."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings

from fal_mcp.openapi.listed_schema import brief, lean, plain
from fal_mcp.openapi.normalise import bundle
from fal_mcp.openapi.portable import MOST_VALUES
from fal_mcp.openapi.schema import Schema
from fal_mcp.openapi.validate import check_in_full
from fal_mcp.tools.tool import prepare
from tests.converters.tools import all_tools
from tests.openapi.odd import COMPONENTS, SCHEMAS

TAKEN = {
    *("type", "description", "default", "enum", "properties", "required", "items", "anyOf", "additionalProperties"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"),
}
"""Every keyword that Gemini, OpenAI, Anthropic and llama.cpp's grammar maker each take."""
TYPES = {"string", "number", "integer", "boolean", "array", "object"}


def wrong(part: Any, path: str = "$") -> Iterator[str]:
    """What a host would refuse in a listed schema, by its path."""
    if not isinstance(part, dict):
        yield f"{path} is no schema"
        return
    schema = cast(Schema, part)
    yield from (f"{path} has {keyword!r}" for keyword in schema if keyword not in TAKEN)
    if ("type" in schema) == ("anyOf" in schema) or schema.get("type", "string") not in TYPES:
        yield f"{path} has no one type"
    if schema.get("type") == "array" and "items" not in schema:
        yield f"{path} does not say what is in it"
    if "enum" in schema and not all(isinstance(value, str) for value in schema["enum"]):
        yield f"{path} has a choice of what is no text"
    pattern = schema.get("pattern", "^$")
    if not (pattern.startswith("^") and pattern.endswith("$")):
        yield f"{path} has a pattern that is not anchored"
    for name, inner in schema.get("properties", {}).items():
        yield from wrong(inner, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from wrong(schema[keyword], f"{path}.{keyword}")
    for number, inner in enumerate(schema.get("anyOf", ())):
        yield from wrong(inner, f"{path}|{number}")
    yield from (f"{path} needs {n!r}" for n in schema.get("required", ()) if n not in schema.get("properties", {}))


def test_every_tool_is_one_that_every_converter_takes():
    """844 tools where the corpus is there; `.ci/converters` holds them against the converters themselves."""
    tools = all_tools()
    assert len(tools) > 100
    assert [f"{tool['name']}: {fault}" for tool in tools for fault in wrong(tool["inputSchema"])] == []
    for tool in tools:
        schema = tool["inputSchema"]
        check_in_full(schema)
        assert schema["type"] == "object" and "anyOf" not in schema
        json.dumps(schema, allow_nan=False)


@given(SCHEMAS)
@settings(max_examples=80, deadline=None)
def test_whatever_a_document_says_is_listed_plainly(part: Any):
    schema = bundle({"type": "object", "properties": {"x": part}}, COMPONENTS)
    for listed in (lean(schema), plain(brief(schema))):
        assert list(wrong(listed)) == []
        check_in_full(listed)
        assert len(json.dumps(listed)) < 500_000


@pytest.mark.parametrize(
    ("part", "listed"),
    [
        ({"type": "integer", "enum": [3, 4, 5]}, {"type": "integer", "minimum": 3, "maximum": 5}),
        (
            {"type": "integer", "enum": [512, 1024]},
            {"type": "integer", "minimum": 512, "maximum": 1024, "description": "One of 512, 1024."},
        ),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0, "description": "More than 0."}),
        ({"type": "integer", "multipleOf": 8}, {"type": "integer", "description": "A multiple of 8."}),
        ({"const": "fast"}, {"type": "string", "enum": ["fast"]}),
        ({"const": True}, {"type": "boolean", "description": "Only true."}),
        ({"enum": ["auto", 5]}, {"type": "string", "enum": ["auto", "5"]}),
        ({"type": "string", "pattern": "^https://"}, {"type": "string"}),
        ({"type": "string", "pattern": r"^\p{L}+$"}, {"type": "string"}),
        ({"type": "string", "pattern": "^[a-z]{2}$"}, {"type": "string", "pattern": "^[a-z]{2}$"}),
        (
            {"type": "string", "pattern": "^([A-Za-z0-9_-]+|a{1,}b?)*$"},
            {"type": "string", "pattern": "^([A-Za-z0-9_-]+|a{1,}b?)*$"},
        ),
        ({"type": "string", "enum": ["t-pose", ""], "default": ""}, {"type": "string", "enum": ["t-pose"]}),
        ({"type": "string", "enum": [""]}, {"type": "string"}),
        (
            {"type": "integer", "minimum": 1, "maximum": 30, "default": 99},
            {"type": "integer", "minimum": 1, "maximum": 30},
        ),
        ({"type": "string", "format": "uuid4"}, {"type": "string"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, {"type": "string"}),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}] * 3, "uniqueItems": True},
            {
                "type": "array",
                "items": {"type": "integer"},
                "description": "Each only once. 3 values, each in its place.",
            },
        ),
        ({"type": "object", "additionalProperties": True}, {"type": "object"}),
        ({"properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
    ],
)
def test_what_a_converter_refuses_is_said_another_way(part: Schema, listed: Schema):
    schema = bundle({"type": "object", "properties": {"x": part}}, {})
    assert lean(schema)["properties"]["x"] == listed


def test_what_contains_itself_is_written_out_as_far_as_it_goes():
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "name": {"type": "string"}}}
    schema = bundle({"type": "object", "properties": {"x": {"$ref": "#/components/schemas/Node"}}}, {"Node": node})
    assert lean(schema)["properties"]["x"]["properties"]["next"] == {"type": "object"}
    assert prepare(schema, {"x": {"next": {"next": {"name": "a"}}}}).faults == ()


def test_what_is_listed_as_text_is_read_back_as_what_it_stands_for():
    schema = bundle({"type": "object", "properties": {"x": {"enum": ["auto", 5, True]}}}, {})
    assert lean(schema)["properties"]["x"]["enum"] == ["auto", "5", "true"]
    assert prepare(schema, {"x": "5"}).arguments == {"x": 5}
    assert prepare(schema, {"x": "true"}).arguments == {"x": True}


def test_a_long_choice_is_told_by_its_first_values():
    values = [f"voice {number}" for number in range(MOST_VALUES + 1)]
    schema = bundle({"type": "object", "properties": {"x": {"type": "string", "enum": values}}}, {})
    assert "enum" not in lean(schema)["properties"]["x"]
    assert "One of 41 values" in lean(schema)["properties"]["x"]["description"]


@pytest.mark.parametrize(
    "pattern",
    [
        "^(?i)abc$",
        "^(?:a|b)$",
        "^[[:alpha:]]+$",
        "^a++b$",
        "^a+?$",
        "^a{2}{3}$",
        "^[a--b]$",
        "^a]b$",
        "^a}b$",
        "^a{,5}$",
    ],
)
def test_a_pattern_that_some_engine_cannot_read_is_not_listed(pattern: str):
    """JavaScript's and llama.cpp's: hosts refuse the whole list for one of them."""
    schema = bundle({"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}, {})
    assert lean(schema)["properties"]["x"] == {"type": "string"}


def test_an_empty_choice_that_is_not_listed_may_be_given():
    schema = bundle({"type": "object", "properties": {"x": {"type": "string", "enum": ["t-pose", ""]}}}, {})
    assert prepare(schema, {"x": ""}).faults == ()
