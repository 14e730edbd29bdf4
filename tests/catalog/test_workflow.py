"""A workflow's document as an endpoint: what goes in, what it runs in which order, and what it costs. Fact F10.4."""

from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fal_mcp.catalog import workflow, workflow_price
from fal_mcp.catalog.endpoint import Endpoint, FileArgument, Price
from fal_mcp.catalog.workflow_steps import references_in, steps, with_input
from fal_mcp.openapi import validate
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.runs import pricing


def model(endpoint_id: str, price: Price | None, **properties: Any) -> Endpoint:
    schema = {"type": "object", "properties": properties}
    files = tuple(FileArgument((name,), "image", ("image/",)) for name in properties if name.endswith("_url"))
    return Endpoint(endpoint_id, endpoint_id, "text-to-image", "", schema, {}, files, price)


DRAW = model(
    "a/draw",
    Price(0.02, "images"),
    prompt={"type": "string", "description": "What to draw."},
    num_images={"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
)
GROW = model("a/grow", Price(0.1, "videos"), image_url={"type": "string"})
SAY = model("a/say", Price(0.03, "1k characters"), text={"type": "string"})
MODELS = {one.endpoint_id: one for one in (DRAW, GROW, SAY)}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("$a.images.0.url"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=4,
)
nodes = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["run", "display", "input", "loop", 7, None]) | json_values,
        "app": st.sampled_from([*MODELS, "no/body"]) | json_values,
        "depends": st.lists(st.sampled_from("abcd"), max_size=3) | json_values,
        "input": json_values,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "title": json_values,
        "description": json_values,
        "contents": st.fixed_dictionaries(
            {},
            optional={
                "nodes": st.dictionaries(st.sampled_from("abcd"), nodes | json_values, max_size=4) | json_values,
                "schema": st.fixed_dictionaries({}, optional={"input": json_values, "output": json_values})
                | json_values,
                "output": json_values,
            },
        )
        | json_values,
    },
)


def read(nodes: Any, **fields: Any) -> Endpoint:
    contents = {"nodes": nodes, "schema": {"input": fields, "output": {}}, "output": {}}
    return workflow.endpoint("workflows/me/it", {"title": "It", "contents": contents}, MODELS.get)


def run(app: str, *depends: str, **given: Any) -> dict[str, Any]:
    return {"type": "run", "app": app, "depends": list(depends), "input": given}


def quoted(endpoint: Endpoint, **given: Any) -> Any:
    return anyio.run(pricing.listed, endpoint, given)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents)
def test_whatever_a_document_says_it_is_a_valid_endpoint_or_refused_with_a_sentence(document: dict[str, Any]):
    try:
        endpoint = workflow.endpoint("workflows/me/it", document, MODELS.get)
    except UnusableDocument as error:
        assert str(error).endswith(".")
        return
    validate.check_in_full(endpoint.input_schema)
    assert endpoint.input_schema["type"] == "object" and endpoint.title
    assert {file.path[0] for file in endpoint.files} <= set(endpoint.input_schema["properties"])
    amount = quoted(endpoint).amount
    assert amount is None or 0 <= amount < 1e12


def test_an_input_is_what_the_model_takes_that_it_goes_into():
    endpoint = read(
        {
            "draw": run("a/draw", "input", prompt="$input.wish", num_images="$input.many"),
            "grow": run("a/grow", "draw", image_url="$input.still"),
        },
        wish={"type": "string", "required": True},
        many={"type": "integer"},
        still={"type": "string", "label": "The still"},
    )
    wish, many, still = (endpoint.input_schema["properties"][name] for name in ("wish", "many", "still"))
    assert wish == {"type": "string", "description": "What to draw."}
    assert (many["minimum"], many["maximum"]) == (1, 4)
    assert still["description"] == "The still"
    assert endpoint.input_schema["required"] == ["wish"]
    # A file though its name does not say so, and of the kind that the model takes.
    assert endpoint.files == (FileArgument(("still",), "image", ("image/",)),)


def test_without_a_schema_the_input_node_says_what_goes_in():
    given_nodes = {"input": {"type": "input", "input": {"prompt": ""}}, "d": run("a/draw", prompt="$input.prompt")}
    endpoint = workflow.endpoint("workflows/me/it", {"contents": {"nodes": given_nodes}}, MODELS.get)
    assert endpoint.input_schema["properties"]["prompt"]["type"] == "string"
    assert any("nothing of it is checked" in oddity for oddity in endpoint.oddities)
    assert validate.fits(endpoint.input_schema, {"anything": [1]})


def test_steps_stand_in_an_order_in_which_they_can_run():
    given_nodes = {
        "c": run("a/grow", image_url="$b.image.url"),
        "b": run("a/draw", "a"),
        "a": run("a/draw"),
        "show": {"type": "display", "depends": ["c"]},
        "odd": {"type": "loop"},
    }
    found, odd = steps(given_nodes, MODELS.get)
    assert [step.node_id for step in found] == ["a", "b", "c"]
    assert odd == ("The node 'odd' is of a kind that is not known here: 'loop'.",)


def test_nodes_in_a_circle_are_named():
    with pytest.raises(UnusableDocument, match=r"circle: .*(a.*b|b.*a)"):
        steps({"a": run("a/draw", "b"), "b": run("a/draw", "a")}, MODELS.get)


def test_ten_thousand_nodes_are_read_and_not_priced():
    endpoint = read({f"n{number}": run("a/draw", f"n{number - 1}") for number in range(10_000)})
    assert len(endpoint.steps) == 10_000
    assert quoted(endpoint).amount is None and "10,000 steps" in quoted(endpoint).note


def test_the_price_is_the_sum_of_the_steps_each_by_what_it_is_given():
    endpoint = read(
        {"draw": run("a/draw", num_images="$input.many"), "grow": run("a/grow", image_url="$draw.images.0.url")},
        many={"type": "integer", "default": 2},
    )
    assert quoted(endpoint).amount == pytest.approx(0.14)
    assert quoted(endpoint, many=4).amount == pytest.approx(0.18)
    assert "draw (a/draw) $0.08; grow (a/grow) $0.1" in quoted(endpoint, many=4).note


def test_a_text_that_a_step_will_write_has_no_price_beforehand():
    endpoint = read({"say": run("a/say", text="$llm.output"), "draw": run("a/draw")})
    assert quoted(endpoint).amount is None
    assert "say (a/say): how long its 'text' will be" in quoted(endpoint).note
    assert "the others come to $0.02" in quoted(endpoint).note


def test_a_step_of_an_unknown_model_makes_the_whole_unpriced():
    endpoint = read({"draw": run("a/draw"), "x": run("no/body")})
    assert quoted(endpoint).amount is None and "'no/body' is not in the catalog" in quoted(endpoint).note
    assert workflow_price.unpriced(read({})) is not None


@given(st.text(max_size=20))
def test_what_is_given_stands_in_the_place_of_a_reference_and_nothing_else_changes(wish: str):
    step = {"x": "$input.wish", "y": "$draw.images.0.url", "z": ["$input.wish", "costs $5"]}
    assert with_input(step, {"wish": wish}) == {**step, "x": wish, "z": [wish, "costs $5"]}


def test_references_within_a_text_are_found():
    assert list(references_in({"a": ["the $draw.x of $5"]})) == [("draw", ("x",)), ("5", ())]
