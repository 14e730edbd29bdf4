"""One bad document never costs another."""

import hashlib
from pathlib import Path
from typing import Any

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import tool_name
from fal_mcp.catalog.source import Folder
from tests.documents import document, put


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def test_each_bad_document_is_named_with_its_reason_and_the_good_one_works(tmp_path: Path):
    good = {"type": "object", "properties": {"prompt": {"type": "string"}}}
    put(tmp_path, "a/good", document("a/good", good))
    put(tmp_path, "a/text", "not json {")
    put(tmp_path, "a/deep", document("a/deep", deep(60)))
    put(tmp_path, "a/nested", "[" * 100_000)
    put(tmp_path, "a/remote", document("a/remote", {"type": "object", "properties": {"x": {"$ref": "https://e.x/s"}}}))
    put(tmp_path, "a/array", document("a/array", {"type": "array"}))
    put(tmp_path, "a/union", document("a/union", {"anyOf": [good]}))
    put(tmp_path, "a/other", document("b/other", good))
    put(tmp_path, "a/empty", {})
    put(tmp_path, "a/failed", {"error": {"code": "expansion_failed"}})
    put(tmp_path, "a/name", document("a/name", {"type": "object", "properties": {"bad name": {}}}))
    catalog = Catalog(Folder(tmp_path))
    usable = {endpoint.endpoint_id: endpoint.oddities for endpoint in catalog.endpoints()}
    assert usable.keys() == {"a/good", "a/deep", "a/remote", "a/name"}
    assert usable.pop("a/good") == () and all(len(oddities) == 1 for oddities in usable.values())
    problems = catalog.problems()
    assert len(problems) == 7
    assert all(reason.endswith((".", ").")) and len(reason) < 200 for reason in problems.values())
    assert "nested too deep" in problems["a/nested"]


def test_two_ids_with_one_tool_name_keep_the_first(tmp_path: Path):
    schema = {"type": "object"}
    put(tmp_path, "a/b.c", document("a/b.c", schema))
    put(tmp_path, "a/b_c", document("a/b_c", schema))
    catalog = Catalog(Folder(tmp_path))
    assert len(list(catalog.endpoints())) == 1
    assert "tool name" in next(iter(catalog.problems().values()))


def test_references_become_definitions_and_old_habits_become_2020_12(tmp_path: Path):
    schema = {
        "type": "object",
        "properties": {
            "size": {"$ref": "#/components/schemas/Size"},
            "seed": {"type": "integer", "nullable": True, "description": " the\n seed "},
            "over": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            "title": {"type": ["string", "null"], "title": "Title"},
            "any": True,
        },
        "x-fal-order-properties": ["title", "size"],
    }
    put(tmp_path, "a/b", document("a/b", schema, Size={"type": "object", "properties": {"w": {"type": "integer"}}}))
    endpoint = Catalog(Folder(tmp_path)).get("a/b")
    assert endpoint is not None
    assert endpoint.input_schema == {
        "type": "object",
        "properties": {
            "title": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "size": {"$ref": "#/$defs/Size"},
            "seed": {"description": "the seed", "anyOf": [{"type": "integer"}, {"type": "null"}]},
            "over": {"type": "number", "exclusiveMinimum": 0},
            "any": {},
        },
        "$defs": {"Size": {"type": "object", "properties": {"w": {"type": "integer"}}}},
    }
    assert list(endpoint.input_schema["properties"])[:2] == ["title", "size"]


def test_a_long_id_keeps_45_characters_and_a_hash():
    """The rule of the name, for one id worked out by hand."""
    name = tool_name("fal-ai/" + "x" * 60)
    assert name == "fal-ai_" + "x" * 38 + "_" + hashlib.sha256(("fal-ai/" + "x" * 60).encode()).hexdigest()[:8]
    assert tool_name("fal-ai/wan/v2.2-5b") == "fal-ai_wan_v2_2-5b"


def test_a_bad_line_of_the_items_costs_that_line_and_each_item_is_read_whenever_it_is_asked_for(tmp_path: Path):
    (tmp_path / "models").mkdir()
    for name in ("a/one", "a/two", "a/three"):
        put(tmp_path / "models", name, document(name, {"type": "object"}))
    lines = [
        b'{"endpoint_id": "a/one", "metadata": {"category": "text-to-image", "display_name": "One"}}',
        b'{"endpoint_id": "a/two", "metadata": {"category": "text-to-vid',
        b'{"endpoint_id": 7}',
        b"[" * 5000,
        b"\xff\xfe",
        b'{"endpoint_id": "a/three", "metadata": {"category": "llm", "display_name": "\xff"}}',
        b'{"endpoint_id": "a/none", "metadata": "text"}',
    ]
    (tmp_path / "catalog.jsonl").write_bytes(b"\n".join(lines))
    catalog = Catalog(Folder(tmp_path / "models"))
    for _ in range(2):
        # What has no item has the category of its document.
        assert [catalog.category(name) for name in ("a/one", "a/two", "a/three")] == ["text-to-image"] * 2 + ["llm"]
        assert catalog.metadata("a/one")["display_name"] == "One" and catalog.metadata("a/three")["display_name"] == "�"
        assert catalog.metadata("a/two") == catalog.metadata("a/none") == catalog.metadata("nobody/nothing") == {}
    assert catalog.category("nobody/nothing") == ""
