"""Every real model document becomes a tool, or says why not."""

import json

import pytest

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import tool_name
from fal_mcp.catalog.source import Folder
from fal_mcp.openapi import validate
from fal_mcp.tools import from_endpoint
from tests.documents import CORPUS

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real documents is not beside the checkout")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(Folder(CORPUS / "models"))


def test_all_documents_with_an_input_become_tools(catalog: Catalog):
    """These two point at an input that they do not have; a missing component inside costs the part it is for."""
    problems = catalog.problems()
    assert len(list(catalog.endpoints())) == 741
    assert [one.endpoint_id for one in catalog.endpoints() if one.oddities] == ["fal-ai/wan-ati"]
    assert set(problems) == {
        "openrouter/router/openai/v1/chat/completions",
        "openrouter/router/openai/v1/embeddings",
    }
    assert all("that it does not have" in reason for reason in problems.values())


def test_tool_names_are_unique_and_what_every_host_takes(catalog: Catalog):
    """fact M5.2."""
    names = [tool_name(endpoint.endpoint_id) for endpoint in catalog.endpoints()]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(len(name) <= 54 and name.replace("_", "").replace("-", "").isalnum() for name in names)


def test_every_schema_is_valid_and_plain(catalog: Catalog):
    """fact M5.3: an object at the root, no union there, local references only, single types."""
    for endpoint in catalog.endpoints():
        validate.check(endpoint.input_schema)
        assert endpoint.input_schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & endpoint.input_schema.keys()
        text = json.dumps(endpoint.input_schema)
        assert '"x-fal-' not in text and "#/components" not in text and '"type": [' not in text


def test_arguments_stand_in_fals_order(catalog: Catalog):
    endpoint = catalog.get("fal-ai/flux/dev")
    assert endpoint is not None
    assert list(endpoint.input_schema["properties"])[:4] == ["prompt", "image_size", "num_inference_steps", "seed"]


def test_descriptions_fit_every_host(catalog: Catalog):
    for endpoint in catalog.endpoints():
        description = from_endpoint.describe(endpoint)
        assert len(description) <= 1000 and endpoint.endpoint_id in description
