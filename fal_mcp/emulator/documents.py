"""The model documents the emulator serves, found by file name and parsed when first asked for."""

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

from fal_mcp import bundled
from fal_mcp.json_values import JsonObject

_COMPONENT = re.compile(r"\"#/components/schemas/([^\"/]+)\"")


def starter_models() -> Path:
    """The folder of model documents that this package ships."""
    return bundled.schemas() / "models"


class Document:
    """One model's OpenAPI document."""

    def __init__(self, endpoint_id: str, content: JsonObject) -> None:
        self.endpoint_id = endpoint_id
        self.content = content

    @property
    def metadata(self) -> JsonObject:
        return self.content["info"]["x-fal-metadata"]

    @property
    def output(self) -> JsonObject:
        """The schema of the result."""
        answers = self.content["paths"][f"/{self.endpoint_id}/requests/{{request_id}}"]["get"]["responses"]
        return answers["200"]["content"]["application/json"]["schema"]

    def resolve(self, schema: JsonObject) -> JsonObject:
        """`schema`, or the component its `$ref` names; empty where the document lacks it."""
        while "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            schema = self.content["components"]["schemas"].get(name, {})
        return schema

    def faults(self, arguments: object) -> list[JsonObject]:
        """fal's `detail` list for arguments that the model would refuse. Fact F12.1."""
        return [_fault(error) for error in sorted(self._input.iter_errors(arguments), key=lambda e: e.json_path)]

    @property
    def input(self) -> JsonObject:
        """The schema of the arguments."""
        body = self.content["paths"][f"/{self.endpoint_id}"]["post"]["requestBody"]
        return self.resolve(body["content"]["application/json"]["schema"])

    @cached_property
    def _input(self) -> Any:
        body = self.content["paths"][f"/{self.endpoint_id}"]["post"]["requestBody"]
        resource = referencing.Resource.from_contents(_whole(self.content), default_specification=DRAFT202012)
        # The document itself is the only thing that references may lead to: nothing is fetched.
        registry = referencing.Registry[Any]().with_resource("urn:model", resource)
        reference = body["content"]["application/json"]["schema"]["$ref"]
        return jsonschema.Draft202012Validator({"$ref": f"urn:model{reference}"}, registry=registry)


def _whole(content: JsonObject) -> JsonObject:
    """The document with a component for each that it refers to; what a few of fal's lack may be anything."""
    known = content["components"]["schemas"]
    named = set(_COMPONENT.findall(json.dumps(content)))
    missing: JsonObject = {name: {} for name in named - known.keys()}
    components = {**content["components"], "schemas": {**known, **missing}}
    return {**content, "components": components} if missing else content


class Documents:
    """Folders of model documents, one a file, `/` of the id written `__`."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._files = {
            file.name.removesuffix(".json").replace("__", "/"): file
            for folder in folders
            for file in sorted(folder.glob("*.json"))
        }
        self._items = {item["endpoint_id"]: item for folder in folders for item in _items(folder.parent)}
        self._parsed: dict[str, Document] = {}

    @property
    def ids(self) -> list[str]:
        return list(self._files)

    def get(self, endpoint_id: str) -> Document | None:
        """The document of this endpoint, or None."""
        if endpoint_id not in self._parsed and endpoint_id in self._files:
            content = json.loads(self._files[endpoint_id].read_bytes())
            self._parsed[endpoint_id] = Document(endpoint_id, content)
        return self._parsed.get(endpoint_id)

    def price(self, endpoint_id: str) -> tuple[float, str] | None:
        """USD a unit, and the unit, by the catalog."""
        price = self._items.get(endpoint_id, {}).get("price")
        return (price["unit_price"], price["unit"]) if price and price.get("currency") == "USD" else None

    def item(self, endpoint_id: str) -> JsonObject:
        """The endpoint's item in `GET /v1/models`. Fact F6.2."""
        known = self._items.get(endpoint_id)
        if known is not None:
            metadata: JsonObject = known["metadata"]
            # The file leaves out of an item what nothing here reads.
            return {"endpoint_id": endpoint_id, "metadata": _metadata(endpoint_id, metadata["category"]) | metadata}
        document = self.get(endpoint_id)
        category = document.metadata.get("category", "unknown") if document else "unknown"
        return {"endpoint_id": endpoint_id, "metadata": _metadata(endpoint_id, category)}


def _items(folder: Path) -> list[JsonObject]:
    file = folder / "catalog.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def _metadata(endpoint_id: str, category: str) -> JsonObject:
    return {
        "display_name": endpoint_id,
        "category": category,
        "description": f"{endpoint_id}, emulated.",
        "status": "active",
        "tags": [],
        "updated_at": "2026-01-01T00:00:00Z",
        "is_favorited": None,
        "thumbnail_url": "",
        "model_url": f"https://fal.run/{endpoint_id}",
        "date": "2026-01-01T00:00:00Z",
        "highlighted": False,
        "pinned": False,
    }


def _fault(error: Any) -> JsonObject:
    location = ["body", *error.absolute_path]
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        # The form of pydantic's errors, which is what fal's apps answer with.
        return {"loc": [*location, missing], "msg": "Field required", "type": "missing", "input": error.instance}
    return {"loc": location, "msg": error.message[:300], "type": "value_error", "input": error.instance}
