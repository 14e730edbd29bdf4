"""Examples run: each has what its model needs, of the right kind, and nothing that only stands for a value."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.source import Folder
from fal_mcp.openapi import example_values, faults
from fal_mcp.openapi.example import Example, example, filled
from fal_mcp.tools import from_endpoint

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "models"
FOLDERS = [pytest.param(bundled.schemas() / "models", id="starter"), pytest.param(CORPUS, id="corpus")]
FILE = re.compile(r"https://(?:[a-z0-9]+\.)?(?:fal\.media|storage\.googleapis\.com/falserverless|huggingface\.co)/")
SPEAKS = re.compile(r"(?:text-to-speech|/tts|kokoro|vibevoice|orpheus|csm-1b|chatterbox)")
PICTURE = ("image", "image[]")


@pytest.fixture(scope="module", params=FOLDERS)
def models(request: pytest.FixtureRequest) -> list[Endpoint]:
    if not request.param.is_dir():
        pytest.skip(f"{request.param} is not here.")
    return list(Catalog(Folder(request.param)).endpoints())


def of(endpoint: Endpoint) -> Example:
    return filled(endpoint.input_schema, endpoint.category, endpoint.endpoint_id)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is not a list or an object, with the name of the argument it stands in."""
    match value:
        case dict():
            for key, inner in cast(dict[str, Any], value).items():
                yield from leaves(inner, f"{name}_url" if key == "url" else key)
            if not value:
                yield name, value
        case list():
            for inner in cast(list[Any], value):
                yield from leaves(inner, name)
        case _:
            yield name, value


def kinds(endpoint: Endpoint) -> set[str]:
    """Of the files in its example."""
    return {
        example_values.kind_of(name)
        for name, value in leaves(of(endpoint).arguments)
        if isinstance(value, str) and value.startswith("https://")
    }


def words(endpoint: Endpoint) -> list[str]:
    return [value for _, value in leaves(of(endpoint).arguments) if isinstance(value, str) and " " in value.strip()]


def test_every_example_is_taken_by_its_own_tool(models: list[Endpoint]):
    refused = {
        endpoint.endpoint_id: found
        for endpoint in models
        if (found := from_endpoint.tool(endpoint).prepare(of(endpoint).arguments).faults)
    }
    assert refused == {}


def test_no_example_is_empty_where_the_model_takes_anything(models: list[Endpoint]):
    assert [one.endpoint_id for one in models if one.input_schema["properties"] and not of(one).arguments] == []


def test_no_value_only_repeats_its_argument(models: list[Endpoint]):
    """`"model": "model"` teaches nothing; an empty object where something is needed is worse."""
    placeholders = [
        f"{endpoint.endpoint_id}: {name}={value!r}"
        for endpoint in models
        for name, value in leaves(of(endpoint).arguments)
        if value in ("", {}, "string", "text", "one") or value == name or value == name.replace("_", " ")
        if not _is_allowed(endpoint, name, value)
    ]
    assert placeholders == []


def _is_allowed(endpoint: Endpoint, name: str, value: Any) -> bool:
    """An enum that has the very value, such as `type: text`."""
    return f'"{value}"' in json.dumps(endpoint.input_schema) and ("enum" in json.dumps(endpoint.input_schema))


def test_every_file_is_one_of_a_few_that_exist(models: list[Endpoint]):
    addresses = {
        value
        for endpoint in models
        for name, value in leaves(of(endpoint).arguments)
        if isinstance(value, str) and (value.startswith("http") or example_values.IS_FILE.search(name))
    }
    assert [address for address in addresses if not FILE.match(address)] == []
    assert len(addresses) <= 16


def test_the_files_stand_in_fals_own_documents():
    if not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not here.")
    documents = "".join(file.read_text("utf-8") for file in CORPUS.glob("*.json"))
    assert [url for _, _, url in example_values.FILES if url not in documents] == []


