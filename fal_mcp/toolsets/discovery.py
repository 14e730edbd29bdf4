"""Finding a model, reading about it, and running any by its id."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.catalog.search import Hit
from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.openapi import listed_schema
from fal_mcp.openapi.example import example
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs import with_queue, without_queue
from fal_mcp.runs.call import Call
from fal_mcp.text import clean, cut, one_line
from fal_mcp.tools import from_function
from fal_mcp.tools.from_function import Arguments
from fal_mcp.tools.tool import Tool
from fal_mcp.toolsets.models import Models

_LONGEST_LINE = 260
_VALUES_A_PAGE = 200
_LONGEST_SCHEMA = 24_000


class SearchArguments(Arguments):
    query: str = Field("", max_length=300, description="What should be done, in plain words, or a model's name.")
    category: str | None = Field(None, max_length=60, description="Only this category, such as image-to-video.")
    max_price: float | None = Field(None, ge=0, description="Only models known to cost at most this, in USD a unit.")
    limit: int = Field(10, ge=1, le=50, description="Models on one page.")
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before.")


class GetArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id, such as fal-ai/flux/dev.")
    argument: str | None = Field(None, max_length=64, description="List every allowed value of this argument instead.")
    page: int = Field(1, ge=1, le=1000, description="Page of those values, 200 on each.")


class RunArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="The model's id, such as fal-ai/flux/dev.")
    arguments: dict[str, Any] = Field(description="The model's own arguments; get_model shows them.")
    save_to: str | None = Field(None, max_length=200, description="A folder below the server's output folder.")
    mode: Literal["queue", "sync", "stream"] = Field(
        "queue", description="queue keeps the job; sync and stream are for fast models and keep nothing."
    )
    priority: Literal["normal", "low"] | None = Field(None, description="low waits behind everybody else's.")
    seconds: float | None = Field(
        None, ge=0, le=55, description="How long to wait for it, at most; with 0 it is only submitted."
    )
    start_timeout_s: float | None = Field(None, gt=1, le=86_400, description="Give up if it has not begun by then.")
    keep_nothing: bool = Field(False, description="fal keeps neither arguments nor result.")
    keep_files_s: int | None = Field(
        None, ge=60, le=31_536_000, description="How long fal keeps the files, in seconds."
    )
    no_retry: bool = Field(False, description="fal does not try again where its own side fails.")
    runner_hint: str | None = Field(
        None, max_length=120, pattern=r"^[\x21-\x7e]+$", description="Runs with the same hint go to the same machine."
    )
    webhook_url: str | None = Field(
        None, max_length=2000, pattern="^https://", description="fal calls this when the job is over."
    )
    fresh: bool = Field(False, description="Run it even if the same was asked for a moment ago.")


def tools(models: Models) -> list[Tool]:
    """The discovery tools over these models."""

    async def search(arguments: SearchArguments, call: Call) -> Outcome:
        return _search(models, arguments)

    async def get(arguments: GetArguments, call: Call) -> Outcome:
        return _get(models, arguments)

    async def run(arguments: RunArguments, call: Call) -> Outcome:
        return await _run(models, arguments, call)

    return [
        from_function.tool(
            SearchArguments,
            search,
            name="search_models",
            title="Search fal's models",
            description="Finds models on fal for a task in plain words or by name: image, video, speech, music, sound, "
            "3D, transcription, upscaling, training. Each line: endpoint id, tool name, what it does, price, required "
            "arguments. Free. Every tool name it gives can be called, listed or not.",
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
            description="Runs a model on fal by its endpoint id and answers with its files. Costs what the model "
            "costs: search_models and get_model tell. Arguments are checked before anything is sent.",
            effect="spends",
            key="user",
            shows_media=True,
        ),
    ]


def _search(models: Models, arguments: SearchArguments) -> Outcome:
    start = _start(arguments.cursor)
    found = models.search.find(arguments.query, arguments.category)
    if arguments.max_price is not None:
        found = [hit for hit in found if _costs_at_most(models, hit, arguments.max_price)]
    page = found[start : start + arguments.limit]
    lines = [line for hit in page if (line := _line(models, hit.endpoint_id))]
    more = start + arguments.limit < len(found)
    data: dict[str, Any] = {"total": len(found), "endpoint_ids": [hit.endpoint_id for hit in page]}
    if more:
        data["next_cursor"] = base64.urlsafe_b64encode(str(start + arguments.limit).encode()).decode()
    return Outcome(data=data, note="\n".join(lines) if lines else _nothing(models, arguments), is_plain=True)


def _start(cursor: str | None) -> int:
    try:
        return max(int(base64.urlsafe_b64decode(cursor)), 0) if cursor else 0
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("The cursor is not one that search_models gave.", hint="Leave it out to start.") from error


def _costs_at_most(models: Models, hit: Hit, amount: float) -> bool:
    endpoint = models.catalog.get(hit.endpoint_id)
    return endpoint is not None and endpoint.price is not None and endpoint.price.amount <= amount


def _line(models: Models, endpoint_id: str) -> str | None:
    endpoint = models.catalog.get(endpoint_id)
    if endpoint is None:
        return None
    needs = ", ".join(endpoint.input_schema.get("required", ())) or "nothing"
    price = f"{endpoint.price}" if endpoint.price else "price on fal.ai"
    gone = f" Deprecated{_instead(models, endpoint_id)}." if endpoint.metadata.get("status") == "deprecated" else ""
    head = f"{endpoint_id} | {tool_name(endpoint_id)} | "
    tail = f" | {price} | needs {cut(needs, 60)}{gone}"
    about = one_line(endpoint.description or endpoint.title, 400)
    return head + cut(about, max(_LONGEST_LINE - len(head) - len(tail), 30)) + tail


def _nothing(models: Models, arguments: SearchArguments) -> str:
    counts = models.search.categories()
    shown = ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:20])
    unknown = arguments.category is not None and arguments.category not in counts
    said = f"There is no category {one_line(arguments.category or '', 60)!r}." if unknown else "Nothing was found."
    return f"{said} Categories: {shown}."


def _get(models: Models, arguments: GetArguments) -> Outcome:
    endpoint = endpoint_of(models, arguments.endpoint_id)
    if arguments.argument is not None:
        return _values(endpoint, arguments.argument, arguments.page)
    short = listed_schema.lean(endpoint.input_schema)
    shown = json.dumps(short, ensure_ascii=False, separators=(",", ":"))
    filled = example(endpoint.input_schema)
    lines = [
        f"{endpoint.title} [{endpoint.category}], tool {tool_name(endpoint.endpoint_id)}",
        f"fal says of it: {clean(endpoint.description, 600) or 'nothing'}",
        f"Price: {endpoint.price or 'not known here; see the model at fal.ai'}"
        + (f"; takes about {endpoint.typical_seconds:.0f} s" if endpoint.typical_seconds else ""),
        *(f"{said}: {value}" for said, value in _notes(models, endpoint)),
        f"Example: {json.dumps(filled, ensure_ascii=False)}",
        f"Comes out: {_outputs(endpoint)}",
        f"Arguments: {cut(shown, _LONGEST_SCHEMA)}",
    ]
    data = {
        "endpoint_id": endpoint.endpoint_id,
        "tool": tool_name(endpoint.endpoint_id),
        "category": endpoint.category,
        "price": None if endpoint.price is None else {"amount": endpoint.price.amount, "unit": endpoint.price.unit},
        "example": filled,
    }
    return Outcome(data=data, note="\n".join(lines), is_plain=True)


def _notes(models: Models, endpoint: Endpoint) -> list[tuple[str, str]]:
    licence = endpoint.metadata.get("license_type")
    files = ", ".join(".".join(one.path).replace(".[]", "[]") for one in endpoint.files)
    notes = [("Licence", one_line(str(licence), 40)) if licence else None, ("File arguments", files) if files else None]
    notes.append(("Note", "it trains a model; it does not generate") if endpoint.is_training else None)
    notes.append(("Note", "it can be streamed") if endpoint.metadata.get("stream_url") else None)
    if endpoint.metadata.get("status") == "deprecated":
        notes.append(("Note", f"deprecated{_instead(models, endpoint.endpoint_id)}"))
    return [note for note in notes if note]


def _instead(models: Models, endpoint_id: str) -> str:
    successor = models.search.successor(endpoint_id)
    return f", use {successor}" if successor else ""


def _outputs(endpoint: Endpoint) -> str:
    properties: Mapping[str, Any] = endpoint.output_schema.get("properties", {})
    return cut(", ".join(properties), 400) or "whatever the model says"


def _values(endpoint: Endpoint, name: str, page: int) -> Outcome:
    part = endpoint.input_schema["properties"].get(name)
    if part is None:
        known = ", ".join(endpoint.input_schema["properties"])
        raise InvalidInput(
            f"{endpoint.endpoint_id!r} has no argument {one_line(name, 60)!r}.", hint=f"It has: {cut(known, 600)}."
        )
    values = _allowed(part, endpoint.input_schema)
    shown = values[(page - 1) * _VALUES_A_PAGE : page * _VALUES_A_PAGE]
    pages = -(-len(values) // _VALUES_A_PAGE)
    note = f"{name}: page {page} of {pages}, {len(values)} values" if values else f"{name} takes any value of its type"
    data = {"argument": name, "total": len(values), "pages": pages, "values": shown}
    return Outcome(data=data, note=f"{note}\n{json.dumps(shown, ensure_ascii=False)}", is_plain=True)


def _allowed(part: Schema, root: Schema) -> list[Any]:
    inner = [part, *(branch["items"] for branch in branches(part, root) if isinstance(branch.get("items"), dict))]
    return [value for one in inner for branch in branches(one, root) for value in branch.get("enum", ())]


async def _run(models: Models, arguments: RunArguments, call: Call) -> Outcome:
    endpoint = endpoint_of(models, arguments.endpoint_id)
    prepared = models.prepared(endpoint, arguments.arguments, repr(endpoint.endpoint_id))
    if arguments.mode != "queue":
        if _headers(arguments) or _query(arguments):
            raise InvalidInput(
                f"Priority, webhook and the like are the queue's, and mode is {arguments.mode!r}.",
                hint="Leave them out, or run it with mode queue.",
            )
        streamed = arguments.mode == "stream"
        done = await without_queue.run(
            endpoint, prepared.arguments, call, is_streamed=streamed, save_to=arguments.save_to
        )
    else:
        chosen: dict[str, Any] = {"is_fresh": arguments.fresh, "save_to": arguments.save_to}
        chosen |= {"headers": _headers(arguments), "query": _query(arguments)}
        # With a webhook nobody waits unless told to: fal calls back, and the job can be looked at any time.
        wait = 0.0 if arguments.webhook_url and arguments.seconds is None else arguments.seconds
        done = await with_queue.run_endpoint(endpoint, prepared.arguments, call, wait=wait, **chosen)
    return done.repaired(prepared.notes)


def _headers(arguments: RunArguments) -> dict[str, str] | None:
    """fal's queue options. Fact sheet §2.2."""
    headers = {
        "x-fal-queue-priority": arguments.priority,
        "x-fal-request-timeout": None if arguments.start_timeout_s is None else f"{arguments.start_timeout_s:g}",
        "x-fal-store-io": "0" if arguments.keep_nothing else None,
        "x-fal-object-lifecycle-preference": _lifecycle(arguments.keep_files_s),
        "x-fal-no-retry": "1" if arguments.no_retry else None,
        "x-fal-runner-hint": arguments.runner_hint,
    }
    return {name: value for name, value in headers.items() if value is not None} or None


