"""One operation of fal's Platform API: what it takes as one flat list of arguments, and the request they make.

`request` is the inverse of `input_schema`: every argument lands in exactly one place. Pure.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from urllib.parse import quote

from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object
from fal_mcp.openapi.normalise import normalise
from fal_mcp.openapi.schema import Schema

Place = Literal["path", "query", "body"]
IDEMPOTENCY_KEY = "Idempotency-Key"
_METHODS = ("get", "post", "put", "patch", "delete")
_WHOLE_BODY = "labels"
"""What a body is called that is no object: the log operations' list of labels to filter by."""
_GROUPS = {"x-exactly-one-of": (1, 1), "x-at-least-one-of": (1, None), "x-at-most-one-of": (0, 1)}
"""How many of some arguments are to be given: fal says so in words, the corrections in these keywords."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: a path below the API's base, repeated query parameters, and a body or None."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: where it goes, and what it may be."""

    name: str
    place: Place
    schema: Schema
    is_required: bool
    is_whole_body: bool = False
    is_path: bool = False
    """Whether it holds a path of its own, slashes and all."""
    most_days: int | None = None
    """How long before the end the period may begin."""
    only_with: JsonMapping = field(default_factory=JsonObject)
    """What other arguments must be for this one to mean anything."""


@dataclass(frozen=True, slots=True)
class Group:
    """Arguments of which at least and at most so many are given; None is no bound."""

    names: tuple[str, ...]
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    operation_id: str
    method: str
    path: str
    summary: str
    description: str
    arguments: tuple[Argument, ...]
    needs_admin: bool
    takes_idempotency_key: bool
    answer_type: str
    """The media type of the answer; empty where there is none."""
    answers_object: bool
    """Whether the answer is a JSON object."""
    rows: str | None
    """The property of the answer that holds the rows, where it comes in pages."""
    groups: tuple[Group, ...] = ()

    def input_schema(self) -> Schema:
        """The arguments as one JSON Schema object."""
        return {
            "type": "object",
            "properties": {one.name: one.schema for one in self.arguments},
            "required": [one.name for one in self.arguments if one.is_required],
            "additionalProperties": False,
        }

    def request(self, arguments: JsonMapping) -> Request:
        """The request that these arguments make; they fit the input schema."""
        given = [(one, arguments[one.name]) for one in self.arguments if arguments.get(one.name) is not None]
        path = self.path
        for one, value in given:
            if one.place == "path":
                # Quoted with no character safe, so that an id with a slash in it cannot reach another operation; only
                # what the corrections mark as a path keeps its slashes.
                path = path.replace(f"{{{one.name}}}", quote(str(value), safe="/" if one.is_path else ""))
        query = tuple((one.name, text) for one, value in given if one.place == "query" for text in _texts(value))
        return Request(self.method, path, query, self._body(arguments))

    def _body(self, arguments: JsonMapping) -> Any:
        body = [one for one in self.arguments if one.place == "body"]
        if any(one.is_whole_body for one in body):
            return arguments.get(_WHOLE_BODY)
        names = [one.name for one in body]
        # What may be null is null when that is what is asked for: a collection moved to the top.
        return {name: arguments[name] for name in names if name in arguments} if names else None


def read(document: JsonMapping) -> dict[str, Operation]:
    """Every operation of an OpenAPI document, by its id."""
    operations = (
        _operation(document, path, method, item[method])
        for path, item in cast(dict[str, Schema], document["paths"]).items()
        for method in _METHODS
        if method in item
    )
    return {one.operation_id: one for one in operations}