RULES: dict[str, tuple[Callable[[Endpoint], bool], Callable[[Endpoint], bool]]] = {
    "a voice has words to say": (
        lambda one: (
            one.category == "text-to-speech"
            or bool(
                SPEAKS.search(one.endpoint_id)
                and "clone" not in one.endpoint_id
                and "to-text" not in one.endpoint_id
                and one.category.startswith("text")
            )
        ),
        lambda one: bool(words(one)),
    ),
    "what is made of words has words, or a choice": (
        lambda one: one.category.startswith("text-to-") and "prompt" in one.input_schema["properties"],
        lambda one: bool(words(one)),
    ),
    "image to video has an image": (
        lambda one: one.category == "image-to-video" and not re.search("text-to-video", one.endpoint_id),
        lambda one: bool(kinds(one) & {"image", "video", "file"}),
    ),
    "an image editor has a picture": (lambda one: one.category == "image-to-image", lambda one: "image" in kinds(one)),
    "3d from an image has an image": (lambda one: one.category == "image-to-3d", lambda one: "image" in kinds(one)),
    "a video editor has a video": (
        lambda one: one.category == "video-to-video" and _takes(one, "video"),
        lambda one: "video" in kinds(one),
    ),
    "what hears has something to hear": (
        lambda one: (
            one.category.startswith(("speech-to-", "audio-to-")) and _takes(one, "audio") and not _is_spoken(one)
        ),
        lambda one: "audio" in kinds(one),
    ),
    "what sees has something to see": (
        lambda one: one.category == "vision" and bool(one.files),
        lambda one: bool(kinds(one) & {"image", "video"}),
    ),
    "a trainer has an archive, and says that it is to be one's own": (
        lambda one: one.is_training,
        lambda one: "archive" in kinds(one) and any("your own" in note for note in of(one).notes),
    ),
    "what joins has two to join": (
        lambda one: "merge-audios" in one.endpoint_id or "interpolation/frame" in one.endpoint_id,
        lambda one: any(
            isinstance(value, list) and len(cast(list[Any], value)) >= 2 for value in of(one).arguments.values()
        ),
    ),
}


def _takes(endpoint: Endpoint, kind: str) -> bool:
    return any(file.kind == kind for file in endpoint.files)


def _is_spoken(endpoint: Endpoint) -> bool:
    """A voice model that fal lists under audio-to-audio makes speech of text."""
    return "text-to-speech" in endpoint.endpoint_id


@pytest.mark.parametrize("rule", RULES)
def test_an_example_has_what_its_kind_of_model_needs(models: list[Endpoint], rule: str):
    applies, holds = RULES[rule]
    assert [f"{one.endpoint_id}: {of(one).arguments}" for one in models if applies(one) and not holds(one)] == []


def test_what_the_schema_does_not_require_is_marked(models: list[Endpoint]):
    for endpoint in models:
        made = of(endpoint)
        extra = set(made.arguments) - set(endpoint.input_schema.get("required", ()))
        assert extra == set(made.needed)
        assert not extra or "Not required by the schema, needed in practice: " in made.notes[0]


def test_the_sentences_are_our_own():
    """None of an example's sentences stands in a document of fal's."""
    if not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not here.")
    documents = "".join(file.read_text("utf-8") for file in CORPUS.glob("*.json"))
    said = {text for one in Catalog(Folder(CORPUS)).endpoints() for text in words(one) if text.count(" ") > 3}
    assert said and [text for text in said if text in documents] == []


scalars: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 3, "maxLength": 5},
        {"type": "integer", "minimum": 3, "maximum": 7},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
        {"type": "integer", "multipleOf": 8, "minimum": 9},
        {"type": "boolean"},
        {"enum": ["", "a"]},
        {"anyOf": [{"type": "object", "properties": {"url": {"type": "string"}}}, {"type": "string"}]},
    ]
)


def _list(items: Any, least: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["image_url", "text", "end", "name", "x2"])
    return st.builds(_list, inner, st.integers(0, 2)) | st.dictionaries(names, inner, max_size=3).map(_object)


parts: st.SearchStrategy[Any] = st.recursive(scalars, _around, max_leaves=6)


def test_an_example_of_what_holds_two_of_its_own_kind_comes_to_an_end():
    """Without a bound, twenty-two steps that double take half a minute, and forty a year."""
    inner = {"$ref": "#/$defs/C0"}
    definitions: dict[str, Any] = {
        f"C{n}": {
            "type": "object",
            "required": ["a", "b"],
            "properties": {name: {"$ref": f"#/$defs/C{n + 1}"} for name in "ab"},
        }
        for n in range(22)
    }
    definitions["C22"] = {"type": "string"}
    began = time.monotonic()
    assert example({"type": "object", "required": ["x"], "properties": {"x": inner}, "$defs": definitions})["x"]["a"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "part", [{"type": "array", "minItems": 10**7, "items": {"type": "string"}}, {"type": "string", "minLength": 10**9}]
)
def test_an_example_is_of_a_length_that_can_be_read(part: Any):
    schema: Any = {"type": "object", "required": ["x"], "properties": {"x": part}}
    assert len(example(schema)["x"]) <= 10_000


@given(
    st.dictionaries(st.sampled_from(["prompt", "audio_url", "frames", "voice", "mask_end_seconds"]), parts, min_size=1),
    st.sampled_from(["text-to-speech", "image-to-video", "training", "vision", "audio-to-audio", "no-such", ""]),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_schema_its_example_validates(properties: dict[str, Any], category: str):
    for required in ([], list(properties)):
        root = {"type": "object", "properties": properties, "required": required}
        assert faults.find(root, example(root, category, "fal-ai/any")) == ()
