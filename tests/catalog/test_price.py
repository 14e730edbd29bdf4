"""What a call is thought to cost, and what cannot be told is said."""

from typing import Any

import pytest

from fal_mcp.catalog.endpoint import Endpoint, Price
from fal_mcp.catalog.price import quote

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
