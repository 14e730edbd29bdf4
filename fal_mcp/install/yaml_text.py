"""A member or an item put into, or taken out of, a YAML file, line by line, and every other line left as it is.

`ruamel.yaml` says on which line each key stands. Only block style is edited; `{…}` and `[…]` are left to a person.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, cast

from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, list_of, object_of

_BOM = "\ufeff"


def read(text: str) -> JsonObject:
    """What a file holds.

    Raises:
        NotInstalled: it is no YAML, or no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # Safe: tags in somebody's file make no objects.
        loader: Any = YAML(typ="safe", pure=True)
        value = loader.load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise NotInstalled(f"It cannot be read as YAML: {' '.join(str(error).split())[:200]}.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotInstalled("It holds no YAML mapping.")
    return object_of(cast(object, value))


def put(text: str, keys: Sequence[str], name: str, value: object) -> str:
    """The text with `name` in the mapping (or, by its `name`, in the list) that the one key leads to."""
    (key,) = keys
    newline = "\r\n" if "\r\n" in text else "\n"
    values = read(text)
    holder: object = values.get(key)
    # Continue's servers are a list, which a file that has none yet does not show.
    is_list = bool(list_of(holder)) or (key == "mcpServers" and not object_of(holder))
    mark, lines = _lines(text)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    if key not in values:
        return mark + "".join(lines) + f"{key}:{newline}" + _block(name, value, "  ", newline, is_list)
    has_members = bool(object_of(holder) or list_of(holder))
    start, end, indent = _block_of(lines, key, has_members)
    block = _block(name, value, indent, newline, is_list)
    if _has(holder, name):
        first, last = _place_of(lines, holder, name, (start, end, indent))
        lines[first:last] = [block]
        return mark + "".join(lines)
    # What stands in the line besides an empty holder, a comment, stays.
    if not has_members:
        lines[start] = re.sub(r":\s*(\{\s*\}|\[\s*\]|~|null)", ":", lines[start], count=1)
        lines[start] = lines[start].rstrip("\r\n") + newline
    lines.insert(end, block)
    return mark + "".join(lines)


def remove(text: str, keys: Sequence[str], name: str) -> str:
    """The text without it, and without the holder that it leaves empty."""
    (key,) = keys
    holder: object = read(text).get(key)
    if not _has(holder, name):
        return text
    mark, lines = _lines(text)
    start, end, indent = _block_of(lines, key, True)
    first, last = _place_of(lines, holder, name, (start, end, indent))
    if len(object_of(holder) or list_of(holder)) == 1:
        first, last = start, end
    del lines[first:last]
    return mark + "".join(lines)


def _lines(text: str) -> tuple[str, list[str]]:
    """The byte order mark, where there is one, and the lines after it."""
    mark = _BOM if text.startswith(_BOM) else ""
    return mark, text.removeprefix(mark).splitlines(keepends=True)


def _place_of(lines: Sequence[str], holder: object, name: str, block: tuple[int, int, str]) -> tuple[int, int]:
    """The member's first line, and the line after its last."""
    start, end, indent = block
    names = [_name_of(item) for item in list_of(holder)] or list(object_of(holder))
    places = [n for n in range(start + 1, end) if _begins(lines[n], indent, isinstance(holder, list))]
    number = names.index(name)
    last = places[number + 1] if number + 1 < len(places) else end
    while last > places[number] + 1 and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    return places[number], last


def _has(holder: object, name: str) -> bool:
    return name in object_of(holder) or any(_name_of(item) == name for item in list_of(holder))


def _name_of(item: object) -> object:
    return object_of(item).get("name")


def _block_of(lines: Sequence[str], key: str, has_members: bool) -> tuple[int, int, str]:
    """The line of a top-level key, the line after its block, and how far its members are indented."""
    start = next((n for n, line in enumerate(lines) if line.startswith((f"{key}:", f'"{key}":', f"'{key}':"))), None)
    if start is None:
        raise NotInstalled(f"{key!r} stands there in a form that only a person should change.")
    rest = lines[start].partition(":")[2].partition(" #")[0].strip()
    if has_members and rest:
        raise NotInstalled(f"{key!r} is written on one line there; only block style is edited.")
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " \t#-\r\n"):
        end += 1
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    inside = [line for line in lines[start + 1 : end] if line.strip() and not line.lstrip().startswith("#")]
    indent = inside[0][: len(inside[0]) - len(inside[0].lstrip(" "))] if inside else "  "
    return start, end, indent


def _begins(line: str, indent: str, is_list: bool) -> bool:
    inner = line[len(indent) :]
    is_here = line.startswith(indent) and inner[:1] not in ("", " ", "\t", "#", "\r", "\n")
    return is_here and (inner.startswith("-") or not is_list)


def _block(name: str, value: Any, indent: str, newline: str, is_list: bool) -> str:
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    # A long path is not to be broken over two lines.
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(value if is_list else {name: value}, stream)
    lines = stream.getvalue().splitlines()
    if is_list:
        lines = [("- " if number == 0 else "  ") + line for number, line in enumerate(lines)]
    return "".join(f"{indent}{line}{newline}" for line in lines)