def _lifecycle(seconds: int | None) -> str | None:
    """Fact sheet §4.6."""
    return None if seconds is None else json.dumps({"expiration_duration_seconds": seconds})


def _query(arguments: RunArguments) -> dict[str, str] | None:
    return {"fal_webhook": arguments.webhook_url} if arguments.webhook_url else None


def endpoint_of(models: Models, endpoint_id: str) -> Endpoint:
    """The endpoint that an id, a tool name or an address of fal's stands for.

    Raises:
        NotFound: with the nearest ids, or the reason why it cannot be used here.
    """
    wanted = endpoint_id.strip().strip("/").removeprefix("https://fal.ai/models/").removeprefix("https://fal.run/")
    found = models.catalog.get(wanted) or models.catalog.by_tool_name(wanted)
    if found is None or not models.selection.allows(found.endpoint_id):
        raise _unknown(models, wanted)
    return found


def _unknown(models: Models, endpoint_id: str) -> NotFound:
    newer = [one] if (one := models.search.successor(endpoint_id)) else []
    near = [
        one for one in dict.fromkeys([*newer, *models.catalog.near_ids(endpoint_id)]) if models.selection.allows(one)
    ]
    hint = f"The nearest ids: {', '.join(near)}." if near else "Ask search_models what there is."
    if models.catalog.get(endpoint_id) is not None:
        return NotFound(f"This server may not run {endpoint_id!r}.", hint=f"Its --only setting says so. {hint}")
    reason = models.catalog.problems_of(endpoint_id)
    said = f"{one_line(endpoint_id, 120)!r} cannot be used here: {reason}" if reason else ""
    return NotFound(said or f"fal's catalog has no model {one_line(endpoint_id, 120)!r}.", hint=hint)
