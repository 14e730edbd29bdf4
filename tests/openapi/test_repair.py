"""Arguments are put right where they can have meant one thing, and never otherwise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.openapi import faults
from fal_mcp.openapi.example import example
from fal_mcp.openapi.listed_schema import lean
from fal_mcp.openapi.repair import repair
from fal_mcp.openapi.schema import Schema
from fal_mcp.openapi.validate import check

SCHEMA: Schema = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string"},
        "image_url": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "image_urls": {"type": "array", "items": {"type": "string"}},
        "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 50},
        "guidance_scale": {"type": "number"},
        "duration": {"type": "string", "enum": ["5", "10"]},
        "veo_duration": {"type": "string", "enum": ["4s", "6s", "8s"]},
        "style": {"type": "string", "enum": ["Cinematic", "Anime"]},
        "loop": {"type": "boolean"},
        "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "string", "enum": ["square"]}]},
    },
    "$defs": {"Size": {"type": "object", "properties": {"width": {"type": "integer"}}, "required": ["width"]}},
}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"num_inference_steps": "28"}, {"num_inference_steps": 28}),
        ({"guidance_scale": "3.5"}, {"guidance_scale": 3.5}),
        ({"loop": "true"}, {"loop": True}),
        ({"duration": 5}, {"duration": "5"}),
        ({"veo_duration": 8}, {"veo_duration": "8s"}),
        ({"style": "cinematic"}, {"style": "Cinematic"}),
        ({"size": '{"width": 512}'}, {"size": {"width": 512}}),
        ({"image_urls": "https://e.x/a.png"}, {"image_urls": ["https://e.x/a.png"]}),
        ({"image_urls": '["https://e.x/a.png"]'}, {"image_urls": ["https://e.x/a.png"]}),
        ({"image_url": ["https://e.x/a.png"]}, {"image_url": "https://e.x/a.png"}),
        ({"imageUrl": "https://e.x/a.png"}, {"image_url": "https://e.x/a.png"}),
        ({"promt": "a cat"}, {"prompt": "a cat"}),
        ({"numInferenceSteps": "4"}, {"num_inference_steps": 4}),
    ],
)
def test_what_can_only_have_meant_one_thing_is_put_right_and_said(sent: dict[str, Any], meant: dict[str, Any]):
    repaired, notes = repair(SCHEMA, sent)
    assert repaired == meant and len(notes) >= 1


@pytest.mark.parametrize(
    "sent",
    [
        {"num_inference_steps": "twenty"},
        {"num_inference_steps": "28.5"},
        {"num_inference_steps": "280"},
        {"duration": 7},
        {"style": "photo"},
        {"image_urls": "a picture of mine"},
        {"image_url": ["https://e.x/a.png", "https://e.x/b.png"]},
        {"loop": "yes"},
        {"colour": "red"},
        {"size": "{broken"},
    ],
)
def test_a_guess_is_never_made(sent: dict[str, Any]):
    assert repair(SCHEMA, sent) == (sent, ())


def test_free_text_is_left_alone():
    sent = {"prompt": '{"width": 512}', "image_url": "28"}
    assert repair(SCHEMA, sent) == (sent, ())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(list(SCHEMA["properties"])) | st.text(max_size=20)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_repair_never_makes_more_faults_and_touches_nothing_valid(sent: dict[str, Any]):
    repaired, notes = repair(SCHEMA, sent)
    assert len(faults.find(SCHEMA, repaired)) <= len(faults.find(SCHEMA, sent))
    assert bool(notes) == (repaired != sent) or repaired == sent
    if not faults.find(SCHEMA, sent):
        assert repaired == sent
    assert repair(SCHEMA, repaired) == (repaired, ())


def test_an_example_validates_and_has_what_is_required():
    assert example(SCHEMA) == {"prompt": "a lighthouse on a cliff at dusk, warm light in the windows"}


def test_the_lean_form_says_the_number_of_a_long_list_and_drops_needless_nulls():
    long = {"type": "string", "enum": [f"voice {n}" for n in range(277)], "description": "Who speaks."}
    schema: Schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "voice": long}}
    short = lean(schema)
    check(short)
    assert "enum" not in short["properties"]["voice"]
    assert "One of 277 values" in short["properties"]["voice"]["description"]
    assert short["properties"]["image_url"] == {"type": "string"}
    assert schema["properties"]["voice"] is long and len(long["enum"]) == 277
