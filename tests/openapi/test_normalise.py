"""One odd part costs one part of a document, and what is made of it is valid, means the same, and comes to an end."""

import copy
import json
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fal_mcp import bundled
from fal_mcp.catalog import reader
from fal_mcp.json_values import list_of, object_of
from fal_mcp.openapi import document as documents
from fal_mcp.openapi import faults
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.openapi.normalise import bundle
from fal_mcp.openapi.schema import Schema, UnusableSchema
from fal_mcp.openapi.validate import check, check_in_full
from fal_mcp.tools import from_endpoint
from fal_mcp.tools.tool import prepare
from tests.documents import CORPUS, document
from tests.openapi.odd import COMPONENTS, SCHEMAS, VALUES

SIZE = {"type": "object", "properties": {"width": {"type": "integer"}}}
FOLDER = CORPUS / "models" if CORPUS.is_dir() else bundled.schemas() / "models"
REAL = sorted(FOLDER.glob("*.json"))


def of(part: Any, **components: Any) -> tuple[Schema, list[str]]:
    """The schema of an input with one argument `x`, and what was odd about it."""
    notes: list[str] = []
    return bundle({"type": "object", "properties": {"x": part}}, components, notes), notes


def takes(schema: Schema, value: Any) -> bool:
    return faults.find(schema, {"x": value}) == ()


@given(SCHEMAS, VALUES)
@settings(max_examples=150, deadline=None)
def test_whatever_stands_in_a_schema_becomes_a_valid_one_that_any_value_can_be_held_against(part: Any, value: Any):
    notes: list[str] = []
    schema = bundle({"type": "object", "properties": {"x": part}}, COMPONENTS, notes)
    check_in_full(schema)
    json.dumps(schema, allow_nan=False).encode()
    assert all(isinstance(fault.message, str) for fault in faults.find(schema, {"x": value}))
    prepare(schema, {"x": value})


