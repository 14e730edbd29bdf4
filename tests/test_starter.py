"""The starter catalog: complete, usable, true to fal's facts, and in our own words."""

import json
import re
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.openapi import document

MODELS = bundled.schemas() / "models"
CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "models"
IDS = [file.stem.replace("__", "/") for file in sorted(MODELS.glob("*.json"))]
NOT_IN_THE_CORPUS = {
    "fal-ai/birefnet/v2",
    "fal-ai/flux-pro/kontext",
    "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
    "fal-ai/nano-banana-pro/edit",
}
FAMILIES = (
    "flux/schnell flux/dev flux-pro kontext seedream nano-banana qwen-image sdxl stable-diffusion ideogram recraft "
    "veo3 v2.5-turbo/pro wan-25 seedance ovi hunyuan-video sora-2 inworld elevenlabs mmaudio music stable-audio "
    "triposr hunyuan3d live-portrait birefnet upscaler whisper nemotron"
).split()
LONGEST_SHARED = 30
WORDS = {"description", "title", "examples", "example", "ui", "limit_description", "_fal_ui_field"}


def corpus(endpoint_id: str) -> dict[str, Any]:
    file = CORPUS / (endpoint_id.replace("/", "__") + ".json")
    if not file.is_file():
        pytest.skip(f"{file} is not here to compare with.")
    return json.loads(file.read_text("utf-8"))


def facts(value: Any) -> Any:
    """`value` without sentences and without what only a web form needs."""
    if isinstance(value, dict):
        source = cast(dict[str, Any], value)
        return {
            key: {name: facts(part) for name, part in item.items()} if key == "properties" else facts(item)
            for key, item in source.items()
            if key not in WORDS
        }
    if isinstance(value, list):
        return [facts(item) for item in cast(list[Any], value)]
    return value


def sentences(value: Any) -> set[str]:
    """Every description, title and example below `value`."""
    if isinstance(value, dict):
        source = cast(dict[str, Any], value)
        own = {str(source[key]) for key in ("description", "title", "about") if isinstance(source.get(key), str)}
        return own.union(*(sentences(item) for item in source.values()))
    if isinstance(value, list):
        return set[str]().union(*(sentences(item) for item in cast(list[Any], value)))
    return set()


def shapes(endpoint_id: str, source: dict[str, Any]) -> tuple[Any, Any]:
    """The facts of input and output, references followed by content and not by name."""
    schemas = source["components"]["schemas"]

    def open_up(value: Any) -> Any:
        if isinstance(value, dict):
            known = cast(dict[str, Any], value)
            if "$ref" in known:
                return {**open_up(schemas[known["$ref"].rsplit("/", 1)[-1]]), **open_up(facts_without_ref(known))}
            return {key: open_up(item) for key, item in known.items()}
        return [open_up(item) for item in cast(list[Any], value)] if isinstance(value, list) else value

    post = source["paths"][f"/{endpoint_id}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    answer = source["paths"][f"/{endpoint_id}/requests/{{request_id}}"]["get"]["responses"]["200"]
    return facts(open_up(post)), facts(open_up(answer["content"]["application/json"]["schema"]))


def facts_without_ref(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "$ref"}


def test_every_family_the_seeds_name_is_there():
    assert [family for family in FAMILIES if not any(family in one for one in IDS)] == []


def test_every_document_gives_a_tool():
    catalog = Catalog(Folder(MODELS))
    assert catalog.problems() == {} and len(catalog) == len(IDS) >= 30


@pytest.mark.parametrize("endpoint_id", IDS)
def test_every_argument_is_described_in_a_short_sentence_of_ours(endpoint_id: str):
    source = json.loads((MODELS / (endpoint_id.replace("/", "__") + ".json")).read_text("utf-8"))
    properties = document.read(source).input_schema["properties"]
    assert [name for name, part in properties.items() if not 3 < len(part.get("description", "")) < 120] == []


@pytest.mark.parametrize("endpoint_id", [one for one in IDS if one not in NOT_IN_THE_CORPUS])
def test_the_facts_are_fals(endpoint_id: str):
    own = json.loads((MODELS / (endpoint_id.replace("/", "__") + ".json")).read_text("utf-8"))
    assert shapes(endpoint_id, own) == shapes(endpoint_id, corpus(endpoint_id))


@pytest.mark.parametrize("endpoint_id", [one for one in IDS if one not in NOT_IN_THE_CORPUS])
def test_no_sentence_is_fals(endpoint_id: str):
    own = json.loads((MODELS / (endpoint_id.replace("/", "__") + ".json")).read_text("utf-8"))
    theirs = " ".join(re.sub(r"\s+", " ", text).casefold() for text in sentences(corpus(endpoint_id)))
    ours = sentences(own) - {own["info"]["title"]}
    assert [text for text in ours if len(text) > LONGEST_SHARED and text.casefold() in theirs] == []


def test_the_entities_are_ten_schemas():
    entities = json.loads((bundled.schemas() / "entities.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(entities)
    assert len(entities["$defs"]) == 10
    status = entities["$defs"]["QueueStatus"]["properties"]["status"]
    assert status["enum"] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
