"""Arguments as they are typed: `key=value` pairs, and files with a set on each line."""

from pathlib import Path
from typing import Any

from fal_mcp.json_values import JsonMapping, JsonObject, NotJson, list_of, object_of, parsed
from fal_mcp.openapi.schema import Schema, branches

_MOST_BATCH_BYTES = 50_000_000


def arguments_of(pairs: list[str], schema: Schema | None = None) -> JsonObject:
    """`key=value` pairs as arguments; `key:=JSON` where text would not do. Where the schema takes no text there,
    the value is read as the number or the word that it looks like.

    Raises:
        ValueError: a pair is none, or its JSON is none.
    """
    arguments: JsonObject = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.rstrip(":"):
            raise ValueError(f"{pair!r} is not of the form key=value.")
        if name.endswith(":"):
            arguments[name[:-1]] = _json(pair, value)
        else:
            arguments[name] = _typed(value, object_of((schema or {}).get("properties")).get(name), schema or {})
    return arguments


def batch_of(file: Path, common: JsonMapping) -> list[JsonObject]:
    """One set of arguments a line of `file`, over the common ones.

    Raises:
        ValueError: a line is no JSON object; the message has its number.
        OSError: it cannot be read.
    """
    if file.stat().st_size > _MOST_BATCH_BYTES:
        raise ValueError(f"{str(file)!r} is larger than {_MOST_BATCH_BYTES // 1_000_000} MB.")
    lines = file.read_text("utf-8-sig").split("\n")
    sets = [_line(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not sets:
        raise ValueError(f"{str(file)!r} has no line with arguments.")
    return [{**common, **each} for each in sets]


def _line(number: int, line: str) -> JsonObject:
    try:
        value = parsed(line)
    except NotJson as error:
        raise ValueError(f"Line {number} is no JSON: {error}") from None
    found = object_of(value)
    if not found and value != {}:
        raise ValueError(f'Line {number} is no JSON object, such as {{"prompt": "a pier"}}.')
    return found


def _json(pair: str, value: str) -> Any:
    try:
        return parsed(value)
    except NotJson as error:
        raise ValueError(f"{pair!r} has no JSON after ':=': {error}") from None


def _typed(value: str, part: object, root: Schema) -> Any:
    """A value as the schema has it, where that leaves no doubt; else as it was typed."""
    if not object_of(part) or _takes_text(object_of(part), root):
        return value
    try:
        return parsed(value)
    except NotJson:
        return {"yes": True, "no": False, "on": True, "off": False}.get(value.casefold(), value)


def _takes_text(part: Schema, root: Schema) -> bool:
    kinds = {kind for branch in branches(part, root) for kind in _kinds(branch)}
    return not kinds or "string" in kinds


def _kinds(branch: Schema) -> list[str]:
    kind = branch.get("type")
    if kind is None and "enum" in branch:
        return ["string" if isinstance(value, str) else "number" for value in list_of(branch["enum"])]
    return [str(each) for each in list_of(kind) or ([kind] if kind else [])]
