"""What can be read beside the tools: models and the gallery as resources, and completions for ids and values."""

import json
from collections.abc import Iterable

import mcp_types as types

from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.config import Hosts
from fal_mcp.json_values import JsonObject
from fal_mcp.openapi.example import example
from fal_mcp.openapi.schema import branches
from fal_mcp.server import gallery
from fal_mcp.server.resources import account, contents, jobs
from fal_mcp.text import clean, one_line
from fal_mcp.toolsets.models import Models

_MOST_VALUES = 100
_MODELS = "fal://models/"
_CATEGORIES = "fal://categories"


def resources(hosts: Hosts) -> types.ListResourcesResult:
    """The resources with an address of their own."""
    return types.ListResourcesResult(
        resources=[
            types.Resource(
                uri=_CATEGORIES,
                name="categories",
                title="Categories of models",
                description="Every category of fal's catalog, with the number of models in it.",
                mime_type=contents.JSON,
            ),
            gallery.resource(hosts),
            *account.resources(),
        ]
    )


def templates() -> types.ListResourceTemplatesResult:
    """The resources there are for each model, each job and each app."""
    return types.ListResourceTemplatesResult(
        resource_templates=[
            types.ResourceTemplate(
                uri_template="fal://models/{+endpoint_id}",
                name="model",
                title="A model",
                description="What a model does, costs and takes, as text.",
                mime_type="text/markdown",
            ),
            types.ResourceTemplate(
                uri_template="fal://models/{+endpoint_id}/schema",
                name="schema",
                title="A model's schemas",
                description="The input and output JSON Schemas of a model, and an example.",
                mime_type=contents.JSON,
            ),
            *jobs.templates(),
            *account.templates(),
        ]
    )


def read(models: Models, hosts: Hosts, uri: str) -> types.ReadResourceResult:
    """The resource at `uri`.

    Raises:
        MCPError: there is none; -32602 with the address, as revision 2026-07-28 wants.
    """
    if uri == gallery.URI:
        return gallery.read(hosts)
    if uri == _CATEGORIES:
        return contents.text(uri, json.dumps(models.search.categories()))
    if uri.startswith(_MODELS):
        wanted = uri.removeprefix(_MODELS)
        if endpoint := _allowed(models, wanted):
            return contents.text(uri, _card(endpoint), "text/markdown")
        if wanted.endswith("/schema") and (endpoint := _allowed(models, wanted.removesuffix("/schema"))):
            return contents.text(uri, _schemas(endpoint))
    raise contents.missing(uri)


def complete(models: Models, params: types.CompleteRequestParams) -> types.CompleteResult:
    """What `endpoint_id`, `category`, or an argument of the model named beside it may be."""
    name, typed = params.argument.name, params.argument.value.casefold()
    given = (params.context.arguments if params.context else None) or {}
    values = sorted(_values(models, name, given), key=lambda value: (not value.casefold().startswith(typed), value))
    found = [value for value in values if typed in value.casefold()]
    completion = types.Completion(values=found[:_MOST_VALUES], total=len(found), has_more=len(found) > _MOST_VALUES)
    return types.CompleteResult(completion=completion)


def _values(models: Models, name: str, given: dict[str, str]) -> Iterable[str]:
    match name:
        case "endpoint_id" | "model":
            return models.selection.allowed(models.catalog)
        case "category":
            return models.search.categories()
        case _:
            endpoint = _allowed(models, given.get("endpoint_id") or given.get("model") or "")
            return [] if endpoint is None else _allowed_values(endpoint, name)


def _allowed_values(endpoint: Endpoint, name: str) -> list[str]:
    root = endpoint.input_schema
    part = root["properties"].get(name, {})
    inner = [part, *(branch["items"] for branch in branches(part, root) if isinstance(branch.get("items"), dict))]
    return [str(value) for one in inner for branch in branches(one, root) for value in branch.get("enum", ())]


def _allowed(models: Models, endpoint_id: str) -> Endpoint | None:
    return models.catalog.get(endpoint_id) if models.selection.allows(endpoint_id) else None


def _card(endpoint: Endpoint) -> str:
    arguments = [
        f"- `{name}`{' (required)' if name in endpoint.input_schema.get('required', ()) else ''}: "
        f"{one_line(str(part.get('description', '')), 300)}"
        for name, part in endpoint.input_schema["properties"].items()
    ]
    return "\n".join(
        [
            f"# {endpoint.title}",
            f"`{endpoint.endpoint_id}`, {endpoint.category}, tool `{tool_name(endpoint.endpoint_id)}`",
            f"Price: {endpoint.price or 'see the model at fal.ai'}",
            "",
            f"fal says of it: {clean(endpoint.description, 1000)}",
            "",
            *arguments,
        ]
    )


def _schemas(endpoint: Endpoint) -> str:
    content: JsonObject = {
        "endpoint_id": endpoint.endpoint_id,
        "input": endpoint.input_schema,
        "output": endpoint.output_schema,
        "example": example(endpoint.input_schema, endpoint.category, endpoint.endpoint_id),
    }
    return json.dumps(content, ensure_ascii=False)
