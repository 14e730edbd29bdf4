"""The operations of fal's Platform API, as the document that ships with the package states them."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import unquote

from fal_mcp import bundled
from fal_mcp.json_values import JsonObject, is_list, is_object

Key = Literal["none", "plain", "admin"]

# The document asks for a key here too; fal answers without one, at a lower rate. Fact F6.1.
_OPEN = frozenset({"getModels"})
_DEEP = frozenset({"file", "dir", "target_path"})
"""Path parameters that hold whole paths and take the rest of the address."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is, what it takes, and what it answers when all is well."""

    operation_id: str
    method: str
    path: str
    """The template, below `/v1`."""
    key: Key
    parameters: tuple[JsonObject, ...]
    body: JsonObject | None
    """The body's schema, or None where there is no body."""
    body_type: str
    body_is_required: bool
    status: int
    answer: JsonObject | None
    answer_type: str

    @property
    def takes_idempotency_key(self) -> bool:
        return any(one["name"] == "Idempotency-Key" for one in self.parameters)

    def match(self, path: str) -> dict[str, str] | None:
        """The path parameters, decoded, or None where `path`, as it was sent, is not this operation's."""
        groups = re.fullmatch(_pattern(self.path), path)
        return {name: unquote(value) for name, value in groups.groupdict().items()} if groups else None


class Operations:
    """All operations of one document."""

    def __init__(self, document: JsonObject) -> None:
        unsorted = [
            _operation(path, method, about)
            for path, methods in document["paths"].items()
            for method, about in methods.items()
        ]
        # `/assets/collections` before `/assets/{asset_id}`.
        self._all = sorted(unsorted, key=lambda one: [part.startswith("{") for part in one.path.split("/")])

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation at this path, and its path parameters."""
        for operation in self._all:
            if operation.method == method and (values := operation.match(path)) is not None:
                return operation, values
        return None

    def item(self, operation_id: str, *path: str) -> JsonObject:
        """The schema of what is at `path` in an operation's answer, through lists to their items."""
        operation = next(one for one in self._all if one.operation_id == operation_id)
        schema = operation.answer or {}
        for name in path:
            schema = schema["properties"][name]
            schema = schema.get("items", schema)
        return schema


@functools.cache
def operations() -> Operations:
    """The operations of `schemas/platform.json`."""
    document = json.loads((bundled.schemas() / "platform.json").read_bytes())
    return Operations({**document, "paths": _opened(document, document["paths"])})


def _opened(document: JsonObject, part: object) -> Any:
    """`part` with each reference into the document replaced by what it names."""
    if is_list(part):
        return [_opened(document, one) for one in part]
    if not is_object(part):
        return part
    found = part
    if isinstance(found.get("$ref"), str):
        found = functools.reduce(lambda value, step: value[step], found["$ref"][2:].split("/"), document)
    return {name: _opened(document, one) for name, one in found.items()}


@functools.cache
def _pattern(path: str) -> str:
    parts = (re.escape(part) if not part.startswith("{") else _group(part[1:-1]) for part in path.split("/"))
    return "/".join(parts)


def _group(name: str) -> str:
    return f"(?P<{name}>{'.+' if name in _DEEP else '[^/]+'})"


def _operation(path: str, method: str, about: JsonObject) -> Operation:
    # The first one of 2xx is what an operation answers when all is well.
    status = next(int(one) for one in about["responses"] if one.startswith("2"))
    answer_type, answer = _content(about["responses"][str(status)])
    body_type, body = _content(about.get("requestBody", {}))
    return Operation(
        operation_id=about["operationId"],
        method=method.upper(),
        path=path,
        key=_key(about),
        parameters=tuple(about.get("parameters", ())),
        body=body,
        body_type=body_type,
        body_is_required=about.get("requestBody", {}).get("required", False),
        status=status,
        answer=answer,
        answer_type=answer_type,
    )


def _content(about: JsonObject) -> tuple[str, JsonObject | None]:
    content = cast(JsonObject, about.get("content", {}))
    kind = next(iter(content), "")
    return kind, content[kind]["schema"] if kind else None


def _key(about: JsonObject) -> Key:
    schemes = {name for one in about.get("security", ()) for name in one}
    if about["operationId"] in _OPEN or not schemes:
        return "none"
    return "admin" if "adminApiKey" in schemes else "plain"
