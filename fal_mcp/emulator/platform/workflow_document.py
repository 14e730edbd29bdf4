"""A workflow's document, made of what its author said of its input and output. Fact F10.4.

fal publishes none; the emulator needs one to run the workflow like a model.
"""

from fal_mcp.emulator.documents import Document
from fal_mcp.json_values import JsonObject


def document(endpoint_id: str, contents: JsonObject) -> Document:
    """The document of the workflow that runs at this endpoint."""
    result = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Output"}}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}}}
    paths = {
        f"/{endpoint_id}": {"post": {"requestBody": body}},
        f"/{endpoint_id}/requests/{{request_id}}": {"get": {"responses": {"200": result}}},
    }
    given, made = contents["schema"]["input"], contents["schema"]["output"]
    needed = [name for name, field in given.items() if field.get("required")]
    schemas = {"Input": _object(given, needed), "Output": _object(made, list(made))}
    info = {"x-fal-metadata": {"endpointId": endpoint_id, "category": "workflow"}}
    return Document(endpoint_id, {"info": info, "paths": paths, "components": {"schemas": schemas}})


def _object(fields: JsonObject, required: list[str]) -> JsonObject:
    properties = {name: {"type": field["type"]} if "type" in field else {} for name, field in fields.items()}
    return {"type": "object", "properties": properties, "required": required}
