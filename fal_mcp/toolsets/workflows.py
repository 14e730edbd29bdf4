"""fal's own workflows, run like any model: `workflows/{owner}/{name}`. Fact F10.4."""

from typing import Any

from pydantic import Field

from fal_mcp.catalog import file_arguments
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.json_values import JsonObject, is_object
from fal_mcp.openapi.normalise import bundle
from fal_mcp.openapi.schema import Schema, UnusableSchema
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import clean, one_line
from fal_mcp.tools import from_function, pages
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool, prepare
from fal_mcp.toolsets import platform
from fal_mcp.toolsets.models import Models

_NAME = r"^[a-zA-Z0-9_-]+$"


class RunArguments(Arguments):
    username: str = Field(max_length=128, pattern=_NAME, description="Whose workflow it is.")
    workflow_name: str = Field(max_length=128, pattern=_NAME, description="Its name, as list_workflows gives it.")
    arguments: JsonObject = Field(default_factory=dict, description="Its inputs; get_workflow shows them.")


def tools(models: Models) -> list[Tool]:
    """The workflow tool that is more than one request."""

    async def run(arguments: RunArguments, call: Call) -> Outcome:
        return await _run(models, arguments, call)

    return [
        from_function.tool(
            RunArguments,
            run,
            name="run_workflow",
            title="Run a workflow",
            description="Runs a workflow of fal's and answers with its files, as run_model does for a model. It costs "
            "what its models cost, which cannot be told beforehand.",
            effect="spends",
            key="user",
        )
    ]


async def _run(models: Models, arguments: RunArguments, call: Call) -> Outcome:
    endpoint_id = f"workflows/{arguments.username}/{arguments.workflow_name}"
    # `--only` bounds what may be run, and a workflow runs models.
    if not models.selection.allows(endpoint_id):
        raise NotFound(f"This server may not run {endpoint_id!r}.", hint="Its --only setting says so.")
    call.fal().need_key()
    where = arguments.model_dump(include={"username", "workflow_name"})
    answer: Any = await pages.send(platform.operations()["getWorkflow"], where, call)
    workflow: Any = answer.get("workflow")
    endpoint = _endpoint(endpoint_id, workflow if is_object(workflow) else {})
    prepared = prepare(endpoint.input_schema, arguments.arguments)
    if wrong := prepared.faults:
        sentences = "; ".join(map(str, wrong))
        raise InvalidInput(f"The inputs of {endpoint_id!r} were refused here: {sentences}", faults=wrong)
    outcome = await with_queue.run_endpoint(endpoint, prepared.arguments, call)
    return outcome.repaired(prepared.notes)


def _endpoint(endpoint_id: str, workflow: JsonObject) -> Endpoint:
    schema = _input(workflow)
    return Endpoint(
        endpoint_id=endpoint_id,
        title=one_line(str(workflow.get("title") or endpoint_id), 80),
        category="workflow",
        description=clean(str(workflow.get("description") or ""), 600),
        input_schema=schema,
        output_schema={},
        files=file_arguments.find(schema, {}),
    )


def _input(workflow: JsonObject) -> Schema:
    """What the workflow says of its inputs: a map of names to schemas. Whoever wrote it need not have said much."""
    inputs: object = workflow
    for name in ("contents", "schema", "input"):
        inputs = inputs.get(name) if is_object(inputs) else None
    if not is_object(inputs) or not inputs:
        return {"type": "object", "properties": {}, "additionalProperties": True}
    named = {name: part for name, part in inputs.items() if is_object(part)}
    required = [name for name, part in named.items() if part.get("required") is True]
    # Workflows mark each input as required by itself, as JSON Schema did in its third draft; now it is a list beside
    # them.
    parts = {name: {key: value for key, value in part.items() if key != "required"} for name, part in named.items()}
    try:
        return bundle({"type": "object", "properties": parts, "required": required}, {})
    # People write these by hand, and fal runs them all the same.
    except UnusableSchema:
        return {"type": "object", "properties": {}, "additionalProperties": True}
