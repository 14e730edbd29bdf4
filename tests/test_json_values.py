"""Values from elsewhere: whatever they are, they are read or refused, and what is written is JSON."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp import addresses, json_values

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
)


@given(ODD)
def test_what_is_written_is_json_for_anybody(value: object):
    text = json_values.dumped(value)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(text.encode(), parse_constant=refuse)


@given(st.binary() | st.text(st.characters()))
def test_any_text_is_read_or_refused(content: bytes | str):
    try:
        json_values.parsed(content)
    except json_values.NotJson as error:
        assert str(error)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "", "{", b"\xff\xfe\x00", "nul"])
def test_what_is_no_json_is_refused(content: bytes | str):
    with pytest.raises(json_values.NotJson):
        json_values.parsed(content)


def test_a_number_too_long_for_python_is_no_number():
    assert json_values.number_of(json_values.parsed("9" * 5000)) is None


@given(ODD)
def test_each_kind_of_value_is_told_from_the_others(value: object):
    assert json_values.number_of(True) is None
    number = json_values.number_of(value)
    assert number is None or number == value
    assert isinstance(json_values.object_of(value), dict) and isinstance(json_values.list_of(value), list)


@given(st.text(st.characters()))
def test_any_address_is_taken_apart_or_refused(address: str):
    assert isinstance(addresses.host_of(address), str)


@pytest.mark.parametrize(
    "address", ["https://[x", "https://v3.fal.media:99999/a.png", "https://a:b/", "https://[::1/x"]
)
def test_what_is_no_address_is_refused(address: str):
    assert addresses.parts_of(address) is None and addresses.host_of(address) == ""


def test_no_long_text_is_remembered_for_having_been_taken_for_an_address():
    tracemalloc.start()
    try:
        assert not any(addresses.host_of(f"https://fal.media/{number}/{'a' * 1_000_000}") for number in range(20))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
