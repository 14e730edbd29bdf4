"""Rows as a table: whatever they hold, the objects can be had back from it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.json_values import object_of
from fal_mcp.tools import table

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.text(max_size=3),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 1)),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "a.x"]), VALUES, max_size=3), max_size=5)


def told(value: Any) -> str:
    return table.compact(value)


def flat(row: dict[str, Any]) -> dict[str, str]:
    """A row's values by dotted name, as they are written: 1 and true are not the same."""
    inner = {name: object_of(value) for name, value in row.items() if object_of(value)}
    plain = {name: told(value) for name, value in row.items() if name not in inner and value is not None}
    for name, parts in inner.items():
        plain |= {f"{name}.{part}": told(value) for part, value in parts.items()}
    return plain


@given(ROWS)
def test_the_rows_can_be_had_back(rows: list[dict[str, Any]]):
    made = table.of(rows)
    if made is None:
        assert not any(flat(row) for row in rows)
        return
    assert len(made.rows) == len(rows) and all(len(row) == len(made.columns) for row in made.rows)
    for row, cells in zip(rows, made.rows, strict=True):
        again = {**made.every_row, **dict(zip(made.columns, cells, strict=True))}
        # An object whose parts' names stand beside it is kept whole; either way its parts are there.
        assert flat({name: value for name, value in again.items() if value is not None}) == flat(row)


def test_what_all_have_in_common_is_said_once():
    made = table.of([{"app": "me/sketch", "line": "a | b"}, {"app": "me/sketch", "line": "-"}])
    assert made is not None and made.every_row == {"app": "me/sketch"} and made.columns == ("line",)
    assert made.lines() == ['Every row: {"app":"me/sketch"}', "line", '"a \\u007c b"', '"-"']


def test_what_is_no_list_of_objects_is_no_table():
    assert table.of([1, "a"]) is None and table.of({"a": 1}) is None and table.of([]) is None
