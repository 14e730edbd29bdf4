"""What registries and hosts' shelves read is made from the settings, and is what they take."""

import json
import re
from typing import Any

import pytest

from bundles import make
from fal_mcp.settings_table import TABLE


@pytest.mark.parametrize("name", make.files())
def test_what_lies_here_is_what_would_be_made(name: str):
    assert (make.ROOT / name).read_text("utf-8") == make.files()[name], "run python -m bundles.make"


def test_the_registry_takes_its_entry():
    """The rules of the registry's schema of 2025-12-11."""
    entry: Any = make.server_json()
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"]) and 3 <= len(entry["name"]) <= 200
    assert 1 <= len(entry["description"]) <= 100 and entry["version"] == make.project()["version"]
    (package,) = entry["packages"]
    assert package["registryType"] == "pypi" and package["version"] == entry["version"]
    names = [variable["name"] for variable in package["environmentVariables"]]
    assert len(set(names)) == len(names) == len(TABLE) + 1
    formats = {variable.get("format", "string") for variable in package["environmentVariables"]}
    assert formats <= {"string", "number", "boolean", "filepath"}
    secrets = [variable["name"] for variable in package["environmentVariables"] if variable.get("isSecret")]
    assert secrets == ["FAL_KEY"]


def test_every_value_of_the_extension_has_a_default_or_is_required():
    """What is left open arrives as an empty text otherwise, whatever its type."""
    fields: Any = make.mcpb()["user_config"]
    assert all("default" in field or field["required"] for field in fields.values())
    assert [name for name, field in fields.items() if field.get("sensitive")] == ["fal_key"]


def test_no_link_carries_a_key():
    assert "FAL_KEY" in make.files()["bundles/mcpb/manifest.json"] and "your" not in make.links().lower()


def test_the_readme_names_the_registry_entry():
    """The registry looks for it in the description that PyPI shows."""
    assert f"mcp-name: {make.server_json()['name']}" in (make.ROOT / "README.md").read_text("utf-8")


def test_json_files_are_json():
    for name, content in make.files().items():
        if name.endswith(".json"):
            json.loads(content)
