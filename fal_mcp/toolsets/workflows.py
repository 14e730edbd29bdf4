"""fal's own workflows, run like any model: `workflows/{owner}/{name}`. Fact F10.4."""

from pydantic import Field

from fal_mcp.catalog import workflow
from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.json_values import JsonObject, object_of
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue
from fal_mcp.runs.call import Call
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
            "what its steps cost together, and tells of each step as it is done.",
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
    answer = await pages.send(platform.operations()["getWorkflow"], where, call)
    try:
        endpoint = workflow.endpoint(endpoint_id, object_of(object_of(answer).get("workflow")), models.catalog.get)
    except UnusableDocument as error:
        raise InvalidInput(f"The workflow {endpoint_id!r} cannot be run: {error}", hint="Nothing was sent.") from error
    prepared = prepare(endpoint.input_schema, arguments.arguments)
    if wrong := prepared.faults:
        sentences = "; ".join(map(str, wrong))
        raise InvalidInput(f"The inputs of {endpoint_id!r} were refused here: {sentences}", faults=wrong)
    outcome = await with_queue.run_endpoint(endpoint, prepared.arguments, call)
    return outcome.repaired(prepared.notes)
