"""What a dozen apps, as fal's own package publishes them, become: endpoints, names, arguments, files."""

import importlib
import importlib.util
from typing import Any

import pytest

from fal_mcp.catalog import app_route
from fal_mcp.catalog.app_route import NotRunnable
from fal_mcp.catalog.endpoint import tool_name
from tests.apps import made

BECOME: dict[str, dict[str, tuple[str, list[str], list[str], list[str]]]] = {
    "Simple": {"me/app": ("run", ["prompt"], ["prompt"], [])},
    "NestedModels": {"me/app": ("run", ["prompt", "style", "steps"], ["prompt", "style"], [])},
    "Unions": {
        "me/app": ("run", ["prompt", "image_size"], ["prompt"], []),
        "me/app/pet": ("run", ["pet"], ["pet"], []),
    },
    "Files": {
        "me/app": (
            "run",
            ["prompt", "image", "mask", "reference_urls", "sound", "film", "weights"],
            ["prompt", "image"],
            ["image.url", "mask.url", "reference_urls.[]", "sound.url", "film.url", "weights.url"],
        ),
        "me/app/marked": ("run", ["prompt", "source"], ["prompt", "source"], ["source"]),
    },
    "Enums": {"me/app": ("run", ["prompt", "scheduler", "quality", "count"], ["prompt"], [])},
    "InOrder": {"me/app": ("run", ["zoom", "prompt", "angle"], ["prompt"], [])},
    "Routes": {
        "me/app": ("run", ["prompt"], ["prompt"], []),
        "me/app/turbo": ("run", ["prompt", "style", "steps"], ["prompt", "style"], []),
        "me/app/v2/describe": ("run", ["prompt", "source"], ["prompt", "source"], ["source"]),
    },
    "Streams": {
        "me/app": ("run", ["prompt"], ["prompt"], []),
        "me/app/stream": ("stream", ["prompt", "scheduler", "quality", "count"], ["prompt"], []),
    },
    "Realtime": {"me/app/realtime": ("realtime", ["prompt"], ["prompt"], [])},
    "Health": {"me/app": ("run", ["prompt"], ["prompt"], [])},
    "Webhook": {
        "me/app": ("run", ["prompt"], ["prompt"], []),
        "me/app/webhook": ("run", ["event", "payload"], ["event"], []),
    },
    "NoInput": {"me/app": ("run", [], [], [])},
}
"""How each endpoint is run, its arguments in order, those that are needed, and where files go in."""


@pytest.mark.parametrize("name", BECOME)
def test_an_app_becomes_an_endpoint_for_each_route_that_is_run(name: str):
    document = made.document(name)
    become: dict[str, Any] = {}
    for endpoint_id in app_route.ids(document, "me/app"):
        one = app_route.endpoint(document, endpoint_id, "me/app")
        assert one.endpoint_id == endpoint_id
        files = [".".join(file.path) for file in one.files]
        schema = one.input_schema
        become[endpoint_id] = (one.way, list(schema["properties"]), list(schema.get("required", [])), files)
    assert become == BECOME[name]


@pytest.mark.parametrize(("endpoint_id", "name"), [("me/app", "me_app"), ("me/app/v2/describe", "me_app_v2_describe")])
def test_a_route_has_a_tool_name_like_any_model(endpoint_id: str, name: str):
    assert tool_name(endpoint_id) == name


@pytest.mark.parametrize(
    ("name", "endpoint_id", "why"),
    [
        ("Health", "me/app/health", "is no model"),
        ("Simple", "me/app/turbo", "is no route of the app 'me/app'"),
        ("Lists", "me/app", "takes a list as the whole of its input"),
        ("Lists", "me/app/many", "takes a list as the whole of its input"),
        ("Realtime", "me/app", "is no route of the app 'me/app'"),
    ],
)
def test_a_route_that_is_no_model_is_named(name: str, endpoint_id: str, why: str):
    with pytest.raises(NotRunnable, match=why):
        app_route.endpoint(made.document(name), endpoint_id, "me/app")


@pytest.mark.skipif(importlib.util.find_spec("fal") is None, reason="fal's own package is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_documents_are_those_that_fals_package_builds():
    """Written anew with `python tests/apps/theirs.py`."""
    built: dict[str, str] = importlib.import_module("tests.apps.theirs").made()
    for name, text in built.items():
        assert (made.DOCUMENTS / f"{name}.json").read_text("utf-8") == text, name
