"""An endpoint as a tool: its text, its arguments, and the run of it."""

from collections.abc import Mapping
from typing import Any

from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.jobs import runner
from fal_mcp.jobs.runner import Finished
from fal_mcp.text import cut, one_line
from fal_mcp.tools import media
from fal_mcp.tools.tool import Call, Media, Outcome, Tool

LONGEST_DESCRIPTION = 1000
_LONGEST_SENTENCE = 400
_MOST_FILE_ARGUMENTS = 4


def tool(endpoint: Endpoint) -> Tool:
    """The typed tool of one model."""

    async def run(arguments: Mapping[str, Any], call: Call) -> Outcome:
        finished = await runner.run(call.fal.queue, endpoint.endpoint_id, dict(arguments), call.tell)
        return outcome(endpoint.endpoint_id, finished)

    return Tool(
        name=tool_name(endpoint.endpoint_id),
        title=cut(f"{endpoint.title} ({endpoint.endpoint_id})", 120),
        description=describe(endpoint),
        input_schema=endpoint.input_schema,
        effect="spends",
        key="user",
        run=run,
        metadata={"fal/endpoint_id": endpoint.endpoint_id},
    )


def describe(endpoint: Endpoint) -> str:
    """What the tool is for, what it costs and takes, in at most 1,000 characters."""
    about = one_line(endpoint.description, _LONGEST_SENTENCE)
    lines = [f"{about or endpoint.title} [{endpoint.category}: {endpoint.endpoint_id}]", _cost(endpoint)]
    if endpoint.files:
        shown = ", ".join(_position(argument.path) for argument in endpoint.files[:_MOST_FILE_ARGUMENTS])
        more = ", …" if len(endpoint.files) > _MOST_FILE_ARGUMENTS else ""
        lines.append(f"Files go in as https URLs: {shown}{more}.")
    if endpoint.is_training:
        lines.append("Trains a model; it does not generate.")
    return cut("\n".join(lines), LONGEST_DESCRIPTION)


def outcome(endpoint_id: str, finished: Finished) -> Outcome:
    """The envelope that every model tool answers with, and its files."""
    files = media.find(finished.output)
    return Outcome(
        data={
            "status": "completed",
            "endpoint_id": endpoint_id,
            "request_id": finished.request_id,
            "output": finished.output,
            "files": [_file(item) for item in files],
            "timing": {"queue_s": finished.queue_seconds, "run_s": finished.run_seconds},
        },
        media=files,
        note=f"{endpoint_id} ran for {finished.run_seconds:.1f} s after {finished.queue_seconds:.1f} s in the queue.",
    )


def _cost(endpoint: Endpoint) -> str:
    price = f"Costs {endpoint.price}" if endpoint.price else "Costs money; the price is on the model's page at fal.ai"
    seconds = f"; takes about {endpoint.typical_seconds:.0f} s" if endpoint.typical_seconds else ""
    return f"{price}{seconds}."


def _position(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


def _file(item: Media) -> dict[str, Any]:
    return {
        "url": item.url,
        "kind": item.kind,
        "content_type": item.content_type,
        "width": item.width,
        "height": item.height,
        "size": item.size,
    }
