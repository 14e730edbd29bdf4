"""`get_model`: all there is to know before a model is run, in text and in data alike."""

import json
from typing import Any

from pydantic import Field

from fal_mcp.catalog.app_route import CATEGORY
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.price import Quote, quote
from fal_mcp.errors import InvalidInput, NotFound
from fal_mcp.json_values import JsonMapping, JsonObject, object_of
from fal_mcp.openapi import listed_schema
from fal_mcp.openapi.example import filled
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import clean, cut, one_line
from fal_mcp.tools.from_function import Arguments
from fal_mcp.toolsets import own_apps
from fal_mcp.toolsets.models import Models
from fal_mcp.toolsets.search_models import instead, is_deprecated, price_of

_VALUES_A_PAGE = 200
_LONGEST_SCHEMA = 24_000
_MOST_ODDITIES = 3
_LONGEST_ABOUT = 600
_MOST_OUTPUTS = 400


class GetArguments(Arguments):
    endpoint_id: str = Field(min_length=1, max_length=200, description="Such as fal-ai/flux/dev.")
    argument: str | None = Field(None, max_length=64, description="Every allowed value of this argument instead.")
    page: int = Field(1, ge=1, le=1000, description="Page of those values, 200 on each.")


async def get(models: Models, arguments: GetArguments, call: Call) -> Outcome:
    """A model's card, or one argument's values."""
    endpoint = await endpoint_of(models, arguments.endpoint_id, call, is_described=True)
    if endpoint.unchecked:
        raise _undocumented(models, endpoint)
    if arguments.argument is not None:
        return _values(endpoint, arguments.argument, arguments.page)
    data = _card(models, endpoint)
    if (own := own_apps.about(endpoint)) is not None:
        data["own"] = {**own, **await own_apps.now(endpoint, call)}
        data["price"] = _price_of_app(await call.prices.known(endpoint, data["example"]))
    return Outcome(data=data, note=_text(endpoint, data), is_plain=True)


def _card(models: Models, endpoint: Endpoint) -> JsonObject:
    example = filled(endpoint.input_schema, endpoint.category, endpoint.endpoint_id)
    licence = endpoint.metadata.get("license_type")
    card: JsonObject = {
        "endpoint_id": endpoint.endpoint_id,
        "tool": models.name_of(endpoint.endpoint_id),
        "title": endpoint.title,
        "category": endpoint.category,
        "about": clean(endpoint.description, _LONGEST_ABOUT),
        "price": _price(endpoint, example.arguments),
        "typical_seconds": endpoint.typical_seconds,
        "licence": one_line(str(licence), 40) if licence else None,
        "files": [".".join(one.path).replace(".[]", "[]") for one in endpoint.files],
        "notes": [*_notes(models, endpoint), *example.notes],
        "example": example.arguments,
        "outputs": _outputs(endpoint),
        "arguments": _arguments(endpoint),
    }
    return {name: value for name, value in card.items() if value not in (None, [], "") or name in ("price", "example")}


def _price(endpoint: Endpoint, example: JsonMapping) -> JsonObject | None:
    """The price a unit, and of the example where it can be told; None where fal tells none."""
    price = endpoint.price
    if price is None or price.amount <= 0:
        return None
    priced = {"amount": price.amount, "unit": price.unit, "said": str(price)}
    reckoned = quote(endpoint, example)
    return priced if reckoned.amount is None else {**priced, "example": str(reckoned)}


def _price_of_app(quoted: Quote) -> JsonObject:
    """What a run is estimated at, and what of it a limit counts; None for what cannot be told."""
    return {"estimated_usd": quoted.typical, "limit_usd": quoted.amount, "said": quoted.reason}


def _text(endpoint: Endpoint, card: JsonMapping) -> str:
    takes = f"; takes about {endpoint.typical_seconds:.0f} s" if endpoint.typical_seconds else ""
    files = ", ".join(card.get("files", ()))
    shown = json.dumps(card["arguments"], ensure_ascii=False, separators=(",", ":"))
    lines = [
        f"{endpoint.title} [{endpoint.category}], {endpoint.endpoint_id}, tool {card['tool']}",
        f"{'Its app' if 'own' in card else 'fal'} says of it: {card.get('about', 'nothing')}",
        *_own_lines(endpoint, card),
        f"Price: {card['price']['said'] if 'own' in card else price_of(endpoint)}{_of_example(card)}{takes}",
        f"Licence: {card['licence']}" if "licence" in card else "",
        f"File arguments: {files}" if files else "",
        *(f"Note: {note}" for note in card.get("notes", ())),
        f"Example: {json.dumps(card['example'], ensure_ascii=False)}",
        f"Comes out: {', '.join(card.get('outputs', ())) or 'whatever the model says'}",
        f"Arguments: {cut(shown, _LONGEST_SCHEMA)}",
    ]
    return "\n".join(filter(None, lines))


