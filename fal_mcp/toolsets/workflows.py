"""fal's own workflows, run like any model: `workflows/{owner}/{name}`. Fact sheet §10.4."""

from typing import Any, cast

from pydantic import Field

from fal_mcp.catalog import file_arguments
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import InvalidInput
from fal_mcp.openapi import faults
from fal_mcp.openapi.schema import Schema, UnusableSchema, bundle
from fal_mcp.text import clean, one_line
from fal_mcp.tools import from_endpoint, from_function, pages
from fal_mcp.tools.tool import Call, Outcome, Tool
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.discovery import Arguments

_NAME = r"^[a-zA-Z0-9_-]+$"


class RunArguments(Arguments):
    username: str = Field(max_length=128, pattern=_NAME, description="Whose workflow it is.")
    workflow_name: str = Field(max_length=128, pattern=_NAME, description="Its name, as list_workflows gives it.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Its inputs; get_workflow shows them.")


def tools() -> list[Tool]:
    """The workflow tool that is more than one request."""
    return [
        from_function.tool(
            RunArguments,
            _run,
            name="run_workflow",
            title="Run a workflow",
            description="Runs a workflow of fal's and answers with its files, as run_model does for a model. It costs "
            "what its models cost, which cannot be told beforehand.",
            effect="spends",
            key="user",
        )
    ]


async def _run(arguments: RunArguments, call: Call) -> Outcome:
    call.fal().need_key()
    where = arguments.model_dump(include={"username", "workflow_name"})
    answer: Any = await pages.send(platform.operations()["getWorkflow"], where, call)
    endpoint = _endpoint(arguments, answer.get("workflow") or {})
    if found := faults.find(endpoint.input_schema, arguments.arguments):
        said = "; ".join(map(str, found))
        raise InvalidInput(f"The inputs of {endpoint.endpoint_id!r} were refused here: {said}", faults=found)
    return await from_endpoint.run_endpoint(endpoint, arguments.arguments, call)


def _endpoint(arguments: RunArguments, workflow: dict[str, Any]) -> Endpoint:
    schema = _input(workflow)
    return Endpoint(
        endpoint_id=f"workflows/{arguments.username}/{arguments.workflow_name}",
        title=one_line(str(workflow.get("title") or arguments.workflow_name), 80),
        category="workflow",
        description=clean(str(workflow.get("description") or ""), 600),
        input_schema=schema,
        output_schema={},
        files=file_arguments.find(schema, {}),
    )


def _input(workflow: dict[str, Any]) -> Schema:
    """What the workflow says of its inputs: a map of names to schemas. Whoever wrote it need not have said much."""
    contents = cast(dict[str, Any], workflow.get("contents") or {})
    inputs: Any = cast(dict[str, Any], contents.get("schema") or {}).get("input")
    if not isinstance(inputs, dict) or not inputs:
        return {"type": "object", "properties": {}, "additionalProperties": True}
    named = {name: cast(Schema, part) for name, part in cast(Schema, inputs).items() if isinstance(part, dict)}
    required = [name for name, part in named.items() if part.get("required") is True]
    parts = {name: {key: value for key, value in part.items() if key != "required"} for name, part in named.items()}
    try:
        return bundle({"type": "object", "properties": parts, "required": required}, {})
    except UnusableSchema:
        return {"type": "object", "properties": {}, "additionalProperties": True}
