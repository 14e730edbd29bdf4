"""A member put into, or taken out of, JSON with comments, and every other byte left as it is.

`json-five` says where each node begins and ends; the text is cut there. Nothing is written anew but the member itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, is_object


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    node: Any


def read(text: str) -> JsonObject:
    """The object that a file holds; an empty one for an empty file.

    Raises:
        NotInstalled: it is no JSON, or no object.
    """
    import json5

    if not text.strip("\ufeff \t\r\n"):
        return {}
    try:
        value = json5.loads(text.removeprefix("\ufeff"))
    # The library raises its own errors, the lexer's and RecursionError, which have no base but this.
    except Exception as error:
        raise NotInstalled(f"It cannot be read as JSON: {str(error)[:200]}.") from error
    if not is_object(value):
        raise NotInstalled("It holds no JSON object.")
    return value


def put(text: str, keys: Sequence[str], name: str, value: object) -> str:
    """The text with `name` set to `value` in the object that `keys` lead to, which is made where it is missing."""
    # Line ends as the file has them: a mixed file shows as changed in every line to whoever keeps it in a repository.
    newline = "\r\n" if "\r\n" in text else "\n"
    if not read(text):
        return _fresh(text, [*keys, name], value, newline)
    root = _root(text)
    for place, key in enumerate(keys):
        member = _members(text, root).get(key)
        if member is None:
            return _inserted(text, root, key, _nested([*keys[place + 1 :], name], value), newline)
        root = member[1]
        if text[root.start] != "{":
            raise NotInstalled(f"{key!r} is no object there.")
    member = _members(text, root).get(name)
    if member is None:
        return _inserted(text, root, name, value, newline)
    if "\n" not in text[root.start : root.end]:
        return text[: member[1].start] + json.dumps(value, ensure_ascii=False) + text[member[1].end :]
    indent = _indent_at(text, member[0].start)
    return text[: member[1].start] + _written(value, indent, _unit(text), newline) + text[member[1].end :]


def append(text: str, key: str, item: JsonObject, same: str) -> str:
    """The text with an item at the end of the list `key`, unless one with the same value of `same` is there."""
    items = read(text).get(key)
    if items is None:
        return put(text, (), key, [item])
    present = [entry.get(same) for entry in items if is_object(entry)]
    return text if item[same] in present else put(text, (), key, [*items, item])


def remove(text: str, keys: Sequence[str], name: str) -> str:
    """The text without `name` in the object that `keys` lead to."""
    if not read(text):
        return text
    root = _root(text)
    for key in keys:
        member = _members(text, root).get(key)
        if member is None or text[member[1].start] != "{":
            return text
        root = member[1]
    members = _members(text, root)
    return _without(text, root, list(members.items()), list(members).index(name)) if name in members else text


def _without(text: str, root: _Span, members: list[tuple[str, tuple[_Span, _Span]]], place: int) -> str:
    """Exactly what `_inserted` adds is taken away, the comma that it needed included."""
    key, value = members[place][1]
    comma = _comma(text, value.end, root.end - 1)
    end = value.end if comma is None else comma + 1
    if place == 0:
        rest = text[: _before(text, key.start)] + text[end:]
        inside = rest[root.start + 1 : root.end - 1 - (len(text) - len(rest))]
        return rest if len(members) > 1 or inside.strip() else text[: root.start + 1] + text[root.end - 1 :]
    before = members[place - 1][1][1].end
    divider = _comma(text, before, key.start)
    assert divider is not None
    start = _line_end(text, divider + 1, key.start)
    # The last member leaves without a comma after it, and then the one before has none either.
    kept = text[before:divider] + text[divider + 1 : start] if comma is None else text[before:start]
    return text[:before] + kept + text[end:]


def _before(text: str, place: int) -> int:
    """The end of the line before, where nothing but blanks stand between."""
    start = len(text[:place].rstrip(" \t"))
    if text[:start].endswith("\n"):
        start -= 2 if text[:start].endswith("\r\n") else 1
        return start
    return place


def _fresh(text: str, keys: Sequence[str], value: object, newline: str) -> str:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    return mark + _written(_nested(keys, value), "", "  ", newline) + newline


def _nested(keys: Sequence[str], value: object) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _root(text: str) -> _Span:
    import json5
    from json5.loader import ModelLoader

    # A byte order mark counts as a character in the text and not in the parser's columns of the first line.
    model: Any = json5.loads(text, loader=ModelLoader())
    return _span(text, model.value)


def _span(text: str, node: Any) -> _Span:
    start = _offset(text, node.lineno, node.col_offset)
    end = _offset(text, node.end_lineno, node.end_col_offset)
    return _Span(start, end, node)


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start + column


def _members(text: str, span: _Span) -> dict[str, tuple[_Span, _Span]]:
    """Each member of an object: where its name and its value stand."""
    members: dict[str, tuple[_Span, _Span]] = {}
    for key, value in zip(span.node.keys, span.node.values, strict=True):
        # A name in quotes and one without are different nodes of the parser's.
        name: object = getattr(key, "characters", None) or getattr(key, "name", "")
        members[str(name)] = (_span(text, key), _span(text, value))
    return members


def _inserted(text: str, root: _Span, name: str, value: object, newline: str) -> str:
    members = _members(text, root)
    unit = _unit(text)
    label = f"{json.dumps(name, ensure_ascii=False)}: "
    if not members:
        indent = _indent_at(text, root.start)
        member = f"{newline}{indent}{unit}{label}{_written(value, indent + unit, unit, newline)}"
        inside = text[root.start + 1 : root.end - 1]
        closing = "" if inside.strip(" \t") != inside.strip() else f"{newline}{indent}"
        return text[: root.start + 1] + member + (inside or "") + closing + text[root.end - 1 :]
    last = list(members.values())[-1][1]
    first = next(iter(members.values()))[0]
    comma = _comma(text, last.end, root.end - 1)
    if "\n" not in text[root.start : root.end]:
        place = last.end if comma is None else comma + 1
        member = f" {label}{json.dumps(value, ensure_ascii=False)}"
        return (
            text[:place] + ("," if comma is None else "") + member + ("," if comma is not None else "") + text[place:]
        )
    indent = _indent_at(text, first.start)
    place = _line_end(text, last.end if comma is None else comma + 1, root.end - 1)
    member = f"{newline}{indent}{label}{_written(value, indent, unit, newline)}"
    if comma is None:
        return text[: last.end] + "," + text[last.end : place] + member + text[place:]
    return text[:place] + member + "," + text[place:]


def _written(value: object, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=unit or "  ").split("\n")
    return (newline + indent).join(lines)


def _unit(text: str) -> str:
    for line in text.splitlines():
        blank = line[: len(line) - len(line.lstrip(" \t"))]
        if blank and line.strip() and not line.lstrip().startswith(("//", "/*", "*")):
            return blank
    return "  "


def _indent_at(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _comma(text: str, start: int, end: int) -> int | None:
    """Where the next comma outside comments is, before `end`."""
    place = start
    while place < end:
        if text.startswith("//", place):
            place = text.find("\n", place) if "\n" in text[place:end] else end
        elif text.startswith("/*", place):
            place = text.find("*/", place) + 2
        elif text[place] == ",":
            return place
        else:
            place += 1
    return None


def _line_end(text: str, place: int, most: int) -> int:
    """The end of the line, where nothing but blanks and a comment stand between; else `place` itself."""
    end = text.find("\n", place)
    if end < 0 or end > most:
        return place
    rest = text[place:end].strip()
    is_comment = rest.startswith("//") or (rest.startswith("/*") and rest.endswith("*/"))
    if rest and not is_comment:
        return place
    return end - 1 if text[end - 1] == "\r" else end
