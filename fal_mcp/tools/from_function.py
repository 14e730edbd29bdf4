"""A hand-made tool: a pydantic model of its arguments, and a function."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import pydantic

from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.tools.tool import Effect, KeyKind, Tool

A = TypeVar("A", bound=pydantic.BaseModel)


class Arguments(pydantic.BaseModel):
    """What every hand-made tool's arguments are made of: what is not named is refused."""

    model_config = pydantic.ConfigDict(extra="forbid")


def tool(
    arguments: type[A],
    run: Callable[[A, Call], Awaitable[Outcome]],
    *,
    name: str,
    title: str,
    description: str,
    effect: Effect,
    key: KeyKind = "none",
    shows_media: bool = False,
) -> Tool:
    """The tool; `run` gets its arguments parsed."""

    async def parsed(given: Mapping[str, Any], call: Call) -> Outcome:
        return await run(arguments.model_validate(dict(given)), call)

    return Tool(
        name=name,
        title=title,
        description=description,
        input_schema=_plain(arguments.model_json_schema()),
        effect=effect,
        key=key,
        run=parsed,
        is_lean=False,
        shows_media=shows_media,
    )


def _plain(schema: Any) -> Any:
    """Without pydantic's titles, and with optional arguments told by their absence and not by null."""
    if isinstance(schema, list):
        return [_plain(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    source = cast(Schema, schema)
    result = {key: _plain(value) for key, value in source.items() if not (key == "title" and isinstance(value, str))}
    options = result.get("anyOf", [])
    if {"type": "null"} in options and result.get("default", 0) is None:
        (rest,) = [option for option in options if option != {"type": "null"}]
        return {**{key: value for key, value in result.items() if key not in ("anyOf", "default")}, **rest}
    if "properties" in result:
        result["properties"] = {name: _plain(part) for name, part in source["properties"].items()}
    return result
