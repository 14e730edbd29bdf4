"""A workflow, as `GET /workflows/{owner}/{name}` tells it, read into an `Endpoint`. Pure. Fact F10.4.

What its author wrote of an input is seldom more than a type: the rest is known from the models that it goes into.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from fal_mcp.catalog import file_arguments, workflow_steps
from fal_mcp.catalog.endpoint import Endpoint, FileArgument, Step
from fal_mcp.catalog.workflow_steps import INPUT, Known
from fal_mcp.json_values import JsonMapping, JsonObject, is_object, list_of, object_of, text_of
from fal_mcp.openapi.normalise import bundle
from fal_mcp.openapi.schema import Schema, UnusableSchema, resolve
from fal_mcp.text import clean, one_line

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_INPUTS = 200
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_RULES = ("enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems")
_ANYTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": True}


def endpoint(endpoint_id: str, workflow: JsonMapping, known: Known) -> Endpoint:
    """The endpoint that runs this workflow; `known` leads from an id to the catalog's endpoint.

    What of it cannot be read is not checked, and an oddity says so.

    Raises:
        UnusableDocument: its nodes wait for each other in a circle, so that it cannot be run.
    """
    contents = object_of(workflow.get("contents"))
    steps, odd = workflow_steps.steps(contents.get("nodes"), known)
    fields, is_read = _fields(contents)
    uses = dict(_uses(steps))
    needed = [name for name, part in fields.items() if object_of(part).get("required") is True]
    parts = {name: _with_use(name, part, uses) for name, part in fields.items()}
    schema, unchecked = _input_schema(parts, needed, is_read)
    is_checked = schema.get("additionalProperties") is not True
    return Endpoint(
        endpoint_id=endpoint_id,
        title=_title(workflow) or endpoint_id,
        category="workflow",
        description=clean(text_of(workflow.get("description")) or "", 600) or clean(_about(workflow, steps), 600),
        input_schema=schema,
        output_schema=_output_schema(contents),
        files=tuple(_files(schema, fields, uses)),
        oddities=(*odd, *unchecked),
        unchecked="" if is_checked else "its inputs were not checked here before they were sent",
        steps=steps,
    )


def _title(workflow: JsonMapping) -> str:
    """Empty where its author gave none; cleaned first, as what cannot be seen is none."""
    return one_line(text_of(workflow.get("title")) or "", 80)


def _about(workflow: JsonMapping, steps: tuple[Step, ...]) -> str:
    models = list(dict.fromkeys(step.endpoint_id for step in steps))
    shown = ", then ".join(models[:6]) + (f" and {len(models) - 6} more models" if len(models) > 6 else "")
    return f"{_title(workflow) or 'A workflow'}: runs {shown or 'no model'}."


def _fields(contents: JsonMapping) -> tuple[JsonObject, bool]:
    """What the author said of each input, and whether that could be read. An older form has an input node."""
    said = object_of(contents.get("schema")).get("input")
    if is_object(said):
        fields = object_of(said)
        return ({name: object_of(part) for name, part in fields.items()}, bool(fields)) if fields else ({}, False)
    node = object_of(object_of(contents.get("nodes")).get(INPUT))
    given = object_of(node.get("input")) if node.get("type") in ("input", None) else {}
    return {name: {} for name in given}, False


def _uses(steps: tuple[Step, ...]) -> Iterator[tuple[str, tuple[Step, str, bool]]]:
    """Where each input goes in whole: the step, the argument there, and whether as one of its list. The first wins."""
    # The other way round: of two of the same name the later one stays.
    for step in reversed(steps):
        for argument, value in step.arguments.items():
            whole = value if isinstance(value, str) else None
            for text in [whole] if whole else list_of(value):
                reference = workflow_steps.reference_in(text)
                if reference and reference[0] == INPUT and len(reference[1]) == 1:
                    yield reference[1][0], (step, argument, whole is None)


def _with_use(name: str, part: object, uses: dict[str, tuple[Step, str, bool]]) -> JsonObject:
    """What the author said of an input, and what the model that it goes into says besides."""
    # Each is marked as required by itself, as in the third draft of JSON Schema; now that is a list beside them.
    said: JsonObject = {key: value for key, value in object_of(part).items() if key != "required"}
    if said.get("type") not in _TYPES:
        said.pop("type", None)
    label = text_of(said.get("label"))
    if label and not text_of(said.get("description")):
        said["description"] = label
    use = uses.get(name)
    if use is None or use[2] or use[0].endpoint is None:
        return said
    root = use[0].endpoint.input_schema
    model = resolve(object_of(object_of(root.get("properties")).get(use[1])), root)
    kept: JsonObject = {}
    if said.get("type", model.get("type")) == model.get("type"):
        kept = {key: model[key] for key in ("type", *_RULES) if key in model}
    about = {"description": model["description"]} if "description" in model else {}
    return {**about, **kept, **said}


def _input_schema(fields: JsonObject, needed: list[str], is_read: bool) -> tuple[Schema, tuple[str, ...]]:
    if not is_read:
        named = {name: part for name, part in fields.items() if _NAME.fullmatch(name)}
        open_schema = {**_ANYTHING, "properties": named}
        return open_schema, ("The workflow does not say what goes in: nothing of it is checked here.",)
    odd = [name for name in fields if not _NAME.fullmatch(name)]
    if odd or len(fields) > _MOST_INPUTS:
        why = f"an input is called {one_line(odd[0], 60)!r}" if odd else f"there are {len(fields):,} inputs"
        return dict(_ANYTHING), (f"The inputs are not checked here: {why}, which hosts refuse.",)
    return _bundled(fields, needed)


def _bundled(fields: JsonObject, needed: list[str]) -> tuple[Schema, tuple[str, ...]]:
    notes: list[str] = []
    try:
        schema = bundle({"type": "object", "properties": fields, "required": needed}, {}, notes)
    # People write these by hand, and fal runs them all the same.
    except UnusableSchema as error:
        return dict(_ANYTHING), (f"The inputs are not checked here: {one_line(str(error), 200)}",)
    return schema, tuple(notes)


def _output_schema(contents: JsonMapping) -> Schema:
    made = object_of(object_of(contents.get("schema")).get("output")) or object_of(contents.get("output"))
    properties = {name: _of_output(part) for name, part in list(made.items())[:_MOST_INPUTS]}
    try:
        return bundle({"type": "object", "properties": properties}, {})
    except UnusableSchema:
        return {}


def _of_output(part: object) -> JsonObject:
    said = object_of(part)
    known = {key: value for key, value in said.items() if key not in ("required", "type")}
    return {**known, "type": said["type"]} if said.get("type") in _TYPES else known


def _files(schema: Schema, fields: JsonObject, uses: dict[str, tuple[Step, str, bool]]) -> Iterator[FileArgument]:
    """The inputs that are files: by what the models say that they go into, and where none says it by their names."""
    named = {argument.path[0]: argument for argument in file_arguments.find(schema, fields)}
    for name in schema["properties"]:
        argument = _file_of(name, uses) or named.get(name)
        if argument is not None:
            yield argument


def _file_of(name: str, uses: dict[str, tuple[Step, str, bool]]) -> FileArgument | None:
    if name not in uses:
        return None
    step, argument, is_one_of_a_list = uses[name]
    for known in step.endpoint.files if step.endpoint else ():
        if known.path == ((argument, "[]") if is_one_of_a_list else (argument,)):
            return replace(known, path=(name,))
        if known.path == (argument, "[]") and not is_one_of_a_list:
            return replace(known, path=(name, "[]"))
    return None
