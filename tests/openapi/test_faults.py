"""What a caller is told about wrong arguments."""

import pytest

from fal_mcp.openapi import faults

SCHEMA = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "minLength": 2},
        "steps": {"type": "integer", "minimum": 1, "maximum": 50},
        "format": {"type": "string", "enum": ["jpeg", "png"]},
        "size": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "string", "enum": ["square", "portrait"]}]},
        "loras": {"type": "array", "items": {"type": "object", "properties": {"scale": {"type": "number"}}}},
    },
    "$defs": {"Size": {"type": "object", "properties": {"width": {"type": "integer", "exclusiveMinimum": 0}}}},
}


def said(arguments: dict[str, object]) -> list[str]:
    return [str(fault) for fault in faults.find(SCHEMA, arguments)]


def test_right_arguments_have_no_faults():
    assert said({"prompt": "ok", "size": {"width": 5}, "loras": [{"scale": 1}]}) == []


def test_every_fault_is_reported_at_once_with_path_rule_and_near_miss():
    """Every fault at once, its JSON path, the values or range, near-miss names."""
    assert said({"promt": "x", "steps": 99, "format": "jpg", "loras": [{"scale": "big"}]}) == [
        "$: required and missing: 'prompt'.",
        "$.format: 'jpg' is not one of 'jpeg', 'png'. Did you mean 'jpeg' or 'png'?",
        "$.loras[0].scale: 'big' is not a number.",
        "$.promt: there is no such argument. Did you mean 'prompt'?",
        "$.steps: 99 is outside the range: at least 1, at most 50.",
    ]


def test_a_fault_inside_a_union_is_that_of_the_form_that_was_meant():
    assert said({"prompt": "ok", "size": {"width": 0}}) == ["$.size.width: 0 is outside the range: more than 0."]
    assert said({"prompt": "ok", "size": "squar"}) == [
        "$.size: 'squar' is not one of 'square', 'portrait'. Did you mean 'square'?"
    ]


def test_a_long_wrong_value_is_cut_and_cleaned():
    (fault,) = said({"prompt": "ok", "format": "x\u202e\x1b[31m" + "y" * 500})
    assert len(fault) < 200 and "\x1b" not in fault and "\u202e" not in fault


NUMBERS = [10**400, -(10**400), 1e308, -1e308, 5e-324, 0, -0.0, 0.15, 2**53 + 1, 10**30]
RULES = [
    {key: rule}
    for key in ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    for rule in (0.1, 8, 1e-320, 1e308, 10**30, 10**400)
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule)[:30])
def test_any_number_is_held_against_any_rule(rule: dict[str, float]):
    schema = {"type": "object", "properties": {"n": {"type": "number", **rule}, "i": {"type": "integer", **rule}}}
    for number in NUMBERS:
        for fault in faults.find(schema, {"n": number, "i": number}):
            assert str(fault)
