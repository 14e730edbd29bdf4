"""Rows of which there are many and alike as a table: each column named once, and once what all have in common. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fal_mcp.json_values import JsonMapping, JsonObject, dumped, is_list, is_object, list_of, object_of


@dataclass(frozen=True, slots=True)
class Table:
    """`every_row` is what all rows have in common; `rows` have a value for each column, None where a row has none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    every_row: JsonMapping

    def lines(self) -> list[str]:
        """The table as text, the names of its columns first; no value moves a column."""
        common = [f"Every row: {compact(self.every_row)}"] if self.every_row else []
        return [*common, *(" | ".join(map(_cell, row)) for row in (self.columns, *self.rows))]

    def data(self, name: str) -> JsonObject:
        """The table as members of an object: the rows under `name`."""
        common = {"every_row": dict(self.every_row)} if self.every_row else {}
        return {"columns": list(self.columns), **common, name: [list(row) for row in self.rows]}


def of(rows: object) -> Table | None:
    """The table that a list of objects makes, objects in them by dotted names; None where it makes none."""
    listed = list_of(rows)
    if not listed or not all(is_object(row) for row in listed):
        return None
    flat = [_flat(object_of(row)) for row in listed]
    names = dict.fromkeys(name for row in flat for name, value in row.items() if value is not None)
    # Of a single row everything would be in common, and nothing would be left to be its row.
    common = {name: flat[0][name] for name in names if len(flat) > 1 and _is_common(name, flat)}
    columns = tuple(name for name in names if name not in common) or tuple(names)
    if not columns:
        return None
    rest = {name: value for name, value in common.items() if name not in columns}
    return Table(columns, tuple(tuple(row.get(name) for name in columns) for row in flat), rest)


def compact(value: Any) -> str:
    """A value as JSON in as few characters as it takes, without what is null."""
    return dumped(_without_nothing(value))


def _flat(row: JsonMapping) -> JsonObject:
    flat: JsonObject = {}
    for name, value in row.items():
        inner = object_of(value)
        names = [f"{name}.{part}" for part in inner]
        # Names that would be taken for one another keep their object whole.
        if inner and not any(dotted in row for dotted in names):
            flat.update(zip(names, inner.values(), strict=True))
        else:
            flat[name] = value
    return flat


def _is_common(name: str, rows: Sequence[JsonMapping]) -> bool:
    first = rows[0].get(name)
    # By what is written: 1 and true are equal in Python.
    return all(name in row and compact(row[name]) == compact(first) for row in rows)


def _cell(value: Any) -> str:
    """A value between bars; one that bars or its neighbours could be taken for is told as JSON."""
    if value is None:
        return "-"
    is_plain = isinstance(value, str) and value == value.strip() and value.isprintable()
    if is_plain and value not in ("", "-") and "|" not in value:
        return cast(str, value)
    return compact(value).replace("|", r"\u007c")


def _without_nothing(value: Any) -> Any:
    if is_object(value):
        return {key: _without_nothing(item) for key, item in object_of(value).items() if item is not None}
    return [_without_nothing(item) for item in list_of(value)] if is_list(value) else value
