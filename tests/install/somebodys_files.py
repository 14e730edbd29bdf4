"""Configurations as people have them: each a random valid file with all that its format allows, beside its values."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hypothesis import strategies as st

from fal_mcp.install.hosts import Host

Draw = Callable[[st.SearchStrategy[str]], str]
WORDS = st.sampled_from(
    ["a", "größe", "日本", "😀", "x y", "fal-2", "[mcp_servers.fal]", '"fal": {', "# no", "// no", "}"]
)
NAMES = st.sampled_from(["a", "b1", "größe", "日本", "😀", "x y", "fal2", "Fal", "c.d", "q'q"])
BOM = "\ufeff"


@dataclass(frozen=True)
class Style:
    """How somebody, or some program, writes."""

    unit: str
    newline: str
    is_on_one_line: bool
    has_comments: bool
    has_trailing_commas: bool
    ends: str


def styles(*, has_comments: bool = True) -> st.SearchStrategy[Style]:
    no = st.just(False)
    return st.builds(
        Style,
        st.sampled_from(["  ", "    ", "\t", " "]),
        st.sampled_from(["\n", "\n", "\r\n"]),
        st.booleans(),
        st.booleans() if has_comments else no,
        st.booleans() if has_comments else no,
        st.sampled_from(["", "\n", "\n\n"]),
    )


def files_for(host: Host) -> st.SearchStrategy[str]:
    """What somebody may have in a host's file."""
    (holder,) = host.keys
    if host.format == "json":
        return json_files(holder, has_comments=not host.needs_plain_json)
    return toml_files() if host.format == "toml" else yaml_files(holder, is_list=host.is_list)


@st.composite
def json_files(draw: st.DrawFn, holder: str, *, has_comments: bool = True) -> str:
    """An object with the servers' holder in it, or without; with comments, tabs, trailing commas and twice the same."""
    style = draw(styles(has_comments=has_comments))
    members = [(draw(NAMES), draw(_values())) for _ in range(draw(st.integers(0, 3)))]
    servers = draw(st.none() | st.lists(st.tuples(NAMES, _values()), max_size=3))
    if servers is not None:
        members.insert(draw(st.integers(0, len(members))), (holder, _Object(servers)))
    text = _written(draw, _Object(members), style, "")
    before = draw(_comments(style)) if style.has_comments else ""
    lines = before + text + style.ends
    return draw(st.sampled_from(["", "", BOM])) + lines.replace("\n", style.newline)


class _Object(list[tuple[str, object]]):
    """Members in their order, a name as often as it stands there."""


def _values() -> st.SearchStrategy[object]:
    plain = st.none() | st.booleans() | st.integers(-9, 9) | WORDS | st.just(0.5)
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3).map(_Object),
        max_leaves=6,
    )


def _comments(style: Style) -> st.SearchStrategy[str]:
    kinds = ["", "", "/* , } */"] if style.is_on_one_line else ["", "", "// , }\n", '/* "fal": {\n } */', "\n"]
    return st.sampled_from(kinds)


def _written(draw: st.DrawFn, value: object, style: Style, indent: str) -> str:
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    is_object, inner = isinstance(value, _Object), indent + style.unit
    opening, closing = "{}" if is_object else "[]"
    if not value:
        return opening + draw(st.sampled_from(["", "", " ", "" if style.is_on_one_line else f"\n{indent}"])) + closing
    parts: list[str] = []
    for item in cast(list[Any], value):
        name = f"{json.dumps(item[0], ensure_ascii=False)}:{draw(st.sampled_from(['', ' ']))}" if is_object else ""
        parts.append(name + _written(draw, item[1] if is_object else item, style, inner))
    if style.has_comments:
        parts = [draw(_comments(style)) + part for part in parts]
    gap = draw(st.sampled_from(["", " "])) if style.is_on_one_line else f"\n{inner}"
    text = gap + f",{gap or draw(st.sampled_from(['', ' ']))}".join(parts)
    if style.has_trailing_commas and draw(st.booleans()):
        text += ","
    if style.has_comments:
        text += draw(st.sampled_from(["", " /* , */" if style.is_on_one_line else " // , }"]))
    return opening + text + (gap if style.is_on_one_line else f"\n{indent}") + closing


@st.composite
def toml_files(draw: st.DrawFn) -> str:
    """Tables in any order, inner ones, arrays of them, texts that look like headers, dotted names."""
    style = draw(styles())
    lines = [*draw(st.lists(_pairs(), max_size=3, unique_by=_name))]
    tables = draw(st.lists(_tables(), max_size=5, unique_by=lambda table: table[0]))
    for table in tables:
        lines += table
    text = "\n".join(lines) + (style.ends if lines else "")
    return draw(st.sampled_from(["", "", BOM])) + text.replace("\n", style.newline)


