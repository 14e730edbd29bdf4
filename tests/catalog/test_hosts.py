"""Every tool of the corpus keeps the rules of Anthropic's, OpenAI's and Gemini's schemas (fact M5.2 and M5.3)."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.openapi import validate
from fal_mcp.openapi.example import example
from fal_mcp.server.tool_list import listed
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import Tool
from tests.documents import CORPUS

FOLDER = CORPUS / "models" if CORPUS.is_dir() else bundled.schemas() / "models"
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,53}")
PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
KNOWN_TYPES = {"string", "number", "integer", "boolean", "array", "object", "null"}


@pytest.fixture(scope="module")
def tools() -> list[Tool]:
    return [from_endpoint.tool(endpoint) for endpoint in Catalog(Folder(FOLDER)).endpoints()]


def parts(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every schema below `schema`, with the keyword it stands under."""
    for keyword, value in cast(dict[str, Any], schema).items():
        if keyword in ("properties", "$defs", "patternProperties"):
            for part in value.values():
                yield keyword, part
                yield from parts(part) if isinstance(part, dict) else ()
        elif keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for part in value:
                yield keyword, part
                yield from parts(part) if isinstance(part, dict) else ()
        elif keyword in ("items", "not", "additionalProperties", "contains"):
            yield keyword, value
            yield from parts(value) if isinstance(value, dict) else ()


def wrong(tool: Tool) -> Iterator[str]:
    schema = tool.listed_schema
    if not NAME.fullmatch(tool.name):
        yield "its name"
    if schema.get("type") != "object" or {"anyOf", "oneOf", "allOf"} & schema.keys():
        yield "its root"
    yield from (f"property {name}" for name in schema["properties"] if not PROPERTY.fullmatch(name))
    for keyword, part in parts(schema):
        if isinstance(part, bool) and keyword != "additionalProperties":
            yield f"a bare {part}"
        if not isinstance(part, dict):
            continue
        known = cast(dict[str, Any], part)
        kind = known.get("type")
        if isinstance(kind, list) or (kind is not None and kind not in KNOWN_TYPES):
            yield f"the type {kind}"
        if kind == "array" and "items" not in known and "prefixItems" not in known:
            yield "an array without items"
        reference = known.get("$ref", "#/$defs/")
        if not reference.startswith("#/$defs/") or (len(reference) > 8 and reference[8:] not in schema["$defs"]):
            yield f"the reference {reference}"
        if "nullable" in known or isinstance(known.get("exclusiveMinimum"), bool):
            yield "a keyword of OpenAPI 3.0"


def test_every_tool_keeps_every_hosts_rules(tools: list[Tool]):
    assert [f"{tool.name}: {fault}" for tool in tools for fault in wrong(tool)] == []
    assert len({tool.name.casefold() for tool in tools}) == len(tools)


def test_what_is_listed_is_json_schema_2020_12(tools: list[Tool]):
    for tool in tools:
        validate.check(tool.listed_schema)
        assert len(tool.description) <= 1000 and len(json.dumps(listed(tool))) < 24_000, tool.name


def test_every_example_validates(tools: list[Tool]):
    refused = {tool.name: faults for tool in tools if (faults := tool.prepare(example(tool.input_schema)).faults)}
    assert refused == {}
