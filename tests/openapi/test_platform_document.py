"""The Platform API's document: true to fal's facts, corrected where fal has words only, and in our own sentences."""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp import bundled
from fal_mcp.openapi.corrections import corrected, differences

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "platform" / "openapi.json"
OURS: dict[str, Any] = json.loads((bundled.schemas() / "platform.json").read_text("utf-8"))
CORRECTIONS: list[dict[str, Any]] = json.loads((bundled.schemas() / "platform-corrections.json").read_text("utf-8"))
LONGEST_SHARED = 30
PROSE = {"description", "summary", "title"}

Mutation = Callable[[dict[str, Any]], None]


def corpus() -> dict[str, Any]:
    if not CORPUS.is_file():
        pytest.skip(f"{CORPUS} is not here to compare with.")
    return json.loads(CORPUS.read_text("utf-8"))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["operationId"]: one for item in document["paths"].values() for one in item.values()}


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    shared = document["components"]["parameters"]
    found: list[dict[str, Any]] = operation.get("parameters", [])
    return [shared[one["$ref"].rsplit("/", 1)[-1]] if "$ref" in one else one for one in found]


def bodies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["schema"] for part in operation.get("requestBody", {}).get("content", {}).values()]


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property below `schema`, however deep."""
    if isinstance(schema, dict):
        source = cast(dict[str, Any], schema)
        yield from source.get("properties", {}).items()
        for part in source.values():
            yield from properties(part)
    elif isinstance(schema, list):
        for part in cast(list[Any], schema):
            yield from properties(part)


def arguments(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    named = {one["name"] for one in parameters(document, operation)}
    return named.union(*(body.get("properties", {}) for body in bodies(operation)))


def sentences(value: Any) -> set[str]:
    if isinstance(value, dict):
        source = cast(dict[str, Any], value)
        own = {part for key, part in source.items() if key in PROSE and isinstance(part, str)}
        return own.union(*(sentences(part) for part in source.values()))
    if isinstance(value, list):
        return set[str]().union(*(sentences(part) for part in cast(list[Any], value)))
    return set()


def runs(text: str) -> set[str]:
    """Every run of `LONGEST_SHARED` characters, with case and line breaks set aside."""
    plain = re.sub(r"\s+", " ", text).casefold()
    return {plain[start : start + LONGEST_SHARED] for start in range(len(plain) - LONGEST_SHARED + 1)}


def schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from document["components"]["schemas"].values()
    for operation in operations(document).values():
        yield from (one["schema"] for one in parameters(document, operation))
        yield from bodies(operation)
        for answer in operation["responses"].values():
            yield from (part["schema"] for part in answer.get("content", {}).values())


def shuffled(value: Any, order: random.Random) -> Any:
    """`value` with its keys, and its lists of types, values and forms, in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(part, order)) for key, part in cast(dict[str, Any], value).items()]
        return dict(order.sample(items, len(items)))
    if isinstance(value, list):
        parts = [shuffled(part, order) for part in cast(list[Any], value)]
        return order.sample(parts, len(parts))
    return value


def test_no_fact_is_other_than_fals():
    """The corpus is fal's document as it was when ours was made; `fal-mcp doctor` compares with today's."""
    assert differences(OURS, corpus()) == []


def test_all_operations_are_there():
    """Fact F10.7: 82 since 2026-08-04."""
    assert len(operations(OURS)) == 82


def drop_a_parameter(document: dict[str, Any]) -> None:
    del document["paths"]["/models"]["get"]["parameters"][-1]


def tighten_a_parameter(document: dict[str, Any]) -> None:
    document["components"]["parameters"]["Limit100"]["schema"]["maximum"] = 50


def change_an_enum(document: dict[str, Any]) -> None:
    status = next(one for one in document["paths"]["/models"]["get"]["parameters"] if one.get("name") == "status")
    status["schema"]["enum"] = ["active", "retired"]