def _name(line: str) -> str:
    return line.partition("=")[0].strip()


def _pairs() -> st.SearchStrategy[str]:
    values = [
        '"x"  # mine',
        "1_000",
        "[1, 2]",
        "[\n  1, # one\n]",
        '"""\n[mcp_servers.fal]\na = 1\n"""',
        "'C:\\\\x'",
        "{ a = 1 }",
    ]
    values += ["2026-11-26T10:00:00Z", '"größe 日本 😀"', "true", "'''\n# no\n'''", '"[mcp_servers.fal]"']
    names = ["m", "n", '"p q"', "tui.theme", "o"]
    return st.builds("{} = {}".format, st.sampled_from(names), st.sampled_from(values))


def _tables() -> st.SearchStrategy[list[str]]:
    heads = [
        "[t]",
        "[mcp_servers.a]",
        "[ mcp_servers . b ]",
        '[mcp_servers."x y"]',
        "[mcp_servers.a2.env]",
        "[z.fal]",
        "[u] # mine",
    ]
    heads += ["[mcp_servers]", "[mcp_servers.fal2]", "[[hooks]]", '["größe"]']
    before = st.sampled_from([[], [""], ["", "# about the next"], ["# [mcp_servers.fal]", ""]])
    pairs = st.lists(_pairs(), max_size=3, unique_by=_name)
    return st.builds(_table, before, st.sampled_from(heads), pairs)


def _table(gap: list[str], head: str, inside: list[str]) -> list[str]:
    return [head, *inside, *gap]


@st.composite
def yaml_files(draw: st.DrawFn, holder: str, *, is_list: bool) -> str:
    """A mapping in block style with the servers' holder in it, or without."""
    style = draw(styles())
    unit = style.unit if style.unit != "\t" else "  "
    others = [
        "a: 1",
        "b:\n" + unit + "- x\n" + unit + "- y",
        "c: |\n  fal:\n    x: 1",
        'd: "größe 日本 😀"',
        "# about\ne: {f: 1}",
        "g: >-\n  two\n  lines",
    ]
    parts = draw(st.lists(st.sampled_from(others), unique=True, max_size=3))
    count = draw(st.integers(0, 3))
    if count or draw(st.booleans()):
        gap = draw(st.sampled_from(["", "  # mine"])) if style.has_comments else ""
        item = _yaml_item if is_list else _yaml_member
        is_indented = unit if not is_list or draw(st.booleans()) else ""
        inside = [item(draw, number, is_indented, unit, style) for number in range(count)]
        block = (
            f"{holder}:{gap}\n" + "\n".join(inside)
            if inside
            else f"{holder}:" + draw(st.sampled_from(["", " {}" if not is_list else " []"]))
        )
        parts.insert(draw(st.integers(0, len(parts))), block)
    divider = draw(st.sampled_from(["\n", "\n\n"]))
    # A text in lines that is the file's last keeps or loses a line break with it.
    ends = style.ends or ("\n" if "|\n" in parts[-1] else "") if parts else ""
    text = divider.join(parts) + ends
    start = draw(st.sampled_from(["", "", "---\n", "# mine\n"])) if parts else ""
    return draw(st.sampled_from(["", "", BOM])) + (start + text).replace("\n", style.newline)


def _yaml_member(draw: st.DrawFn, number: int, indent: str, unit: str, style: Style) -> str:
    name = ["dev", '"x y"', "größe"][number]
    comment = f"{indent}# about {name}\n" if style.has_comments and draw(st.booleans()) else ""
    inside = draw(
        st.sampled_from(
            [
                "enabled: true",
                "cmd: x  # best",
                "args:\n" + indent + unit * 2 + "- fal",
                "text: |\n" + indent + unit * 2 + "fal:",
            ]
        )
    )
    return f"{comment}{indent}{name}:\n{indent}{unit}{inside}"


def _yaml_item(draw: st.DrawFn, number: int, indent: str, unit: str, style: Style) -> str:
    comment = f"{indent}# about {number}\n" if style.has_comments and draw(st.booleans()) else ""
    more = draw(st.sampled_from(["", f"\n{indent}  command: x", f"\n{indent}  args:\n{indent}    - fal"]))
    return f"{comment}{indent}- name: s{number}{more}"
