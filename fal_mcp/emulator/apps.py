"""The account's serverless apps: what each publishes of itself, and what runs at its routes. Fact F8.3.

Apps of other accounts are here too, as what they answer to a key that is not theirs.
"""

import hashlib
import json
from typing import Any

from starlette.responses import JSONResponse, Response

from fal_mcp.emulator.documents import Document
from fal_mcp.emulator.platform import seeds
from fal_mcp.json_values import JsonObject

_WHO = {401: "Authentication is required to access this application.", 403: "Access denied"}


class Apps:
    """Apps by their id `owner/name`."""

    def __init__(self) -> None:
        self.listed: dict[str, JsonObject] = seeds.apps()
        """The account's own, as the Platform API lists them."""
        self.documents: dict[str, JsonObject] = {}
        """What an app publishes: the OpenAPI document that fal's own package builds of it."""
        self.foreign: dict[str, int] = {}
        """Apps of other accounts, each with the status that their requests get."""
        self.replies: dict[str, Response] = {}
        """Answers to give in place of an app's document."""
        self.slow: set[str] = set()
        """Apps whose document does not come before `Emulator.release`."""
        self.revisions: dict[str, int] = dict.fromkeys(self.listed, 4)
        """How often each was deployed."""
        self.runs: dict[str, list[float]] = {}
        """How many seconds each past run of a route took; the figures of an app without a document are made up."""
        self.idle: dict[str, float] = {}
        """Seconds for which an app's runners started or waited, which are billed as those of runs are."""
        self.gpus: dict[str, int] = {}
        """How many GPUs an app has, where that is not one; each is billed."""
        self.warm: set[str] = set()
        """The apps with a document that have a runner waiting."""
        self.starts: dict[str, float] = {}
        """How many seconds an app's runner takes to start."""

    def deploy(self, app: str, document: JsonObject, machine_type: str = "GPU-H100") -> None:
        """Make an app, or a new revision of it."""
        owner, _, name = app.partition("/")
        self.revisions[app] = self.revisions.get(app, 0) + 1
        self.listed[app] = seeds.app(name, machine_type, "private", owner)
        self.documents[app] = document

    def endpoints(self, app: str) -> list[str]:
        """The endpoint id of each route."""
        return [self._id(app, path) for path in self.documents.get(app, {}).get("paths", {"/": {}})]

    def document(self, endpoint_id: str) -> Document | None:
        """The route that runs at this endpoint, in the form in which models have theirs."""
        for app, published in self.documents.items():
            for path, item in published.get("paths", {}).items():
                if self._id(app, path) == endpoint_id and "post" in item:
                    return Document(endpoint_id, _as_model(endpoint_id, published, item["post"]))
        return None

    def refusal(self, endpoint_id: str) -> Response | None:
        """What a request gets for an app that is another's."""
        app = "/".join(endpoint_id.split("/")[:2])
        status = self.foreign.get(app)
        if status is None:
            return None
        return JSONResponse({"detail": _WHO.get(status, f'Application "{app}" not found')}, status)

    def metadata(self, app: str, known: str | None) -> Response:
        """`GET /applications/{owner}/{name}/metadata`; `known` is the tag of what is known of it."""
        if refusal := self.refusal(app):
            return refusal
        if reply := self.replies.get(app):
            return reply
        if app not in self.documents:
            return JSONResponse({"detail": f'Application "{app}" not found'}, 404)
        body = {"openapi": self.documents[app]}
        etag = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]}"'
        if known == etag:
            return Response(status_code=304, headers={"etag": etag})
        return JSONResponse(body, headers={"etag": etag})

    @staticmethod
    def _id(app: str, path: str) -> str:
        return f"{app}{path}".rstrip("/")


def _as_model(endpoint_id: str, published: JsonObject, post: JsonObject) -> JsonObject:
    components: JsonObject = dict(published.get("components", {}).get("schemas", {}))
    content: Any = post.get("requestBody", {}).get("content", {}).get("application/json", {})
    components["RouteInput"] = content.get("schema", {"type": "object"})
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/RouteInput"}}}}
    answers: Any = post.get("responses", {}).get("200", {}).get("content") or {"application/json": {"schema": {}}}
    return {
        "info": {"x-fal-metadata": {"endpointId": endpoint_id, "category": "app"}},
        "components": {"schemas": components},
        "paths": {
            f"/{endpoint_id}": {"post": {"requestBody": body}},
            f"/{endpoint_id}/requests/{{request_id}}": {"get": {"responses": {"200": {"content": answers}}}},
        },
    }