def add_an_operation(document: dict[str, Any]) -> None:
    document["paths"]["/secrets"] = {"get": {"operationId": "listSecrets", "responses": {}}}


def drop_an_operation(document: dict[str, Any]) -> None:
    del document["paths"]["/meta"]


def move_an_operation(document: dict[str, Any]) -> None:
    document["paths"]["/metadata"] = document["paths"].pop("/meta")


def swap_a_key(document: dict[str, Any]) -> None:
    document["paths"]["/keys"]["get"]["security"] = [{"apiKey": []}]


def require_a_property(document: dict[str, Any]) -> None:
    body = document["paths"]["/compute/instances"]["post"]["requestBody"]
    body["content"]["application/json"]["schema"]["required"].append("sector")


def rename_a_property(document: dict[str, Any]) -> None:
    body = document["paths"]["/keys"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body["properties"]["name"] = body["properties"].pop("alias")


def change_a_status(document: dict[str, Any]) -> None:
    answers = document["paths"]["/keys"]["post"]["responses"]
    answers["200"] = answers.pop("201")


def forbid_null(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Asset"]["properties"]["width"]["type"] = "number"


@pytest.mark.parametrize(
    ("mutation", "found"),
    [
        (drop_a_parameter, {"Operation 'getModels', parameter 'expand' in query is gone."}),
        (
            tighten_a_parameter,
            {
                f"Operation {one!r}, parameter 'limit' in query, schema, maximum was 100 and is 50."
                for one in (
                    *("listRequestsByEndpoint", "listAssetCollections", "listAssetCharacters"),
                    *("serverlessListAppRevisions", "serverlessListRequestsByEndpoint"),
                )
            },
        ),
        (
            change_an_enum,
            {
                "Operation 'getModels', parameter 'status' in query, schema, enum, 'retired' is new.",
                "Operation 'getModels', parameter 'status' in query, schema, enum, 'deprecated' is gone.",
            },
        ),
        (add_an_operation, {"Operation 'listSecrets' is new."}),
        (drop_an_operation, {"Operation 'getMeta' is gone."}),
        (move_an_operation, {'Operation \'getMeta\', route was "GET /meta" and is "GET /metadata".'}),
        (swap_a_key, {'Operation \'listApiKeys\', key was "adminApiKey" and is "apiKey".'}),
        (
            require_a_property,
            {"Operation 'createComputeInstance', body, application/json, required, 'sector' is new."},
        ),
        (
            rename_a_property,
            {
                "Operation 'createApiKey', body, application/json, property 'name' is new.",
                "Operation 'createApiKey', body, application/json, property 'alias' is gone.",
            },
        ),
        (
            change_a_status,
            {"Operation 'createApiKey', answer 200 is new.", "Operation 'createApiKey', answer 201 is gone."},
        ),
        (
            forbid_null,
            {
                f"Operation {one!r}, answer {status}, application/json, {place}property 'width', type, 'null' is gone."
                for one, status, place in (
                    ("listAssets", 200, "property 'assets', items, "),
                    ("listAssetCollectionAssets", 200, "property 'assets', items, "),
                    ("uploadAsset", 201, "property 'asset', "),
                    ("getAsset", 200, "property 'asset', "),
                )
            },
        ),
    ],
)
def test_whatever_fal_changes_is_named(mutation: Mutation, found: set[str]):
    theirs = copy.deepcopy(OURS)
    mutation(theirs)
    assert set(differences(OURS, theirs)) == found


def test_what_fal_calls_a_thing_is_cleaned():
    theirs = copy.deepcopy(OURS)
    theirs["paths"]["/x"] = {"get": {"operationId": "evil\x1b[31m\u202e" + "x" * 5000}}
    (sentence,) = differences(OURS, theirs)
    assert len(sentence) <= 300 and "\x1b" not in sentence and "\u202e" not in sentence


@settings(max_examples=10, deadline=None)
@given(st.integers())
def test_sentences_and_order_are_no_facts(seed: int):
    theirs = shuffled(OURS, random.Random(seed))
    theirs["paths"]["/meta"]["get"] |= {"description": "Other words.", "x-mint": {"content": "more"}}
    assert differences(OURS, theirs) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$ref", "parameters", "requestBody", "responses", "content", "schema", "type", "anyOf"])
            | st.sampled_from(["properties", "items", "security", "name", "200", "application/json"]),
            inner | st.just("#/paths/~1x/get"),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_an_operation_of_any_shape_is_compared(operation: Any):
    """What fal serves is never trusted to be what it should be, nor to end."""
    theirs = {"paths": {"/x": {"get": operation}}}
    assert len(differences({"paths": {}}, theirs)) == isinstance(operation, dict)
    assert differences(theirs, theirs) == []


def test_a_schema_that_holds_itself_is_compared():
    itself = {"$ref": "#/components/schemas/Node"}
    node = {"type": "object", "properties": {"left": itself, "right": itself, "rest": {"anyOf": [itself, {}]}}}
    body = {"content": {"application/json": {"schema": itself}}}
    theirs = {"paths": {"/x": {"post": {"requestBody": body}}}, "components": {"schemas": {"Node": node}}}
    assert differences(theirs, copy.deepcopy(theirs)) == []


@pytest.mark.parametrize("operation_id", operations(OURS))
def test_every_operation_and_argument_is_described_in_a_short_sentence(operation_id: str):
    operation = operations(OURS)[operation_id]
    assert 2 <= len(operation["summary"].split()) <= 6
    assert 20 < len(operation["description"]) <= 240
    given = [(one["name"], one) for one in parameters(OURS, operation)]
    given += [pair for body in bodies(operation) for pair in properties(body)]
    assert [name for name, part in given if not 3 < len(part.get("description", "")) <= 120] == []


def test_no_sentence_is_fals():
    theirs = set[str]().union(*(runs(text) for text in sentences(corpus())))
    ours = sentences(OURS) | {one["reason"] for one in CORRECTIONS}
    assert [text for text in ours if runs(text) & theirs] == []


@pytest.mark.parametrize("document", [OURS, corrected(OURS, CORRECTIONS)], ids=["as fal states it", "corrected"])
def test_every_schema_is_one(document: dict[str, Any]):
    for schema in schemas(document):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda one: f"{one['operation']} {one.get('argument', '')}")
def test_every_correction_hits_something_and_says_why_and_when(correction: dict[str, Any]):
    assert corrected(OURS, [correction]) != corrected(OURS, [])
    assert len(correction["reason"]) > 20 and date.fromisoformat(correction["date"]) <= date.today()


def test_rules_between_arguments_name_arguments():
    document = corrected(OURS, CORRECTIONS)
    rules = ("x-exactly-one-of", "x-at-least-one-of", "x-at-most-one-of")
    named = {
        (name, argument)
        for name, operation in operations(document).items()
        for rule in rules
        for group in operation.get(rule, [])
        for argument in group
    }
    assert len(named) > 20
    assert [pair for pair in named if pair[1] not in arguments(document, operations(document)[pair[0]])] == []


def test_a_correction_of_a_shared_parameter_is_for_its_operation_alone():
    before = copy.deepcopy(OURS)
    document = corrected(OURS, [{"operation": "getUsage", "argument": "limit", "set": {"maximum": 7}}])
    assert differences(OURS, document) == [
        "Operation 'getUsage', parameter 'limit' in query, schema, maximum is new: 7."
    ]
    assert before == OURS


@pytest.mark.parametrize(
    "missed",
    [
        {"operation": "noSuch", "argument": "limit"},
        {"operation": "getModels", "argument": "no_such"},
        {"operation": "getModels", "pointer": "/requestBody/content"},
    ],
)
def test_a_correction_that_hits_nothing_is_refused(missed: dict[str, str]):
    with pytest.raises(ValueError, match=f"{missed['operation']!r} hits nothing"):
        corrected(OURS, [{**missed, "set": {"maximum": 1}}])
