"""A hand-made tool: a pydantic model of its arguments, and a function."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pydantic

from fal_mcp.errors import Fault, InvalidInput
from fal_mcp.json_values import JsonMapping, is_list, is_object
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line
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

    async def parsed(given: JsonMapping, call: Call) -> Outcome:
        return await run(read(arguments, given), call)

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


def read(arguments: type[A], given: JsonMapping) -> A:
    """The arguments that were given, as `arguments` has them. The one door of pydantic's errors.

    Raises:
        InvalidInput: what the schema let through and pydantic does not, each with its path.
    """
    try:
        return arguments.model_validate(dict(given))
    except pydantic.ValidationError as error:
        faults = tuple(Fault(_path(one["loc"]), f"{one_line(one['msg'], 300)}.") for one in error.errors())
        sentences = "; ".join(map(str, faults))
        raise InvalidInput(f"Refused here, before anything was sent: {sentences}", faults=faults) from error


def _path(steps: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{one_line(step, 80)}" for step in steps)


def _plain(schema: object) -> Any:
    """Without pydantic's titles, and with optional arguments told by their absence and not by null."""
    if is_list(schema):
        return [_plain(item) for item in schema]
    if not is_object(schema):
        return schema
    source = schema
    result = {key: _plain(value) for key, value in source.items() if not (key == "title" and isinstance(value, str))}
    options = result.get("anyOf", [])
    # pydantic writes "may be left out" as a type null with the default null, which some hosts refuse and models send.
    if {"type": "null"} in options and result.get("default", 0) is None:
        rest = [option for option in options if option != {"type": "null"}]
        around = {key: value for key, value in result.items() if key not in ("anyOf", "default")}
        return {**around, **rest[0]} if len(rest) == 1 else {**around, "anyOf": rest}
    # By their own names: an argument may be called `title`, as the keyword is that is taken out above.
    if "properties" in result:
        result["properties"] = {name: _plain(part) for name, part in source["properties"].items()}
    return result
