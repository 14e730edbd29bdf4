"""One request to the Platform host, held against the document before anyone answers it.

Strict on purpose: what the real fal would let pass unread (an unknown parameter, a body nobody asked for) is refused
here, so that a client's slip shows in its tests.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast
from urllib.parse import urlsplit

import jsonschema
from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType] - its answer is untyped

from fal_mcp.emulator.emulator import Emulator
from fal_mcp.emulator.platform.operations import Operation
from fal_mcp.emulator.platform.refusal import Refused
from fal_mcp.emulator.visit import Visit
from fal_mcp.json_values import JsonObject

_MOST_VALUES = 50
_FORMATS = jsonschema.FormatChecker(formats=["uuid"])


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, in the document's types; parameters that were not given have their defaults."""

    operation: Operation
    path: dict[str, str]
    query: JsonObject
    body: Any
    """The JSON; of a form, the bytes by field name; None where nothing was sent."""
    visit: Visit

    def listed(self, name: str) -> list[str]:
        """The values of a parameter that takes several; none where it was not given."""
        return self.query.get(name) or []

    @property
    def idempotency_key(self) -> str | None:
        """The key, where the operation heeds one."""
        return self.visit.headers.get("idempotency-key") if self.operation.takes_idempotency_key else None


Answer = Callable[[Emulator, Request], object]
"""Answers one operation: a value for its 2xx, or a whole response. Raises `Refused`."""


def read(visit: Visit, operation: Operation, path: dict[str, str]) -> Request:
    """The request.

    Raises:
        Refused: with 400, where the document does not allow it.
    """
    schemas = {(one["in"], one["name"]): one for one in operation.parameters}
    for name, value in path.items():
        _check(value, schemas["path", name]["schema"], name)
    query = _query(visit, {name: one for (place, name), one in schemas.items() if place == "query"})
    return Request(operation, path, query, _body(visit, operation), visit)


def _query(visit: Visit, known: dict[str, JsonObject]) -> JsonObject:
    for name in visit.query:
        if name not in known:
            raise Refused(400, f"Unknown query parameter {name!r}")
    values: JsonObject = {}
    for name, about in known.items():
        if name in visit.query:
            values[name] = _value(visit.query.getlist(name), about["schema"], name)
        elif about.get("required"):
            raise Refused(400, f"{name} is required")
        elif (default := about["schema"].get("default")) is not None:
            values[name] = default
    return values


def _value(texts: list[str], schema: JsonObject, name: str) -> Any:
    kinds = _kinds(schema)
    if "array" in kinds:
        # Repeated or with commas: fal's document allows both.
        values = [part for text in texts for part in text.split(",") if part]
        if len(values) > _MOST_VALUES:
            raise Refused(400, f"{name} takes at most {_MOST_VALUES} values")
        _check(values, schema, name)
        return values
    if len(texts) > 1:
        raise Refused(400, f"{name} may be given once")
    value = _typed(texts[0], kinds)
    _check(value, schema, name)
    return value


def _kinds(schema: JsonObject) -> set[str]:
    """The JSON types that a schema admits at its top."""
    if "anyOf" in schema:
        return {kind for one in schema["anyOf"] for kind in _kinds(one)}
    kind: object = schema.get("type", ())
    return {kind} if isinstance(kind, str) else set(cast(list[str], kind))


def _typed(text: str, kinds: set[str]) -> Any:
    """`text` as a number or a truth value where the schema wants one; itself where it is none."""
    if not kinds & {"integer", "number", "boolean"}:
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    # `null` or a list in an address is a text; the schema says what is wrong with it.
    return value if isinstance(value, (int, float)) else text


def _body(visit: Visit, operation: Operation) -> Any:
    if not visit.body:
        if operation.body_is_required:
            raise Refused(400, "A body is required")
        return None
    if operation.body is None:
        raise Refused(400, f"{operation.operation_id} takes no body")
    kind = visit.headers.get("content-type", "")
    if kind.partition(";")[0] != operation.body_type:
        raise Refused(400, f"The body must be {operation.body_type}")
    value = _form(visit.body, kind) if operation.body_type == "multipart/form-data" else _json(visit.body)
    _check(value, operation.body, "body")
    return value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refused(400, "The body is not JSON") from error


def _form(body: bytes, kind: str) -> dict[str, bytes]:
    """The fields of a multipart body. RFC 7578 §4."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    fields: dict[str, bytes] = {}
    # The first piece is what comes before the form, and the last the two dashes after it.
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = head.partition(b' name="')[2].partition(b'"')[0].decode()
        fields[name] = content.removesuffix(b"\r\n")
    return fields


def _check(value: Any, schema: JsonObject, name: str) -> None:
    validator: Any = jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)
    error = cast(Any, best_match(validator.iter_errors(value)))
    if error is not None:
        raise Refused(400, f"{name}{error.json_path[1:]}: {error.message[:300]}")


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:  # pyright: ignore[reportUnusedFunction] - registered
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@_FORMATS.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:  # pyright: ignore[reportUnusedFunction] - registered
    return not isinstance(value, str) or bool((parts := urlsplit(value)).scheme and (parts.netloc or parts.path))


def moment(text: str) -> datetime:
    """The moment that a date, or a date and time, names; a date is its midnight in UTC."""
    if "T" not in text:
        date.fromisoformat(text)
        text += "T00:00:00Z"
    return datetime.fromisoformat(text)
