"""A member put into, or taken out of, JSON with comments, and every other byte left as it is.

`json-five` says where each node begins and ends; the text is cut there. Nothing is written anew but the member itself.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, is_object, list_of, object_of


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    node: Any


_Item = tuple[int, int]
_LINE_IS_OVER = re.compile(r"[ \t]*(?://|\r?\n)")


def read(text: str) -> JsonObject:
    """The object that a file holds; an empty one for an empty file.

    Raises:
        NotInstalled: it is no JSON, or no object.
    """
    import json5

    if not text.strip("\ufeff \t\r\n"):
        return {}
    try:
        # A thousand times as fast, and enough for a file without comments.
        with suppress(ValueError):
            return _object(json.loads(text.removeprefix("\ufeff")))
        value = json5.loads(text.removeprefix("\ufeff"))
    except NotInstalled:
        raise
    # The library raises its own errors, the lexer's and RecursionError, which have no base but this.
    except Exception as error:
        raise NotInstalled(f"It cannot be read as JSON: {str(error)[:200]}.") from error
    return _object(value)


def _object(value: object) -> JsonObject:
    if not is_object(value):
        raise NotInstalled("It holds no JSON object.")
    return value


def put(text: str, keys: Sequence[str], name: str, value: object) -> str:
    """The text with `name` set to `value` in the object that `keys` lead to, which is made where it is missing."""
    # Line ends as the file has them: a mixed file shows as changed in every line to whoever keeps it in a repository.
    newline = "\r\n" if "\r\n" in text else "\n"
    # An empty object with comments in it or around it is somebody's.
    if text.strip("\ufeff \t\r\n") in ("", "{}"):
        return _fresh(text, [*keys, name], value, newline)
    root = _root(text)
    for place, key in enumerate(keys):
        member = _members(text, root).get(key)
        if member is None:
            return _inserted(text, root, _label(key), _nested([*keys[place + 1 :], name], value), newline)
        root = member[1]
        if text[root.start] != "{":
            raise NotInstalled(f"{key!r} is no object there.")
    member = _members(text, root).get(name)
    if member is None:
        return _inserted(text, root, _label(name), value, newline)
    if "\n" not in text[root.start : root.end]:
        return text[: member[1].start] + json.dumps(value, ensure_ascii=False) + text[member[1].end :]
    indent = _indent_at(text, member[0].start)
    return text[: member[1].start] + _written(value, indent, _unit(text), newline) + text[member[1].end :]


def append(text: str, key: str, item: JsonObject, same: str) -> str:
    """The text with an item at the end of the list `key`, unless one with the same value of `same` is there."""
    items = read(text).get(key)
    if items is None:
        return put(text, (), key, [item])
    if item[same] in _values_of(items, same):
        return text
    return _inserted(text, _listed(text, key), "", item, "\r\n" if "\r\n" in text else "\n")


def drop(text: str, key: str, item: JsonObject, same: str) -> str:
    """The text without the items of the list `key` that have the same value of `same`; without the list, where it has
    no others."""
    values = _values_of(read(text).get(key), same)
    if item[same] not in values:
        return text
    if len(values) == 1:
        return remove(text, (), key)
    root = _listed(text, key)
    return drop(_without(text, root, _items(text, root), values.index(item[same])), key, item, same)


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
    names = _names(root)
    if name not in names:
        return text
    # Of a name that stands there twice the last counts.
    place = len(names) - 1 - names[::-1].index(name)
    return _without(text, root, _items(text, root), place)


def _without(text: str, root: _Span, items: Sequence[_Item], place: int) -> str:
    """Exactly what `_inserted` adds is taken away, the comma that it needed included."""
    first, last = items[place]
    comma = _comma(text, last, root.end - 1)
    end = last if comma is None else comma + 1
    if place == 0:
        # A comment at the end of the line before must not go on over what follows.
        start = _before(text, first) if _LINE_IS_OVER.match(text, end) else first
        rest = text[:start] + text[end:]
        inside = rest[root.start + 1 : root.end - 1 - (len(text) - len(rest))]
        return rest if len(items) > 1 or inside.strip() else text[: root.start + 1] + text[root.end - 1 :]
    before = items[place - 1][1]
    divider = _comma(text, before, first)
    assert divider is not None
    start = _line_end(text, divider + 1, first)
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

    # With its byte order mark, so that the parser's columns are places in this very text.
    model: Any = json5.loads(text, loader=ModelLoader())
    return _span(text, model.value)


def _span(text: str, node: Any) -> _Span:
    start = _offset(text, node.lineno, node.col_offset)
    end = _offset(text, node.end_lineno, node.end_col_offset)
    return _Span(start, end, node)


def _offset(text: str, line: int, column: int) -> int:
    return _starts_of_lines(text)[line - 1] + column


@lru_cache(maxsize=2)
def _starts_of_lines(text: str) -> tuple[int, ...]:
    # Asked for every name and value of an object: to count from the top each time takes minutes in a long file.
    return (0, *(match.end() for match in re.finditer("\n", text)))


def _members(text: str, span: _Span) -> dict[str, tuple[_Span, _Span]]:
    """Each member of an object: where its name and its value stand."""
    pairs = zip(span.node.keys, span.node.values, strict=True)
    spans = [(_span(text, key), _span(text, value)) for key, value in pairs]
    return dict(zip(_names(span), spans, strict=True))


def _names(span: _Span) -> list[str]:
    # A name in quotes and one without are different nodes of the parser's.
    return [str(getattr(key, "characters", None) or getattr(key, "name", "")) for key in span.node.keys]


def _items(text: str, span: _Span) -> list[_Item]:
    """Each member of an object, or item of a list: where it begins and ends."""
    firsts = getattr(span.node, "keys", span.node.values)
    pairs = zip(firsts, span.node.values, strict=True)
    return [(_span(text, first).start, _span(text, last).end) for first, last in pairs]


def _listed(text: str, key: str) -> _Span:
    root = _members(text, _root(text))[key][1]
    if text[root.start] != "[":
        raise NotInstalled(f"{key!r} is no list there.")
    return root


def _values_of(items: object, key: str) -> list[object]:
    return [object_of(item).get(key) for item in list_of(items)]


def _label(name: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}: "


def _inserted(text: str, root: _Span, label: str, value: object, newline: str) -> str:
    """The text with a member, or an item of a list that has no label, at the end of an object or a list."""
    items = _items(text, root)
    unit = _unit(text)
    if not items:
        indent = _indent_at(text, root.start)
        member = f"{newline}{indent}{unit}{label}{_written(value, indent + unit, unit, newline)}"
        inside = text[root.start + 1 : root.end - 1]
        closing = "" if inside.strip(" \t") != inside.strip() else f"{newline}{indent}"
        return text[: root.start + 1] + member + (inside or "") + closing + text[root.end - 1 :]
    first, last = items[0][0], items[-1][1]
    comma = _comma(text, last, root.end - 1)
    if "\n" not in text[root.start : root.end]:
        place = last if comma is None else comma + 1
        member = f" {label}{json.dumps(value, ensure_ascii=False)}"
        return (
            text[:place] + ("," if comma is None else "") + member + ("," if comma is not None else "") + text[place:]
        )
    indent = _indent_at(text, first)
    place = _line_end(text, last if comma is None else comma + 1, root.end - 1)
    member = f"{newline}{indent}{label}{_written(value, indent, unit, newline)}"
    if comma is None:
        return text[:last] + "," + text[last:place] + member + text[place:]
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
