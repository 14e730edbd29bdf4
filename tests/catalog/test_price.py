"""What a call is thought to cost, and what cannot be told is said."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp import bundled
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint, Price
from fal_mcp.catalog.price import quote, read
from fal_mcp.catalog.source import Folder
from fal_mcp.openapi.example import example
from fal_mcp.text import money
from fal_mcp.tools.tool import prepare
from tests.documents import CORPUS

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "num_images": {"type": "integer", "default": 1},
        "image_size": {"default": "landscape_4_3"},
        "duration": {"type": "string", "default": "8s"},
    },
}


@pytest.mark.parametrize(
    ("unit", "arguments", "amount"),
    [
        ("images", {}, 2.0),
        ("image", {"num_images": 3}, 6.0),
        ("megapixels", {}, 2 * 0.786432),
        ("megapixels", {"image_size": {"width": 2000, "height": 1000}, "num_images": 2}, 8.0),
        ("seconds", {}, 16.0),
        ("second", {"duration": 5}, 10.0),
        ("5 seconds", {"duration": "10"}, 4.0),
        ("minutes", {"duration": 30}, 1.0),
        ("1000 characters", {"text": "x" * 500}, 1.0),
        ("videos", {}, 2.0),
        ("compute seconds", {}, None),
        ("units", {}, None),
        ("video segments", {}, None),
        ("processed megapixels", {}, None),
        ("1000 characters", {}, None),
        ("moon phases", {}, None),
    ],
)
def test_units_are_read_from_arguments_where_they_can_be(unit: str, arguments: dict[str, Any], amount: float | None):
    found = quote(Endpoint("a/b", "B", "c", "", SCHEMA, {}, price=Price(2.0, unit)), arguments)
    assert found.amount == (None if amount is None else pytest.approx(amount))
    assert found.note and (amount is not None or "cannot be told" in found.note)


def test_no_price_is_said():
    assert quote(Endpoint("a/b", "B", "c", "", SCHEMA, {}), {}).amount is None


def made(
    unit: str = "images", amount: Any = 1.0, currency: str = "USD", output: Any = None, **properties: Any
) -> Endpoint:
    """An endpoint that costs `amount` a unit and takes these arguments."""
    schema = {"type": "object", "properties": properties}
    return Endpoint("a/b", "B", "c", "", schema, output or {}, price=Price(amount, unit, currency))


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        ({"num_images": 2, "max_images": 6}, 12),
        ({"max_images": 6}, 6),
        ({"num_images": 3.0}, 3),
        ({"num_images": "4"}, 4),
        ({"num_outputs": 4}, 4),
        ({"num_samples": 4}, 4),
        ({"n": 3}, 3),
        ({"batch_size": 5}, 5),
        ({"images_per_prompt": 2, "n": 2}, 4),
        ({"num_images": None, "max_images": 2}, 2),
        ({"num_images": 0}, None),
        ({"num_images": -5}, None),
        ({"num_images": 1.5}, None),
        ({"num_images": True}, None),
        ({"num_images": [2]}, None),
        ({"num_images": float("nan")}, None),
        ({"num_images": float("inf")}, None),
        ({"num_images": 10**400}, None),
        ({"num_images": 10**12}, None),
    ],
)
def test_every_multiplier_is_seen_and_what_is_none_leaves_no_price(arguments: dict[str, Any], images: int | None):
    for unit in ("images", "requests", "1", ""):
        assert quote(made(unit), arguments).amount == images


def test_a_batch_size_counts_only_where_several_things_may_come_out():
    """A film worked on 32 frames at a time is one film."""
    several = {"type": "object", "properties": {"images": {"type": "array", "items": {"type": "object"}}}}
    single = {"type": "object", "properties": {"video": {"type": "object"}}}
    assert quote(made(output=several), {"batch_size": 32}).amount == 32
    assert quote(made("videos", output=single), {"batch_size": 32}).amount == 1


@pytest.mark.parametrize("amount", [0, 0.0, -1, -1e-9, float("nan"), float("inf"), -float("inf"), True, "1", None])
def test_a_list_price_that_is_none_is_unknown_and_not_free(amount: Any):
    assert read({"unit_price": amount, "unit": "images"}) is None
    told = quote(made(amount=amount), {})
    assert told.amount is None and told.note


@pytest.mark.parametrize(
    "item", [None, 7, "free", [], {}, {"unit_price": 1}, {"unit_price": 1, "unit": 3}, {"unit": "images"}]
)
def test_what_is_no_price_is_none(item: Any):
    assert read(item) is None


def test_free_is_what_fal_calls_free():
    assert read({"unit_price": 0, "unit": "free"}) == Price(0.0, "free")
    assert quote(made("free", 0.0), {}).amount == 0


def test_another_currency_is_unknown():
    told = quote(made(currency="EUR"), {})
    assert told.amount is None and told.currency == "EUR" and "EUR" in told.note


@pytest.mark.parametrize(
    "duration",
    [-100, 0, -0.5, "0", "-5", "", "later", "1e9999", float("nan"), float("inf"), [5], {"s": 5}, True, 10**400],
)
def test_a_length_that_is_none_leaves_no_price(duration: Any):
    assert quote(made("seconds", duration={"type": "string"}), {"duration": duration}).amount is None


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ({"duration": 5}, 5),
        ({"duration": "5s"}, 5),
        ({"duration": "5 seconds"}, 5),
        ({"seconds_total": 47}, 47),
        ({"total_seconds": 190}, 190),
        ({"music_length_ms": 3000}, 3),
        ({"duration": 5, "extend_duration": 8}, 8),
        ({"multi_prompt": [{"duration": 4}, {"duration": "6"}]}, 10),
        ({"multi_prompt": [{"duration": 4}, {"duration": "auto"}]}, None),
        ({"duration": "auto"}, 12),
        ({"duration": "15"}, 15),
        ({"num_images": 2, "duration": 5}, 10),
        ({}, None),
    ],
)
def test_lengths_are_read_wherever_they_stand(arguments: dict[str, Any], seconds: float | None):
    """A word in place of a number may be the longest that there is."""
    endpoint = made("seconds", duration={"type": "string", "enum": ["auto", "4", "12"]})
    assert quote(endpoint, arguments).amount == seconds


def test_the_last_block_of_seconds_is_paid_whole():
    assert quote(made("5 seconds"), {"duration": 7}).amount == 2


def test_a_price_however_small_is_not_rounded_to_nothing():
    assert quote(made(amount=1e-9), {}).amount == 1e-6


def test_lines_of_a_dialogue_are_counted_together():
    lines = {"inputs": [{"text": "a" * 300, "voice": "x"}, {"text": "b" * 700}]}
    assert quote(made("1000 characters"), lines).amount == 1


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.4, "$0.40"),
        (0.02, "$0.02"),
        (0.025, "$0.025"),
        (0.0393216, "$0.0393"),
        (12, "$12.00"),
        (1234.5, "$1,234.50"),
        (1e-6, "$0.000001"),
        (0.00456789, "$0.00457"),
        (0, "$0"),
    ],
)
def test_money_reads_as_people_write_it(usd: float, text: str):
    assert money(usd) == text


def test_a_price_is_said_as_a_person_would():
    endpoint = made("seconds", 0.08, duration={"default": "5"}, resolution={"default": "720p"})
    assert str(quote(endpoint, {})) == "about $0.40 for 5 s at 720p, at $0.08 per second"
    assert str(Price(0.02, "1")) == str(Price(0.02, "")) == "$0.02 per run"
    assert str(quote(made(amount=0), {})) == "fal's catalog has no price for it here"


UNITS = (
    *("images", "1", "", "seconds", "5 seconds", "minutes", "megapixels", "1000 characters", "1k characters", "videos"),
    *("compute seconds", "units", "tokens", "0 seconds", "00 characters", "9" * 40 + " seconds", "free", "\ud800"),
)
COUNTS = ("num_images", "max_images", "num_samples", "n", "num_outputs")
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([10**400, "5s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["width", "text", "duration"]), inner),
    max_leaves=4,
)
NAMES = st.sampled_from([*COUNTS, "duration", "batch_size", "text", "image_size", "width", "height", "music_length_ms"])


@given(
    st.sampled_from(UNITS),
    st.floats(),
    st.dictionaries(NAMES, ODD, max_size=5),
    st.dictionaries(NAMES, ODD, max_size=2),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_for_a_quote_is_finite_and_not_negative_or_has_a_reason(
    unit: str, amount: float, arguments: dict[str, Any], parts: dict[str, Any]
):
    told = quote(made(unit, amount, **parts), arguments)
    assert told.note and (told.amount is None or (math.isfinite(told.amount) and told.amount >= 0))
    assert str(told)


FOLDER = CORPUS / "models" if CORPUS.is_dir() else bundled.schemas() / "models"
MODELS = list(Catalog(Folder(FOLDER)).endpoints())


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_quote_of_a_real_model_never_falls_as_more_is_asked_for(data: st.DataObject):
    endpoint = data.draw(st.sampled_from(MODELS))
    price = Price(data.draw(st.floats(1e-6, 100)), data.draw(st.sampled_from(UNITS[:10])))
    given_arguments = dict(example(endpoint.input_schema))
    counts = [name for name in endpoint.input_schema["properties"] if name in COUNTS]
    before = 0.0
    for number in (1, 2, 3, 4, 6):
        arguments = {**given_arguments, **dict.fromkeys(counts, number)}
        if prepare(endpoint.input_schema, arguments).faults:
            continue
        told = quote(endpoint, arguments, price)
        assert told.note and (told.amount is None or math.isfinite(told.amount))
        if told.amount is not None:
            assert told.amount >= before
            before = told.amount
