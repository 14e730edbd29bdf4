"""fal's workflows: run by name like any model, and made of a chain that worked. Fact F10.4."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from fal_mcp.catalog.endpoint import WORKFLOWS, Endpoint, tool_name
from fal_mcp.errors import FalError, InvalidInput, NotFound
from fal_mcp.json_values import JsonObject, dumped, object_of, text_of
from fal_mcp.openapi.example import example
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue
from fal_mcp.runs.call import Call
from fal_mcp.runs.own_workflows import OwnWorkflows
from fal_mcp.tools import from_function, from_operation, pages
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool, prepare
from fal_mcp.toolsets import kept_chain, platform
from fal_mcp.toolsets.batch_and_chain import MOST_STEPS, Step
from fal_mcp.toolsets.kept_chain import Link
from fal_mcp.toolsets.models import Models

_NAME = r"^[a-zA-Z0-9_-]+$"


class RunArguments(Arguments):
    username: str = Field(max_length=128, pattern=_NAME, description="Whose workflow it is.")
    workflow_name: str = Field(max_length=128, pattern=_NAME, description="Its name, as list_workflows gives it.")
    arguments: JsonObject = Field(default_factory=dict, description="Its inputs; get_workflow shows them.")


class CreateArguments(Arguments):
    name: str = Field(
        max_length=128,
        pattern=_NAME,
        description="Its name in URLs: letters, digits, - and _, at most 128; unique for its owner.",
    )
    title: str = Field(min_length=1, max_length=256, description="Its name for people, 1 to 256 characters.")
    steps: list[Step] | None = Field(
        None,
        min_length=1,
        max_length=MOST_STEPS,
        description="A chain that worked: the steps of run_chain.",
    )
    inputs: dict[str, str] | None = Field(
        None,
        description="With steps: what may be another thing each time, by name, such as {'prompt': '1.prompt'}. Left "
        "out: the prompts and files of the steps.",
    )
    contents: JsonObject | None = Field(
        None, description="In place of steps: the workflow itself, with name, version, nodes, output and schema."
    )
    is_public: bool = Field(False, description="Whether others can see it.")


def tools(models: Models) -> list[Tool]:
    """The workflow tools that are more than one request."""

    async def run(arguments: RunArguments, call: Call) -> Outcome:
        return await _run(models, arguments, call)

    async def create(arguments: CreateArguments, call: Call) -> Outcome:
        return await _create(models, arguments, call)

    return [
        from_function.tool(
            CreateArguments,
            create,
            name="create_workflow",
            title="Save a new workflow",
            description="Keeps a chain of runs as a workflow of the key's owner, and answers with the tool it became. "
            "Runs nothing. A name that the owner already uses is refused.",
            effect="writes",
            key="user",
        ),
        from_function.tool(
            RunArguments,
            run,
            name="run_workflow",
            title="Run a workflow",
            description="Runs a workflow of fal's and answers with its files, as run_model does for a model. It costs "
            "what its steps cost together, and tells of each step as it is done.",
            effect="spends",
            key="user",
            shows_media=True,
        ),
    ]


async def _run(models: Models, arguments: RunArguments, call: Call) -> Outcome:
    endpoint_id = f"{WORKFLOWS}{arguments.username}/{arguments.workflow_name}"
    # `--only` bounds what may be run, and a workflow runs models.
    if not models.selection.allows(endpoint_id):
        raise NotFound(f"This server may not run {endpoint_id!r}.", hint="Its --only setting says so.")
    call.fal().need_key()
    endpoint = await OwnWorkflows(models.catalog.get).read_one(endpoint_id, call.fal())
    prepared = prepare(endpoint.input_schema, arguments.arguments)
    if wrong := prepared.faults:
        sentences = "; ".join(map(str, wrong))
        raise InvalidInput(f"The inputs of {endpoint_id!r} were refused here: {sentences}", faults=wrong)
    outcome = await with_queue.run_endpoint(endpoint, prepared.arguments, call)
    return outcome.repaired(prepared.notes)


async def _create(models: Models, arguments: CreateArguments, call: Call) -> Outcome:
    call.fal().need_key()
    operation = platform.operations()["createWorkflow"]
    body: JsonObject = {
        **arguments.model_dump(include={"name", "title", "is_public"}),
        "contents": _contents(models, arguments),
    }
    if wrong := prepare(operation.input_schema(), body).faults:
        raise InvalidInput(f"The workflow was refused here: {'; '.join(map(str, wrong))}", faults=wrong)
    answer = await pages.send(operation, body, call)
    # What is known of the account is another now, and so is a list that has all of its own.
    call.deployed()
    made = from_operation.said(operation, answer)
    about = object_of(object_of(answer).get("workflow"))
    owner, name = text_of(about.get("user_nickname")), text_of(about.get("name")) or arguments.name
    if not owner:
        return made.with_notes((f"fal did not say under whose name {name!r} is kept; list_workflows shows it.",))
    endpoint_id = f"{WORKFLOWS}{owner}/{name}"
    try:
        endpoint = OwnWorkflows(models.catalog.get).of_document(endpoint_id, {**body, **about})
    except FalError as error:
        # It is made, and that is what was asked for.
        return made.with_notes((f"{error.message} {error.hint or ''}".rstrip(),))
    return _became(endpoint, body["contents"], made)


def _contents(models: Models, arguments: CreateArguments) -> JsonObject:
    if (arguments.steps is None) == (arguments.contents is None):
        raise InvalidInput("Give either steps or contents.", hint="steps is what run_chain was given.")
    if arguments.contents is not None:
        if arguments.inputs is not None:
            raise InvalidInput("inputs goes with steps; contents says itself what goes in.")
        return arguments.contents
    links = [_link(models, step) for step in arguments.steps or ()]
    return kept_chain.contents(arguments.name, links, arguments.inputs)


def _link(models: Models, step: Step) -> Link:
    if not models.selection.allows(step.endpoint_id):
        raise NotFound(f"This server may not run {step.endpoint_id!r}.", hint="Its --only setting says so.")
    endpoint = models.catalog.get(step.endpoint_id) or models.catalog.by_tool_name(step.endpoint_id)
    return Link(endpoint.endpoint_id if endpoint else step.endpoint_id, step.arguments, endpoint)


def _became(endpoint: Endpoint, contents: Mapping[str, Any], made: Outcome) -> Outcome:
    """The answer: what was stored, the tool that it became, and arguments to call it with."""
    shown = kept_chain.example(contents) or example(endpoint.input_schema, endpoint.category, endpoint.endpoint_id)
    name = tool_name(endpoint.endpoint_id)
    owner, _, workflow_name = endpoint.endpoint_id.removeprefix(WORKFLOWS).partition("/")
    by_name = {"username": owner, "workflow_name": workflow_name, "arguments": shown}
    data: JsonObject = {
        **made.data,
        "endpoint_id": endpoint.endpoint_id,
        "tool": name,
        "input_schema": endpoint.input_schema,
        "call": {"tool": name, "arguments": shown},
        "or_call": {"tool": "run_workflow", "arguments": by_name},
    }
    note = (
        f"Kept as {endpoint.endpoint_id}, and the tool is {name}. Call it with {dumped(shown)}; or run_workflow with "
        f"{dumped(by_name)}."
    )
    return Outcome(data=data, note=f"{note}\n{made.note}".rstrip(), is_plain=True)