def _operation(document: JsonMapping, path: str, method: str, about: Schema) -> Operation:
    parameters = [_resolved(document, one) for one in about.get("parameters", ())]
    body: Schema = about.get("requestBody", {})
    kind, schema = _answer(about["responses"])
    answer: Schema = _whole(document, schema)
    arguments = (*_of_parameters(document, parameters), *_of_body(document, body))
    return Operation(
        operation_id=about["operationId"],
        method=method.upper(),
        path=path,
        summary=about.get("summary", ""),
        description=about.get("description", ""),
        arguments=arguments,
        needs_admin=any("adminApiKey" in way for way in about.get("security", ())),
        takes_idempotency_key=any(one["name"] == IDEMPOTENCY_KEY for one in parameters),
        answer_type=kind,
        answers_object=answer.get("type") == "object",
        rows=_rows(answer, arguments),
        groups=tuple(
            Group(tuple(names), least, most)
            for keyword, (least, most) in _GROUPS.items()
            for names in about.get(keyword, ())
        ),
    )


def _of_parameters(document: JsonMapping, parameters: list[Schema]) -> Iterator[Argument]:
    for one in parameters:
        schema: Schema = _whole(document, one["schema"])
        # Headers are the client's business, and two names for the same thing are listed once.
        if one["in"] in ("path", "query") and "x-instead" not in schema:
            about = {**schema, "description": one.get("description", "")}
            yield _argument(one["name"], cast(Place, one["in"]), about, one.get("required") is True)


def _of_body(document: JsonMapping, body: Schema) -> Iterator[Argument]:
    content: Schema = body.get("content", {})
    schema: Schema = _whole(document, next(iter(content.values()))["schema"]) if content else {}
    if schema.get("type") == "array":
        about = {**schema, "description": body.get("description", "")}
        yield replace(_argument(_WHOLE_BODY, "body", about, False), is_whole_body=True)
    for name, part in schema.get("properties", {}).items():
        yield _argument(name, "body", part, name in schema.get("required", ()))


def _argument(name: str, place: Place, schema: Schema, is_required: bool) -> Argument:
    return Argument(
        name,
        place,
        _plain(schema),
        is_required,
        is_path=schema.get("x-may-contain-slashes") is True,
        most_days=schema.get("x-most-days"),
        only_with=schema.get("x-only-with", {}),
    )


def _answer(responses: Schema) -> tuple[str, Schema]:
    answered = next(answer for code, answer in responses.items() if code.startswith("2"))
    for kind, about in answered.get("content", {}).items():
        return kind, about.get("schema", {}) if kind == "application/json" else {}
    return "", {}


def _rows(answer: Schema, arguments: tuple[Argument, ...]) -> str | None:
    if not {"cursor", "offset"} & {argument.name for argument in arguments}:
        return None
    properties: Schema = answer.get("properties", {})
    # fal names the list after what is in it, a different name in each answer; there is one list in an answer with
    # pages.
    return next((name for name, part in properties.items() if part.get("type") == "array"), None)


def _plain(schema: Schema) -> Schema:
    """One value or a list of them is told as a list; a date is told in words, and checked when it is used."""
    options: list[Schema] = schema.get("anyOf", [])
    lists = [one for one in options if one.get("type") == "array"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    # The list says both: one value is a list of one.
    if lists:
        bounds = {key: rest.pop(key) for key in ("minItems", "maxItems") if key in rest}
        schema = {**rest, **lists[0], "minItems": 1, **bounds}
    elif options and all(one.get("type") == "string" for one in options):
        schema = {**rest, "type": "string"}
    return normalise({key: value for key, value in schema.items() if key != "description" or value})


def _texts(value: object) -> list[str]:
    if is_list(value):
        return [text for item in value for text in _texts(item)]
    # `true` and not Python's `True`.
    return [json.dumps(value) if isinstance(value, bool) else str(value)]


def _resolved(document: JsonMapping, part: Schema) -> Schema:
    reference = part.get("$ref")
    if not isinstance(reference, str):
        return part
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def _whole(document: JsonMapping, part: object) -> Any:
    """`part` with every reference replaced by what it stands for; the Platform's schemas are not recursive."""
    if is_list(part):
        return [_whole(document, item) for item in part]
    if not is_object(part):
        return part
    whole = _resolved(document, part)
    return {key: _whole(document, value) for key, value in whole.items()}
