"""`fal-mcp models`: find a model, and read what it takes."""

import shlex
from collections.abc import Iterator

from fal_mcp.catalog.cache import Cache
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.search import Search
from fal_mcp.catalog_source import source_of
from fal_mcp.config import Settings
from fal_mcp.json_values import JsonObject, dumped, list_of, object_of, text_of
from fal_mcp.openapi.example import example
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.terminal import screen
from fal_mcp.terminal.session import DONE, FAILED
from fal_mcp.terminal.words import money
from fal_mcp.text import clean, cut, one_line

_MOST_GUESSES = 3
_MOST_VALUES = 12
_LONGEST_ABOUT = 160


def search(settings: Settings, query: str, limit: int, as_json: bool) -> int:
    """Find models for a task in plain words. The exit code says whether any was."""
    source = source_of(settings)
    catalog = Catalog(source)
    matches = Search(catalog, catalog.ids).match(query)
    # Guesses are no matches to a script: they are said on the other screen, and the exit code is that of nothing
    # found.
    hits = matches.hits[:limit] if matches.is_sure else []
    endpoints = [endpoint for hit in hits if (endpoint := catalog.get(hit.endpoint_id))]
    if as_json:
        screen.out().print(dumped([_row(endpoint) for endpoint in endpoints], indent=1))
    elif endpoints:
        for endpoint in endpoints:
            _line(endpoint)
    if not endpoints:
        guesses = ", ".join(hit.endpoint_id for hit in matches.hits[:_MOST_GUESSES])
        about = f"Nothing among {len(catalog)} models fits {query!r}."
        screen.trouble(about, f"The nearest may be {guesses}." if guesses else "")
    if settings.models is None and not isinstance(source, Cache):
        more = f"Searched {len(catalog)} models, those that came along; fal-mcp models refresh fetches all of fal's."
        screen.say(screen.errors(), more, "dim")
    return DONE if endpoints else FAILED


def show(settings: Settings, endpoint_id: str, as_json: bool) -> int:
    """Say what a model does, costs and takes."""
    catalog = Catalog(source_of(settings))
    endpoint = catalog.get(endpoint_id)
    if endpoint is None:
        near = ", ".join(near_ids(catalog, endpoint_id))
        screen.trouble(f"There is no model {endpoint_id[:200]!r} here.", f"Near to it: {near}." if near else "")
        return FAILED
    if as_json:
        data = {**_row(endpoint), "arguments": endpoint.input_schema, "example": example(endpoint.input_schema)}
        screen.out().print(dumped(data, indent=1))
        return DONE
    for line in about(endpoint):
        screen.say(screen.out(), line)
    return DONE


def about(endpoint: Endpoint) -> Iterator[str]:
    """What a model does, costs and takes, in lines."""
    yield f"{endpoint.endpoint_id}  ({endpoint.category})"
    yield clean(endpoint.description, 600)
    yield f"Price: {_price(endpoint)}. https://fal.ai/models/{endpoint.endpoint_id}"
    yield ""
    yield from arguments(endpoint)
    words = " ".join(_pair(name, value) for name, value in example(endpoint.input_schema).items())
    yield f"\nExample:\n  fal-mcp run {endpoint.endpoint_id} {words}"


def arguments(endpoint: Endpoint) -> Iterator[str]:
    """A model's own arguments, the required ones first, two lines each."""
    schema = endpoint.input_schema
    required = list_of(schema.get("required"))
    parts = {name: object_of(part) for name, part in object_of(schema.get("properties")).items()}
    for name, part in sorted(parts.items(), key=lambda item: item[0] not in required):
        rules = [*_rules(part, schema), "required" if name in required else _default(part)]
        yield f"  {name}  {', '.join(filter(None, rules))}"
        if text := one_line(text_of(part.get("description")) or "", _LONGEST_ABOUT):
            yield f"      {text}"


def help_text(settings: Settings, endpoint_id: str) -> str:
    """A model's own arguments, for the help of `run`. Never raises."""
    try:
        catalog = Catalog(source_of(settings))
        endpoint = catalog.get(endpoint_id)
        if endpoint is None:
            return (
                f"There is no model {endpoint_id[:200]!r} here. Near to it: {', '.join(near_ids(catalog, endpoint_id))}"
            )
        return "\n".join([f"Arguments of {endpoint_id}:", *arguments(endpoint)])
    except Exception as error:
        return f"What {endpoint_id[:200]!r} takes cannot be said: {error}"


def near_ids(catalog: Catalog, endpoint_id: str) -> list[str]:
    """Ids that somebody may have meant."""
    return [hit.endpoint_id for hit in Search(catalog, catalog.ids).find(endpoint_id.replace("/", " "))[:3]]


def _row(endpoint: Endpoint) -> JsonObject:
    return {
        "endpoint_id": endpoint.endpoint_id,
        "title": endpoint.title,
        "category": endpoint.category,
        "description": endpoint.description,
        "price": {"usd": endpoint.price.amount, "unit": endpoint.price.unit} if endpoint.price else None,
    }


def _line(endpoint: Endpoint) -> None:
    console = screen.out()
    text = f"{endpoint.endpoint_id}  {_price(endpoint)}  {one_line(endpoint.description, 300)}"
    console.print(cut(text, console.width) if console.is_terminal else cut(text, 200))


def _price(endpoint: Endpoint) -> str:
    price = endpoint.price
    if price is None:
        return "price on its page"
    amount = money(price.amount) if price.currency == "USD" else f"{price.amount:g} {price.currency}"
    return f"{amount} per {price.unit.removesuffix('s') if price.unit.islower() else price.unit}"


def _pair(name: str, value: object) -> str:
    if isinstance(value, str):
        return f"{name}={shlex.quote(value)}"
    return f"{name}={dumped(value)}" if isinstance(value, int | float) else f"{name}:={shlex.quote(dumped(value))}"


def _rules(part: Schema, root: Schema) -> Iterator[str]:
    for branch in branches(part, root):
        values = [str(value) for value in list_of(branch.get("enum"))]
        kind = branch.get("type")
        if values:
            more = f" … ({len(values)})" if len(values) > _MOST_VALUES else ""
            yield " | ".join(values[:_MOST_VALUES]) + more
        elif kind != "null":
            yield str(kind or "anything")
        if "minimum" in branch or "maximum" in branch:
            yield f"{branch.get('minimum', '…')} to {branch.get('maximum', '…')}"


def _default(part: Schema) -> str:
    return f"default {cut(dumped(part['default']), 60)}" if part.get("default") is not None else ""
