"""An endpoint as a tool: its text and its arguments."""

from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.json_values import JsonMapping
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue, without_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import cut, one_line
from fal_mcp.tools.tool import Tool

LONGEST_DESCRIPTION = 1000
_LONGEST_SENTENCE = 400
_MOST_FILE_ARGUMENTS = 4


def tool(endpoint: Endpoint) -> Tool:
    """The typed tool of one model."""

    async def run(arguments: JsonMapping, call: Call) -> Outcome:
        if endpoint.way == "stream":
            return await without_queue.run(endpoint, arguments, call, is_streamed=True)
        return await with_queue.run_endpoint(endpoint, arguments, call)

    return Tool(
        name=tool_name(endpoint.endpoint_id),
        title=cut(endpoint.title, 120),
        description=describe(endpoint),
        input_schema=endpoint.input_schema,
        effect="spends",
        key="user",
        run=run,
        metadata={"fal/endpoint_id": endpoint.endpoint_id},
        shows_media=True,
    )


def describe(endpoint: Endpoint) -> str:
    """What the tool is for, what it costs and takes, in at most 1,000 characters."""
    about = one_line(endpoint.description, _LONGEST_SENTENCE)
    lines = [f"{about or endpoint.title} [{endpoint.category}: {endpoint.endpoint_id}]", _cost(endpoint)]
    if endpoint.files:
        shown = ", ".join(_position(argument.path) for argument in endpoint.files[:_MOST_FILE_ARGUMENTS])
        more = ", …" if len(endpoint.files) > _MOST_FILE_ARGUMENTS else ""
        lines.append(f"Files go in as an https URL, a path, or fal://jobs/{{job_id}}/files/1: {shown}{more}.")
    if endpoint.is_training:
        lines.append("Trains a model; it does not generate.")
    return cut("\n".join(lines), LONGEST_DESCRIPTION)


def _cost(endpoint: Endpoint) -> str:
    if endpoint.steps:
        return f"Costs what its {len(endpoint.steps)} steps cost together; estimate_cost names each."
    priced = f"Costs {endpoint.price}" if endpoint.price else "Costs money; the price is on the model's page at fal.ai"
    seconds = f"; takes about {endpoint.typical_seconds:.0f} s" if endpoint.typical_seconds else ""
    return f"{priced}{seconds}."


def _position(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")
