"""A table put into, or taken out of, a TOML file by `tomlkit`, which keeps everything else as it is."""

from collections.abc import Sequence
from typing import Any, cast

from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, object_of

_BOM = "\ufeff"


def read(text: str) -> JsonObject:
    """What a file holds.

    Raises:
        NotInstalled: it is no TOML.
    """
    return cast(JsonObject, _parsed(text).unwrap())


def put(text: str, keys: Sequence[str], name: str, value: Any) -> str:
    """The text with the table `name` below `keys`, at the file's end where it is new."""
    import tomlkit

    newline = "\r\n" if "\r\n" in text else "\n"
    # New at the end rather than in its old place: a table that is written anew there could swallow the keys of the
    # one after it.
    rest = remove(text, keys, name) if _holds(read(text), [*keys, name]) else text
    document = tomlkit.document()
    table: Any = document
    for key in keys:
        # No header of its own: `[mcp_servers]` may stand further up already, and twice is an error.
        outer = tomlkit.table(is_super_table=True)
        table[key] = outer
        table = outer
    table[name] = _table(value)
    written = tomlkit.dumps(document).strip("\n") + "\n"
    between = "" if not rest.strip(f"{_BOM} \t\r\n") else ("\n" if rest.endswith("\n") else "\n\n")
    return rest + (between + written).replace("\n", newline)


def remove(text: str, keys: Sequence[str], name: str) -> str:
    """The text without the table: its lines up to the next table's, and the blank line before that `put` wrote."""
    if not _holds(read(text), [*keys, name]):
        return text
    head = ".".join([*keys, name])
    mark = _BOM if text.startswith(_BOM) else ""
    lines = text.removeprefix(_BOM).splitlines(keepends=True)
    texts = _inside_texts(lines)
    starts = [number for number, line in enumerate(lines) if number not in texts and _is_header(line, head)]
    if not starts:
        raise NotInstalled(f"{head!r} stands there in a form that only a person should change.")
    left: list[str] = []
    place = 0
    while place < len(lines):
        if place in starts:
            place = _end(lines, place)
            if left and not left[-1].strip():
                left.pop()
            continue
        left.append(lines[place])
        place += 1
    return mark + "".join(left)


def _end(lines: Sequence[str], start: int) -> int:
    """The line after the table: the next header, or the comments and blanks before it."""
    end = next((n for n in range(start + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _inside_texts(lines: Sequence[str]) -> set[int]:
    """The lines that begin inside a text of several lines, where what looks like a header is none."""
    inside: set[int] = set()
    quote = ""
    for number, line in enumerate(lines):
        if quote:
            inside.add(number)
        rest = line
        while rest:
            marks: list[str] = [quote] if quote else ['"""', "'''"]
            ends = [(rest.find(mark), mark) for mark in marks if mark in rest]
            if not ends:
                break
            place, mark = min(ends)
            quote = "" if quote else mark
            rest = rest[place + 3 :]
    return inside


def _is_header(line: str, head: str) -> bool:
    title = line.strip().partition("#")[0].strip()
    inner = title[1:-1].replace(" ", "").replace('"', "").replace("'", "") if title[:1] == "[" else ""
    return title[:2] != "[[" and (inner == head or inner.startswith(f"{head}."))


def _holds(value: object, keys: Sequence[str]) -> bool:
    for key in keys:
        if key not in object_of(value):
            return False
        value = object_of(value)[key]
    return True


def _table(value: JsonObject) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, item in value.items():
        if key == "env":
            inner = tomlkit.inline_table()
            for name, text in object_of(item).items():
                inner[name] = text
            # One line: a table of its own would be a second header, to be found and taken out again.
            table[key] = inner
        else:
            table[key] = item
    return table


def _parsed(text: str) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text.removeprefix(_BOM))
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise NotInstalled(f"It cannot be read as TOML: {str(error)[:200]}.") from error
