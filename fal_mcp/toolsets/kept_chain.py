"""A chain of runs as a workflow: its steps as nodes, what changes from run to run as inputs. Pure. Fact F10.4."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.errors import InvalidInput
from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object, list_of, object_of, text_of
from fal_mcp.openapi.schema import resolve
from fal_mcp.text import one_line

_REFERENCE = re.compile(r"\$(\d{1,3})((?:\.[A-Za-z0-9_-]+|\[\d+\])+)")
_PART = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9-]+")
_INPUT_REFERENCE = re.compile(r"\$input\.([A-Za-z0-9_-]{1,64})")
_INPUT = re.compile(r"(\d{1,3})\.([A-Za-z0-9_.-]{1,64})")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORDS = frozenset({"prompt", "text", "script", "lyrics", "query"})
"""What is another thing from run to run."""
_RESERVED = frozenset({"input", "output"})
_VERSION = "0.1"
_TYPES: Mapping[object, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain, with its model where that is known."""

    endpoint_id: str
    arguments: JsonMapping
    endpoint: Endpoint | None = None


@dataclass(slots=True)
class _Input:
    """One input of the workflow: where it goes in, and what it was in the chain."""

    places: list[tuple[int, str]]
    value: object
    field: JsonObject = field(default_factory=dict[str, object])


def contents(name: str, links: Sequence[Link], wanted: Mapping[str, str] | None) -> JsonObject:
    """The workflow's contents. `wanted` names its inputs and where each goes in, such as `{"prompt": "1.prompt"}`; left
    out, they are the chain's own prompts and files.

    Raises:
        InvalidInput: a reference or an input leads nowhere.
    """
    names = _names(links)
    inputs = {**_written(links), **(_chosen(links, wanted) if wanted is not None else _usual(links))}
    arguments = [dict(link.arguments) for link in links]
    for called, one in inputs.items():
        for number, argument in one.places:
            arguments[number][argument] = f"$input.{called}"
    nodes = {names[number]: _node(number, names, links, arguments[number]) for number in range(len(links))}
    made = _outputs(links[-1].endpoint, names[-1])
    display = {"id": "output", "type": "display", "depends": [names[-1]], "input": {}, "fields": made}
    fields = {called: _field(called, one, links, names) for called, one in inputs.items()}
    schema = {"input": fields, "output": {one: {"name": one, "label": one} for one in made}}
    return {"name": name, "version": _VERSION, "nodes": {**nodes, "output": display}, "output": made, "schema": schema}


def example(contents: JsonMapping) -> JsonObject:
    """Arguments that the kept chain was given."""
    fields = object_of(object_of(contents.get("schema")).get("input"))
    shown = {name: list_of(object_of(part).get("examples")) for name, part in fields.items()}
    return {name: values[0] for name, values in shown.items() if values}


def _names(links: Sequence[Link]) -> list[str]:
    """A name for each step, out of its model's: `flux-dev`, and `flux-dev-2` for the second of it."""
    names: list[str] = []
    for link in links:
        parts = [part for part in link.endpoint_id.split("/")[1:] if part] or [link.endpoint_id]
        base = _NOT_IN_A_NAME.sub("-", "-".join(parts[-2:])).strip("-")[:40] or "step"
        taken = [*names, *_RESERVED]
        numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, len(links) + 3))
        names.append(next(one for one in numbered if one not in taken))
    return names


def _node(number: int, names: list[str], links: Sequence[Link], arguments: JsonObject) -> JsonObject:
    before: list[str] = []
    filled = _translated(arguments, number, names, before)
    depends = list(dict.fromkeys(before)) or ["input"]
    return {
        "id": names[number],
        "type": "run",
        "app": links[number].endpoint_id,
        "depends": depends,
        "input": filled,
    }


