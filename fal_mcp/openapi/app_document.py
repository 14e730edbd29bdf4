"""What an app publishes of itself: plain FastAPI, one path a route. Each route is put into the form of fal's queue
document, so that one reader reads both.

fal's own package adds `x-fal-protocol` to what is spoken over a WebSocket, and `x-fal-order-paths`. Fact F8.3.
"""

from typing import Any, Literal

from fal_mcp.json_values import JsonMapping, JsonObject, list_of, object_of, text_of

Way = Literal["run", "stream", "realtime", "none"]
"""How a route is spoken to; `none` is no model's: it answers no POST, or frames of its own."""
_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}


def is_of_app(document: JsonMapping) -> bool:
    """Whether it is an app's own, and not one that fal made for its queue."""
    metadata = object_of(object_of(document.get("info")).get("x-fal-metadata"))
    return "paths" in document and not text_of(metadata.get("endpointId"))


def routes(document: JsonMapping) -> dict[str, Way]:
    """The paths of an app, `/` being itself, each with how it is spoken to; in the order that the app gives them."""
    paths = object_of(document.get("paths"))
    order = [path for path in list_of(document.get("x-fal-order-paths")) if isinstance(path, str) and path in paths]
    return {path: _way(path, object_of(paths[path])) for path in dict.fromkeys([*order, *paths])}


def of_route(document: JsonMapping, endpoint_id: str, path: str) -> JsonObject:
    """A route of it in the form of a queue document. Nothing is checked: the reader of those does."""
    post = object_of(object_of(object_of(document.get("paths")).get(path)).get("post"))
    body = object_of(object_of(object_of(post.get("requestBody")).get("content")).get("application/json"))
    schema: Any = body.get("schema", _NO_ARGUMENTS)
    about = text_of(post.get("description")) or text_of(object_of(document.get("info")).get("description")) or ""
    return {
        "info": {"x-fal-metadata": {"endpointId": endpoint_id, "about": about}},
        "components": document.get("components", {}),
        "paths": {
            f"/{endpoint_id}": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}},
            f"/{endpoint_id}/requests/{{request_id}}": {"get": {"responses": post.get("responses", {})}},
        },
    }


def takes_a_list(route: JsonMapping, endpoint_id: str) -> bool:
    """Whether what a route wants is a list at its root."""
    part: Any = route["paths"][f"/{endpoint_id}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return object_of(part).get("type") == "array"


def _way(path: str, item: JsonObject) -> Way:
    if protocol := object_of(item.get("x-fal-protocol")):
        return "realtime" if protocol.get("type") == "realtime" else "none"
    if "post" not in item:
        return "none"
    return "stream" if path.rstrip("/").endswith("/stream") else "run"
