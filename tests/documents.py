"""Model documents as fal writes them, made for a test."""

import json
from pathlib import Path
from typing import Any

_ABOVE = [folder / "shared" / "corpus" for folder in Path(__file__).resolve().parents[2:]]
CORPUS = next((folder for folder in _ABOVE if folder.is_dir()), _ABOVE[0])
"""Real model documents, beside the checkout or further up; tests that need them skip where they are not."""


def document(endpoint_id: str, input_schema: Any, **components: Any) -> dict[str, Any]:
    """A model document with this input, as fal writes them."""

    def answer(schema: Any) -> dict[str, Any]:
        return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}

    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}}
    return {
        "openapi": "3.0.4",
        "info": {"title": "t", "x-fal-metadata": {"endpointId": endpoint_id, "category": "text-to-image"}},
        "components": {"schemas": {"In": input_schema, "Out": {"type": "object"}, **components}},
        "paths": {
            f"/{endpoint_id}": {"post": {"requestBody": body, **answer({"type": "object"})}},
            f"/{endpoint_id}/requests/{{request_id}}": {"get": answer({"$ref": "#/components/schemas/Out"})},
        },
    }


def put(folder: Path, endpoint_id: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / (endpoint_id.replace("/", "__") + ".json")).write_text(text, "utf-8")