def _translated(value: object, number: int, names: list[str], before: list[str]) -> object:
    """A step's arguments with `$1.images[0].url` as a workflow writes it: `$flux-dev.images.0.url`."""
    if is_object(value):
        return {key: _translated(part, number, names, before) for key, part in object_of(value).items()}
    if is_list(value):
        return [_translated(part, number, names, before) for part in list_of(value)]
    if not isinstance(value, str):
        return value
    if value.startswith("$input."):
        before.append("input")
        return value
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return value
    place = int(match[1])
    if not 1 <= place <= number:
        raise InvalidInput(
            f"Step {number + 1} refers to {value!r}, and only the steps before it can be referred to.",
            hint="Steps are numbered from 1. Nothing was stored.",
        )
    before.append(names[place - 1])
    return ".".join([f"${names[place - 1]}", *_PART.findall(match[2])])


def _written(links: Sequence[Link]) -> dict[str, _Input]:
    """The inputs that the steps name themselves, as `$input.prompt`."""
    inputs: dict[str, _Input] = {}
    for number, link in enumerate(links):
        for argument, value in link.arguments.items():
            match = _INPUT_REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if match is not None:
                inputs.setdefault(match[1], _Input([], None)).places.append((number, argument))
    return inputs


def _chosen(links: Sequence[Link], wanted: Mapping[str, str]) -> dict[str, _Input]:
    chosen: dict[str, _Input] = {}
    for called, way in wanted.items():
        match = _INPUT.fullmatch(way)
        if not _NAME.fullmatch(called) or match is None or not 1 <= int(match[1]) <= len(links):
            raise InvalidInput(
                f"The input {one_line(called, 60)!r} cannot lead to {one_line(way, 60)!r}.",
                hint="A name of letters, digits, - and _, and a step's number with its argument, such as 1.prompt.",
            )
        place = (int(match[1]) - 1, match[2])
        chosen[called] = _Input([place], links[place[0]].arguments.get(place[1]))
    return chosen


def _usual(links: Sequence[Link]) -> dict[str, _Input]:
    """The prompts and files that the chain was given; what is the same in two steps is one input."""
    inputs: dict[str, _Input] = {}
    for number, link in enumerate(links):
        files = {one.path[0] for one in link.endpoint.files} if link.endpoint else set[str]()
        for argument, value in link.arguments.items():
            is_wanted = argument in _WORDS or argument in files
            if not is_wanted or not _NAME.fullmatch(argument) or _has_reference(value):
                continue
            same = next((one for one in inputs.values() if one.value == value and one.places[0][1] == argument), None)
            if same is not None:
                same.places.append((number, argument))
            else:
                called = argument if argument not in inputs else f"{argument[:58]}_{number + 1}"
                inputs[called] = _Input([(number, argument)], value)
    return inputs


def _has_reference(value: object) -> bool:
    if is_list(value):
        return any(map(_has_reference, list_of(value)))
    return isinstance(value, str) and bool(_REFERENCE.fullmatch(value) or value.startswith("$input."))


def _field(called: str, one: _Input, links: Sequence[Link], names: list[str]) -> JsonObject:
    number, argument = one.places[0]
    endpoint = links[number].endpoint
    root = endpoint.input_schema if endpoint else {}
    part = resolve(object_of(object_of(root.get("properties")).get(argument)), root)
    kind = text_of(part.get("type")) or _TYPES.get(type(one.value))
    about: JsonObject = {"name": called, "label": called, "required": True, "modelId": names[number]}
    about |= {"type": kind} if kind else {}
    about |= {"description": part["description"]} if text_of(part.get("description")) else {}
    return about if one.value is None else {**about, "examples": [one.value]}


def _outputs(endpoint: Endpoint | None, name: str) -> JsonObject:
    """What the last step makes, each by its name."""
    known = object_of(endpoint.output_schema.get("properties")) if endpoint else {}
    return {one: f"${name}.{one}" for one in known if _NAME.fullmatch(one)} or {"output": f"${name}"}