@given(SCHEMAS)
@settings(max_examples=100, deadline=None)
def test_the_quick_check_lets_nothing_through_that_the_meta_schema_refuses(part: Any):
    assume(isinstance(part, dict))
    try:
        check(part)
    except UnusableSchema:
        return
    check_in_full(part)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something may be put."""
    found = [path]
    inner: list[tuple[Any, Any]] = [*object_of(value).items(), *enumerate(list_of(value))]
    for step, part in inner:
        found += places(part, (*path, step))
    return found


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_real_document_with_odd_values_in_it_is_read_or_refused_in_one_sentence(data: st.DataObject):
    """Any position of any document: what is raised is ours, and a tool that comes of it is listed and can be called."""
    whole = json.loads(data.draw(st.sampled_from(REAL), "document").read_text("utf-8"))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(whole)), "place")
        odd = copy.deepcopy(data.draw(VALUES, "value"))
        holder = whole
        for step in path[:-1]:
            holder = holder[step]
        if path and data.draw(st.booleans()):
            holder[path[-1]] = odd
        elif path and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["$ref", "type", "minimum", "anyOf", "properties", "ü\n"]))] = odd
    item: Any = data.draw(VALUES | st.just({"price": {"unit_price": 1e999, "unit": 3}}), "item")
    try:
        endpoint = reader.endpoint(whole, item)
    except UnusableDocument as error:
        assert str(error).endswith((".", ")")) and "\n" not in str(error) and len(str(error)) < 400
        return
    tool = from_endpoint.tool(endpoint)
    check_in_full(tool.listed_schema)
    json.dumps(tool.listed_schema, allow_nan=False).encode()
    tool.prepare({"prompt": "a cat", "image_url": None})


MENDED: list[Any] = [
    ({"type": "file"}, {"type": "string"}, None),
    ({"type": "any"}, {}, "'type'"),
    ({"type": "STRING"}, {"type": "string"}, None),
    ({"type": 7}, {}, "'type'"),
    ({"type": ["string", "blob"]}, {"type": "string"}, None),
    ({"type": "integer", "minimum": "0"}, {"type": "integer", "minimum": 0}, None),
    ({"type": "integer", "minimum": "low"}, {"type": "integer"}, "'minimum'"),
    ({"type": "integer", "minimum": float("nan")}, {"type": "integer"}, "'minimum'"),
    ({"type": "integer", "minimum": 9, "maximum": 1}, {"type": "integer"}, "above"),
    ({"type": "string", "required": True}, {"type": "string"}, "'required'"),
    ({"type": "string", "enum": []}, {"type": "string"}, "'enum'"),
    ({"type": "string", "enum": "a"}, {"type": "string"}, "'enum'"),
    ({"type": "string", "maxLength": -1}, {"type": "string"}, "'maxLength'"),
    ({"type": "string", "pattern": "(?<hex>[0-9"}, {"type": "string"}, "'pattern'"),
    ({"type": "string", "pattern": r"(a)\1"}, {"type": "string"}, "'pattern'"),
    ({"type": "number", "multipleOf": 0}, {"type": "number"}, "'multipleOf'"),
    ({"properties": [1]}, {}, "properties"),
    ({"anyOf": {}}, {}, "list of schemas"),
    ({"anyOf": [7]}, {"anyOf": [{}]}, "no schema"),
    ({"$ref": "https://example.com/s"}, {}, "off the document"),
    ({"$ref": "#/components/schemas/Gone"}, {}, "does not have"),
    ({"$ref": 7}, {}, "off the document"),
    (
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        None,
    ),
    ({"$id": "https://example.com/x", "type": "string"}, {"type": "string"}, None),
    (7, {}, "no schema"),
    (None, {}, "no schema"),
    (True, {}, None),
]


@pytest.mark.parametrize(("part", "kept", "odd"), MENDED)
def test_an_odd_part_is_mended_or_left_open_and_said(part: Any, kept: Schema, odd: str | None):
    schema, notes = of(part)
    assert schema["properties"]["x"] == kept
    assert (odd is None and notes == []) or (odd is not None and odd in notes[0] and notes[0].startswith("$.x"))


TOGETHER: list[Any] = [
    # One beside properties: both are meant.
    (
        {"allOf": [{"$ref": "#/components/schemas/Size"}], "properties": {"name": {"type": "string"}}},
        [{"width": 1, "name": "a"}],
        [{"width": "a"}, {"name": 1}, {"wide": 1}],
    ),
    # Two: the arguments of both are known.
    (
        {"allOf": [{"$ref": "#/components/schemas/Size"}, {"properties": {"h": {"type": "integer"}}}]},
        [{"width": 1, "h": 2}, {}],
        [{"h": "a"}, {"other": 1}],
    ),
    (
        {"allOf": [{"required": ["a"]}, {"required": ["b"], "properties": {"a": {}, "b": {}}}]},
        [{"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    # Beside a reference the stricter bound holds, whichever it is.
    ({"$ref": "#/components/schemas/Count", "minimum": 1}, [5, 9], [4, 11]),
    ({"$ref": "#/components/schemas/Count", "minimum": 7}, [7], [6]),
    ({"allOf": [{"minimum": 3}, {"minimum": 1}, {"maximum": 9}], "type": "integer"}, [3, 9], [2, 10, "a"]),
    ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, ["b"], ["a", "c"]),
    ({"allOf": [{"enum": ["a"]}, {"enum": ["b"]}]}, [], ["a", "b", None]),
    ({"allOf": [{"type": "number"}, {"type": "integer"}]}, [1], [1.5]),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, [], ["a", 1]),
    ({"allOf": [{"multipleOf": 4}, {"multipleOf": 6}]}, [12], [4, 6]),
    ({"allOf": [{"pattern": "^a"}, {"pattern": "b$"}]}, ["ab"], ["a", "b"]),
    (
        {
            "allOf": [
                {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            ]
        },
        [1],
        ["a"],
    ),
    # What one part closes, the other does not open.
    (
        {"allOf": [{"properties": {"a": {}}, "additionalProperties": False}, {"properties": {"b": {}}}]},
        [{"a": 1}],
        [{"b": 1}],
    ),
    # A list of types does not let null in beside values that have none.
    ({"type": ["string", "null"], "enum": ["a", "b"]}, ["a"], [None, "c"]),
    ({"type": ["string", "null"], "enum": ["a", None]}, ["a", None], ["b"]),
    ({"type": "string", "nullable": True}, ["a", None], [1]),
    ({"type": ["integer", "string"], "minimum": 3}, [3, "a"], [2]),
    ({"type": "number", "multipleOf": 0.05}, [0.15, 0.35, 1], [0.12]),
    ({"type": "string", "minLength": 2, "nullable": True}, ["ab", None], ["a"]),
]


@pytest.mark.parametrize(("part", "fits", "does_not"), TOGETHER)
def test_schemas_together_mean_what_json_schema_says(part: Any, fits: list[Any], does_not: list[Any]):
    schema, notes = of(part, Size=SIZE, Count={"type": "integer", "minimum": 5, "maximum": 10})
    assert notes == []
    assert [value for value in fits if not takes(schema, value)] == []
    assert [value for value in does_not if takes(schema, value)] == []


def circle(keyword: str) -> dict[str, Any]:
    return {
        "X": {keyword: [{"$ref": "#/components/schemas/Y"}, {"type": "string"}]},
        "Y": {"$ref": "#/components/schemas/X"},
    }


@pytest.mark.parametrize(
    "components",
    [circle("anyOf"), circle("oneOf"), circle("allOf"), {"X": {"not": {"$ref": "#/components/schemas/X"}}}],
)
def test_what_is_itself_comes_to_an_end(components: Any):
    schema, _ = of({"$ref": "#/components/schemas/X"}, **components)
    check_in_full(schema)
    assert isinstance(takes(schema, "a"), bool) and isinstance(takes(schema, {"a": [1]}), bool)


def test_references_that_double_at_each_step_stay_within_bounds():
    """Thirty components that each hold the next twice: a billion, written out."""
    names = [f"C{number}" for number in range(30)]
    components: dict[str, Any] = {
        name: {
            "type": "object",
            "properties": {side: {"$ref": f"#/components/schemas/{after}", "minProperties": 0} for side in "ab"},
        }
        for name, after in zip(names, [*names[1:], "End"], strict=True)
    }
    began = time.monotonic()
    schema, notes = of({"$ref": "#/components/schemas/C0"}, **components, End={"type": "string"})
    assert notes and takes(schema, {"a": {"b": {}}})
    assert time.monotonic() - began < 20


def of_two_types(depth: int) -> Any:
    part: Any = {"type": "string"}
    for _ in range(depth):
        part = {"type": ["object", "array"], "properties": {"a": part}}
    return part


def named(*names: str) -> Any:
    anything: Schema = {}
    return {"properties": dict.fromkeys(names, anything)}


def of_other_names(depth: int) -> Any:
    part: Any = {"type": "string"}
    for _ in range(depth):
        part = {"allOf": [named(*"abc"), {"additionalProperties": part}]}
    return part


def of_many_parts(count: int) -> Any:
    return {"allOf": [named(f"p{number}") for number in range(count)]}


# So deep that without a bound each takes about a minute, and not for ever.
@pytest.mark.parametrize(
    "part",
    [of_two_types(22), of_other_names(13), of_many_parts(12_000)],
    ids=["types", "other names", "parts"],
)
def test_what_is_written_out_more_than_once_stays_within_bounds(part: Any):
    began = time.monotonic()
    schema, notes = of(part)
    check_in_full(schema)
    assert any("too large" in note for note in notes) and isinstance(takes(schema, {"a": 1}), bool)
    assert time.monotonic() - began < 10


def test_what_is_written_out_a_few_times_is_kept_whole():
    schema, notes = of(of_two_types(4))
    assert notes == [] and takes(schema, {"a": {"a": {"a": {"a": "x"}}}})
    assert not takes(schema, {"a": {"a": {"a": {"a": 7}}}})
    schema, notes = of(of_other_names(3))
    assert notes == [] and takes(schema, {"a": 1, "d": {"e": {"f": "x"}}})
    assert not takes(schema, {"a": 1, "d": {"e": {"f": 7}}})


def test_alternatives_that_lead_to_the_same_place_are_not_gone_through_again_and_again():
    """Nineteen components, each the next one or the next one: half a million ways to the same fault."""
    components = {
        f"C{number}": {"anyOf": [{"$ref": f"#/components/schemas/C{number + 1}"}, {"type": "array"}] * 2}
        for number in range(19)
    }
    began = time.monotonic()
    schema, notes = of({"$ref": "#/components/schemas/C0"}, **components, C19={"type": "string"})
    assert notes == [] and takes(schema, "a") and takes(schema, []) and not takes(schema, 7)
    prepare(schema, {"x": 7})
    assert time.monotonic() - began < 10


def test_a_value_of_alternatives_that_hold_their_own_kind_is_checked_in_time():
    inner = {"$ref": "#/components/schemas/Node"}
    forms = [{"type": "object", "properties": {"a": inner, other: {"type": "string"}}} for other in "bc"]
    good: Any = {}
    bad: Any = {"a": 7}
    for _ in range(19):
        good, bad = {"a": good}, {"a": bad}
    began = time.monotonic()
    schema, _ = of(inner, Node={"anyOf": forms})
    assert takes(schema, good) and not takes(schema, bad)
    prepare(schema, {"x": bad})
    assert time.monotonic() - began < 10


def test_each_of_many_wrong_items_that_are_the_same_is_told_what_is_wrong():
    schema, _ = of({"type": "array", "items": {"$ref": "#/components/schemas/Size", "description": "x"}}, Size=SIZE)
    found = faults.find(schema, {"x": [{"width": "a"}] * 10})
    assert len(found) == 10 and len({fault.message for fault in found}) == 1 and "integer" in found[0].message


def test_a_fault_in_what_comes_out_costs_no_tool():
    for output in ({"$ref": "#/components/schemas/Gone"}, 7, None, {"type": "file"}, {"anyOf": [{"$ref": "x"}]}):
        whole = document("a/b", {"type": "object", "properties": {"prompt": {"type": "string"}}}, Out=output)
        assert list(reader.endpoint(whole).input_schema["properties"]) == ["prompt"]
    whole = document("a/b", {"type": "object", "properties": {}})
    del whole["paths"]["/a/b/requests/{request_id}"]
    read = documents.read(whole)
    assert read.output_schema == {} and read.oddities[0].startswith("In what comes out: ")


def test_an_argument_whose_name_hosts_refuse_is_left_out_alone():
    whole = document("a/b", {"type": "object", "properties": {"prompt": {"type": "string"}, "bad name": {}}})
    endpoint = reader.endpoint(whole)
    assert list(endpoint.input_schema["properties"]) == ["prompt"] and "'bad name'" in endpoint.oddities[0]


async def test_a_pattern_never_keeps_the_server_busy():
    """`^(a+)+$` takes Python's own engine half a minute over 28 letters, and the event loop with it."""
    schema, notes = of({"type": "string", "pattern": "^(a+)+$"})
    assert notes == []
    with anyio.fail_after(5):
        await anyio.lowlevel.checkpoint()
        assert takes(schema, "a" * 30)
        for text in ("a" * 30 + "!", "a" * 99_999 + "!", "a" * 1_000_000 + "!"):
            took = time.monotonic()
            takes(schema, text)
            assert time.monotonic() - took < 1
    assert not takes(schema, "a" * 28 + "!")


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"^\p{L}{2,}$", "né", True),
        (r"^\p{L}{2,}$", "n1", False),
        (r"^(?<hex>[0-9a-f]+)$", "0af", True),
        (r"^(?<hex>[0-9a-f]+)$", "xyz", False),
        (r"^(?P<hex>[0-9a-f]+)$", "xyz", False),
        (r"^\w+$", "abc\n", False),
        (r"^a{2,3}$", "aaaa", False),
        ("b", "abc", True),
        # What this cannot read is not held against anything.
        (r"(a)\1", "b", True),
        (r"^(?=a)b", "b", True),
        ("[", "b", True),
        ("x" * 600, "b", True),
        ("(" * 300 + ")" * 300, "b", True),
        ("(?:(?:(?:a{1000}){1000}){1000})", "b", True),
    ],
)
def test_patterns_of_any_dialect_are_read_or_ignored(pattern: str, text: str, fits: bool):
    schema, _ = of({"type": "string", "pattern": pattern})
    assert takes(schema, text) is fits


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), "half a \ud83d", {"\ud83d": 1}, [[float("nan")]], 10**5000],
    ids=["nan", "inf", "-inf", "half", "half a name", "inside", "digits"],
)
def test_what_json_cannot_say_is_a_fault_of_its_argument(value: Any):
    schema, _ = of({})
    (fault,) = faults.find(schema, {"x": value})
    assert fault.path.startswith("$.x") and fault.message.encode()


def test_a_value_without_a_bottom_is_a_fault():
    value: Any = "a"
    for _ in range(5000):
        value = [value]
    for schema in (of({})[0], of({"type": "array"})[0]):
        assert "nested more than" in faults.find(schema, {"x": value})[0].message
        assert "nested more than" in prepare(schema, {"x": value}).faults[0].message
