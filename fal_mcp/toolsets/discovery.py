"""Finding a model, reading about it, and running any by its id."""

import json
from typing import Literal

from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue, without_queue
from fal_mcp.runs.call import Call
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets import get_model, own_apps, search_models
from fal_mcp.toolsets.get_model import GetArguments, endpoint_of
from fal_mcp.toolsets.models import Models
from fal_mcp.toolsets.search_models import SearchArguments


class RunArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id.")
    arguments: JsonObject = Field(description="get_model shows them.")
    save_to: str | None = Field(None, max_length=200, description="A folder in the output folder.")
    mode: Literal["queue", "sync", "stream"] = Field(
        "queue", description="sync and stream are for fast models and keep nothing."
    )
    priority: Literal["normal", "low"] | None = Field(None, description="low waits behind everybody else's.")
    seconds: float | None = Field(None, ge=0, le=55, description="How long to wait, at most; 0 only submits.")
    start_timeout_s: float | None = Field(None, gt=1, le=86_400, description="Give up if not begun by then.")
    keep_nothing: bool = Field(False, description="fal keeps neither arguments nor result.")
    keep_files_s: int | None = Field(None, ge=60, le=31_536_000, description="How long fal keeps the files.")
    no_retry: bool = Field(False, description="fal does not retry its own failures.")
    runner_hint: str | None = Field(
        None, max_length=120, pattern=r"^[\x21-\x7e]+$", description="Same hint, same machine."
    )
    webhook_url: str | None = Field(
        None, max_length=2000, pattern="^https://", description="Called when the job is over."
    )
    fresh: bool = Field(False, description="Run even if the same was just asked for.")


def tools(models: Models) -> list[Tool]:
    """The discovery tools over these models."""

    async def search(arguments: SearchArguments, call: Call) -> Outcome:
        own = await own_apps.meant(models, arguments.query, call)
        return search_models.search(models, arguments, own)

    async def get(arguments: GetArguments, call: Call) -> Outcome:
        return await get_model.get(models, arguments, call)

    async def run(arguments: RunArguments, call: Call) -> Outcome:
        return await _run(models, arguments, call)

    return [
        from_function.tool(
            SearchArguments,
            search,
            name="search_models",
            title="Search models",
            description="Finds models on fal by task or name: image, video, speech, music, sound, 3D, transcription, "
            "training. Each row: id, tool name, what it does, price, required arguments. Free. Each tool named can be "
            "called, listed or not.",
            effect="reads",
        ),
        from_function.tool(
            GetArguments,
            get,
            name="get_model",
            title="Read about a model",
            description="One model's arguments with their rules, an example that works, what comes out, price and "
            "licence. Free. Read it before the first run of a model whose tool is not listed.",
            effect="reads",
        ),
        from_function.tool(
            RunArguments,
            run,
            name="run_model",
            title="Run any model by id",
            description="Runs a model by its endpoint id and answers with its files. Costs what get_model says. "
            "Arguments are checked before anything is sent.",
            effect="spends",
            key="user",
            shows_media=True,
        ),
    ]


async def _run(models: Models, arguments: RunArguments, call: Call) -> Outcome:
    way = "stream" if arguments.mode == "stream" else "run"
    endpoint = await endpoint_of(models, arguments.endpoint_id, call, way)
    prepared = models.prepared(endpoint, arguments.arguments, repr(endpoint.endpoint_id))
    if arguments.save_to and call.output is not None:
        # A place that cannot be is told before anything is paid for.
        call.output.place(arguments.save_to)
    with models.near(endpoint):
        done = await _done(endpoint, prepared.arguments, arguments, call)
    return done.repaired(prepared.notes)


async def _done(endpoint: Endpoint, given: JsonMapping, arguments: RunArguments, call: Call) -> Outcome:
    # An app's route for streams has no other way.
    is_streamed = arguments.mode == "stream" or endpoint.way == "stream"
    mode = "stream" if is_streamed else arguments.mode
    if mode != "queue":
        # Refused and not dropped: who asks for low priority or a webhook counts on it.
        if _headers(arguments) or _query(arguments):
            raise InvalidInput(
                f"Priority, webhook and the like are the queue's, and mode is {mode!r}.",
                hint="Leave them out, or run it with mode queue.",
            )
        return await without_queue.run(endpoint, given, call, is_streamed=is_streamed, save_to=arguments.save_to)
    chosen: JsonObject = {"is_fresh": arguments.fresh, "save_to": arguments.save_to}
    chosen |= {"headers": _headers(arguments), "query": _query(arguments)}
    # With a webhook nobody waits unless told to: fal calls back, and the job can be looked at any time.
    wait = 0.0 if arguments.webhook_url and arguments.seconds is None else arguments.seconds
    return await with_queue.run_endpoint(endpoint, given, call, wait=wait, **chosen)


def _headers(arguments: RunArguments) -> dict[str, str] | None:
    """fal's queue options. Fact F2.2."""
    headers = {
        "x-fal-queue-priority": arguments.priority,
        "x-fal-request-timeout": None if arguments.start_timeout_s is None else f"{arguments.start_timeout_s:g}",
        # Only what was asked for is sent: an absent header is fal's or the account's own default.
        "x-fal-store-io": "0" if arguments.keep_nothing else None,
        "x-fal-object-lifecycle-preference": _lifecycle(arguments.keep_files_s),
        "x-fal-no-retry": "1" if arguments.no_retry else None,
        "x-fal-runner-hint": arguments.runner_hint,
    }
    return {name: value for name, value in headers.items() if value is not None} or None


def _lifecycle(seconds: int | None) -> str | None:
    """Fact F4.6."""
    return None if seconds is None else json.dumps({"expiration_duration_seconds": seconds})


def _query(arguments: RunArguments) -> dict[str, str] | None:
    return {"fal_webhook": arguments.webhook_url} if arguments.webhook_url else None
