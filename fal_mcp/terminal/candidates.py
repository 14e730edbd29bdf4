"""What a shell may complete: the ids of models, and a model's arguments with the values that it names."""

import re
from collections.abc import Iterator, Sequence

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog_source import source_of
from fal_mcp.config import Settings
from fal_mcp.json_values import JsonMapping, dumped, list_of, object_of
from fal_mcp.openapi.schema import Schema, branches

_TAKEN_AS_IT_IS = re.compile(r"[\w.,:/@%+-]+", re.ASCII)
"""A value that no shell wants quoted."""
_ANYTHING = "..."


def ids(settings: Settings, beginning: str) -> list[str]:
    """The ids that begin so. Never raises."""
    try:
        return [each for each in Catalog(source_of(settings)).ids if each.startswith(beginning)]
    except Exception:
        return []


def pairs(settings: Settings, endpoint_id: str, before: Sequence[str], beginning: str) -> list[str]:
    """The model's arguments that begin so, after the words `before`, as `name=value`. Never raises."""
    try:
        endpoint = Catalog(source_of(settings)).get(endpoint_id)
        words = _words(endpoint.input_schema, before, beginning) if endpoint else []
        return [word for word in words if word.startswith(beginning)]
    except Exception:
        return []


def _words(schema: Schema, before: Sequence[str], beginning: str) -> list[str]:
    parts = object_of(schema.get("properties"))
    if alone := _name_alone(parts, before):
        return list(_values(object_of(parts[alone]), schema))
    names = [name for name in parts if name.startswith(beginning)]
    if len(names) > 1:
        return [f"{name}=" for name in names]
    return [word for name in names or parts for word in _pairs_of(name, object_of(parts[name]), schema)]


def _name_alone(parts: JsonMapping, before: Sequence[str]) -> str | None:
    """The argument whose value is typed: bash takes a pair apart at its "=", and leaves that out right behind it."""
    *_, second, last = ["", "", *before]
    name = second if last == "=" else last if second != "=" else ""
    return name if name in parts else None


def _pairs_of(name: str, part: Schema, root: Schema) -> Iterator[str]:
    values = list(_values(part, root))
    yield from (f"{name}={value}" for value in values)
    if not values:
        # Of two words a shell completes what they share. A single one it takes for whole: bash and zsh put a blank
        # behind its "=", and the value that is typed next is another word.
        default = dumped(part.get("default"))
        yield f"{name}="
        yield f"{name}={default if _TAKEN_AS_IT_IS.fullmatch(default) and default != 'null' else _ANYTHING}"


def _values(part: Schema, root: Schema) -> Iterator[str]:
    for branch in branches(part, root):
        values = ["true", "false"] if branch.get("type") == "boolean" else list_of(branch.get("enum"))
        texts = (value if isinstance(value, str) else dumped(value) for value in values)
        yield from (text for text in texts if _TAKEN_AS_IT_IS.fullmatch(text))