def _own_lines(endpoint: Endpoint, card: JsonMapping) -> list[str]:
    if "own" not in card:
        return []
    updated = card["own"].get("updated")
    return [
        f"It is {own_apps.sentence(endpoint)}{f', updated {updated}' if updated else ''}",
        *own_apps.lines(card["own"]),
    ]


def _of_example(card: JsonMapping) -> str:
    said = object_of(card["price"]).get("example")
    return f"; the example: {said}" if said else ""


def _arguments(endpoint: Endpoint) -> Schema:
    """The rules of every argument; where that is too long to be read, those of the required and the others' names."""
    short = listed_schema.lean(endpoint.input_schema)
    # A few models have lists of a thousand voices or avatars: whole, one card would fill a context.
    if len(json.dumps(short, ensure_ascii=False)) <= _LONGEST_SCHEMA:
        return short
    required = set(short.get("required", ()))
    kept = {name: part if name in required else _outline(part) for name, part in short["properties"].items()}
    return {**short, "properties": kept}


def _outline(part: Schema) -> Schema:
    return {key: value for key, value in part.items() if key in ("type", "default", "minimum", "maximum", "$ref")}


def _notes(models: Models, endpoint: Endpoint) -> list[str]:
    notes = [
        "It trains a model; it does not generate." if endpoint.is_training else "",
        "It can be streamed." if endpoint.metadata.get("stream_url") else "",
        f"Deprecated{instead(models, endpoint.endpoint_id)}." if is_deprecated(endpoint) else "",
        *(f"Of fal's document: {one_line(oddity, 200)}" for oddity in endpoint.oddities[:_MOST_ODDITIES]),
    ]
    return [note for note in notes if note]


def _outputs(endpoint: Endpoint) -> list[str]:
    """The names of what comes out, as many as fit."""
    names: list[str] = []
    for name in endpoint.output_schema.get("properties", {}):
        if sum(map(len, names)) + len(name) > _MOST_OUTPUTS:
            return [*names, "…"]
        names.append(name)
    return names


def _values(endpoint: Endpoint, name: str, page: int) -> Outcome:
    part = endpoint.input_schema["properties"].get(name)
    if part is None:
        known = ", ".join(endpoint.input_schema["properties"])
        raise InvalidInput(
            f"{endpoint.endpoint_id!r} has no argument {one_line(name, 60)!r}.", hint=f"It has: {cut(known, 600)}."
        )
    values = _allowed(part, endpoint.input_schema)
    shown = values[(page - 1) * _VALUES_A_PAGE : page * _VALUES_A_PAGE]
    # Rounded up.
    pages = -(-len(values) // _VALUES_A_PAGE)
    note = f"{name}: page {page} of {pages}, {len(values)} values" if values else f"{name} takes any value of its type"
    data = {"argument": name, "total": len(values), "page": page, "pages": pages, "values": shown}
    return Outcome(data=data, note=f"{note}\n{json.dumps(shown, ensure_ascii=False)}", is_plain=True)


def _allowed(part: Schema, root: Schema) -> list[Any]:
    inner = [part, *(branch["items"] for branch in branches(part, root) if isinstance(branch.get("items"), dict))]
    return [value for one in inner for branch in branches(one, root) for value in branch.get("enum", ())]


def _undocumented(models: Models, endpoint: Endpoint) -> NotFound:
    return NotFound(
        f"There is nothing to read about {endpoint.endpoint_id!r}: {endpoint.unchecked}.",
        hint=f"run_model runs it all the same, unchecked, where fal has it. {models.hint(endpoint.endpoint_id)}",
    )


async def endpoint_of(
    models: Models, endpoint_id: str, call: Call, way: str = "run", *, is_described: bool = False
) -> Endpoint:
    """The endpoint that an id, a tool name or an address of fal's stands for; `way` is how it is to be run. Of an app,
    `is_described` asks fal whether it is the account's own, as a limit on what it costs does too.

    Raises:
        NotFound: with the nearest ids, or the reason why it cannot be run here.
    """
    endpoint = await models.endpoint(endpoint_id, call.fal, way)
    limits = call.jobs.limits
    if endpoint.category != CATEGORY or not (is_described or limits.are_set or limits.approve_over is not None):
        return endpoint
    await models.resolution.look(call.fal())
    return await models.endpoint(endpoint_id, call.fal, way)
