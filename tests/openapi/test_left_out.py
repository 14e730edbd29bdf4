"""What was left out is left out, however it was said; repairs reach inside; a refusal says all that has to change."""

from typing import Any

import anyio
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp.errors import InvalidInput
from fal_mcp.openapi import faults, left_out
from fal_mcp.openapi.schema import Schema
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool, prepare
from tests.converters.tools import own_tools
from tests.openapi.odd import VALUES

SCHEMA: Schema = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string"},
        "negative": {"type": "string"},
        "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "steps": {"type": "integer", "minimum": 1},
        "format": {"type": "string", "enum": ["png", "jpeg"]},
        "blank": {"type": "string", "enum": ["", "a"]},
        "loop": {"type": "boolean"},
        "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "string", "enum": ["square"]}]},
        "loras": {"type": "array", "items": {"$ref": "#/$defs/Lora"}},
        "video": {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
        "level": {"type": "integer", "enum": [1, 2]},
        "free": {"type": "object"},
        "address": {"type": "string", "pattern": "^https://"},
        "colour": {"anyOf": [{"type": "string", "pattern": "^#[0-9a-f]{6}$"}, {"type": "null"}]},
        "maybe": {"type": "string", "pattern": "^[a-z]*$"},
        "either": {"anyOf": [{"type": "string", "pattern": "^#"}, {"type": "string", "minLength": 1}]},
        "numbers": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "$defs": {
        "Size": {"type": "object", "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}}},
        "Lora": {
            "type": "object",
            "required": ["path"],
            "properties": {"path": {"type": "string"}, "scale": {"type": "number"}, "weight": {"type": "string"}},
        },
    },
}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"negative": None, "steps": None, "format": None, "loop": None, "size": None, "loras": None}, {}),
        ({"steps": "", "format": "", "loop": "", "size": "", "level": "", "loras": ""}, {}),
        ({"seed": None}, {"seed": None}),
        ({"negative": ""}, {"negative": ""}),
        ({"blank": ""}, {"blank": ""}),
        ({"seed": ""}, {}),
        ({"address": "", "colour": ""}, {}),
        ({"maybe": ""}, {"maybe": ""}),
        ({"nobody_knows_it": None}, {}),
        ({"free": {"any": None, "name": ""}}, {"free": {"any": None, "name": ""}}),
        ({"numbers": {"a": None, "b": 1, "c": ""}}, {"numbers": {"b": 1}}),
        ({"size": {"width": 5, "height": None}}, {"size": {"width": 5}}),
        ({"size": {"width": "", "height": 7}}, {"size": {"height": 7}}),
        (
            {"loras": [{"path": "p", "scale": None}, {"path": "q"}]},
            {"loras": [{"path": "p"}, {"path": "q"}]},
        ),
    ],
)
def test_null_and_an_empty_text_are_left_out_where_they_mean_nothing(sent: dict[str, Any], kept: dict[str, Any]):
    """Without a word: nothing was put right, since nothing was meant."""
    prepared = prepare(SCHEMA, {"prompt": "x", **sent})
    assert (prepared.arguments, prepared.notes, prepared.faults) == ({"prompt": "x", **kept}, (), ())


def test_what_is_required_cannot_be_left_out_and_is_told_in_jsons_words():
    assert [str(fault) for fault in prepare(SCHEMA, {"prompt": None}).faults] == ["$.prompt: null is not a string."]
    told = prepare(SCHEMA, {"prompt": True, "loras": [None], "level": {"a": None}}).faults
    said = " ".join(map(str, told))
    assert "true is not a string" in said and "null is not an object" in said and '{"a": null}' in said
    assert "None" not in said and "True" not in said


@given(st.dictionaries(st.sampled_from(list(SCHEMA["properties"])), VALUES, max_size=4))
@settings(max_examples=150, deadline=None)
def test_leaving_out_never_makes_a_fault_and_never_touches_what_fits(sent: dict[str, Any]):
    prepared = prepare(SCHEMA, sent)
    if not faults.find(SCHEMA, sent):
        assert prepared.arguments == sent and prepared.notes == ()
    if all(value == value for value in sent.values()) and not prepared.faults:
        assert left_out.without(SCHEMA, prepared.arguments) == prepared.arguments


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"size": {"width": "512"}}, {"size": {"width": 512}}),
        ({"size": '{"width": "512", "height": 7}'}, {"size": {"width": 512, "height": 7}}),
        ({"loras": [{"path": "p", "scale": "0.5"}]}, {"loras": [{"path": "p", "scale": 0.5}]}),
        ({"loras": '[{"path": "p", "scale": "0.5"}]'}, {"loras": [{"path": "p", "scale": 0.5}]}),
        ({"video": "https://e.x/a.mp4"}, {"video": {"url": "https://e.x/a.mp4"}}),
        ({"level": "2"}, {"level": 2}),
    ],
)
def test_what_is_inside_is_put_right_too_and_said(sent: dict[str, Any], meant: dict[str, Any]):
    prepared = prepare(SCHEMA, {"prompt": "x", **sent})
    assert prepared.arguments == {"prompt": "x", **meant} and len(prepared.notes) == 1 and prepared.faults == ()


def test_a_refusal_also_says_what_alone_would_have_been_put_right():
    wrong, *besides = prepare(SCHEMA, {"prompt": 3, "stepps": "4"}).faults
    assert str(wrong) == "$.prompt: 3 is not a string."
    said = " ".join(map(str, besides))
    assert "would have been put right: 'stepps' was read as 'steps'" in said and "'4' was read as a number" in said


def test_every_own_tool_takes_null_for_every_argument_that_may_be_left_out():
    """Clients that fill in what was not given send null for it: none of the tools is closed to them."""
    refused: list[str] = []
    for tool in own_tools():
        needed = tool.input_schema.get("required", [])
        nulls = {name: None for name in tool.input_schema["properties"] if name not in needed}
        refused += [f"{tool.name}: {fault}" for fault in prepare(tool.input_schema, nulls).faults if fault.path != "$"]
    assert refused == []


class Odd(Arguments):
    """What pydantic refuses and JSON Schema does not: a `$` that stands before a last line break."""

    name: str = pydantic.Field(pattern="^[a-z]+$")
    count: int = 1


async def _never(arguments: Odd, call: Any) -> Any:
    raise AssertionError("it was let through")


@pytest.mark.parametrize(
    "given_arguments",
    [{"name": "abc\n"}, {"name": 7}, {"count": 1}, {"name": "a", "more": 1}, {"name": "a", "count": "x"}],
)
async def test_what_pydantic_refuses_is_an_argument_fault_with_its_path(given_arguments: dict[str, Any]):
    tool: Tool = from_function.tool(Odd, _never, name="odd", title="Odd", description="Odd.", effect="reads")
    call: Any = None
    with anyio.fail_after(5), pytest.raises(InvalidInput, match="before anything was sent") as refused:
        await tool.run(given_arguments, call)
    assert all(fault.path.startswith("$.") for fault in refused.value.faults) and refused.value.faults
