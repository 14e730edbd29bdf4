"""What several runs made, side by side: every number of them, every shape, in any letters, within its bounds."""

import io
import random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from PIL import Image, ImageChops

from fal_mcp.outputs import contact_sheet, lettering
from fal_mcp.outputs.contact_sheet import Tile, draw

COLOURS = ["#ff0000", "#00ff00", "#0000ff", "#ffff00", "#ff00ff", "#00ffff", "#ff8000", "#8000ff"]
SHAPES = [(1024, 576), (576, 1024), (1024, 1024), (640, 120), (30, 900)]


def picture(size: tuple[int, int], colour: str, kind: str = "JPEG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, kind, quality=95)
    return target.getvalue()


def tiles(*shapes: tuple[int, int]) -> list[Tile]:
    return [Tile(f"m/{n}", "3.2 s", (picture(size, COLOURS[n]),)) for n, size in enumerate(shapes)]


def area(sheet: Image.Image, colour: str) -> tuple[int, int]:
    """Width and height of what is of this colour, as near as a JPEG keeps it."""
    wanted = Image.new("RGB", (1, 1), colour).split()
    masks: list[Image.Image] = []
    for channel, one in zip(sheet.split(), wanted, strict=True):
        value = int(one.getextrema()[0])  # pyright: ignore[reportArgumentType]
        table: Any = [255 if abs(level - value) < 40 else 0 for level in range(256)]
        masks.append(cast(Any, channel).point(table))
    box = ImageChops.multiply(ImageChops.multiply(masks[0], masks[1]), masks[2]).getbbox()
    assert box is not None, colour
    return box[2] - box[0], box[3] - box[1]


@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_each_picture_is_there_whole_and_large(count: int, shape: tuple[int, int]):
    sheet = Image.open(io.BytesIO(draw("a pier at dusk", "models", tiles(*[shape] * count))))
    assert sheet.width <= 1568 and sheet.height <= 980
    total = 0
    for colour in COLOURS[:count]:
        width, height = area(sheet, colour)
        assert width / height == pytest.approx(shape[0] / shape[1], rel=0.05)
        total += width * height
    assert total >= 0.33 * sheet.width * sheet.height


def test_of_mixed_shapes_none_is_cut():
    sheet = Image.open(io.BytesIO(draw("x", "y", tiles((1024, 576), (576, 1024), (1024, 1024), (768, 1024)))))
    for colour, (wide, high) in zip(COLOURS, [(16, 9), (9, 16), (1, 1), (3, 4)], strict=False):
        width, height = area(sheet, colour)
        assert width / height == pytest.approx(wide / high, rel=0.05)


def test_a_run_of_four_pictures_shows_all_four():
    shown = tuple(picture((512, 512), colour) for colour in COLOURS[:4])
    sheet = Image.open(io.BytesIO(draw("x", "y", [Tile("a", "b", shown), *tiles((512, 512))])))
    for colour in COLOURS[1:4]:
        width, height = area(sheet, colour)
        assert width == pytest.approx(height, rel=0.05) and width > 200


def test_what_has_no_picture_is_told_in_words():
    failed = Tile("b", "failed", words="fal refused it", is_failed=True)
    one = draw("x", "y", [*tiles((512, 512)), failed])
    other = draw("x", "y", [*tiles((512, 512)), Tile("b", "failed", words="", is_failed=True)])
    assert one != other


@within(max_examples=15, deadline=None)
@given(
    st.text(max_size=300),
    st.text(max_size=100),
    st.lists(
        st.builds(
            Tile,
            st.text(max_size=60),
            st.text(max_size=60),
            st.lists(st.sampled_from(SHAPES).map(lambda size: picture(size, "red")), max_size=5).map(tuple),
            st.sampled_from(["image", "video", "audio", "text", "3d"]),
            st.text(max_size=500),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_whatever_it_is_made_of_it_is_a_picture_within_its_bounds(title: str, subtitle: str, given_tiles: list[Tile]):
    content = draw(title, subtitle, given_tiles)
    sheet = Image.open(io.BytesIO(content))
    assert sheet.width <= 1568 and sheet.height <= 980 and len(content) <= 500_000


def test_eight_noisy_pictures_stay_below_what_hosts_take():
    noise = random.Random(1)
    target = io.BytesIO()
    Image.frombytes("RGB", (768, 768), noise.randbytes(768 * 768 * 3)).save(target, "JPEG", quality=80)
    content = draw("x", "y", [Tile(str(n), "", (target.getvalue(),)) for n in range(8)])
    assert len(content) * 4 / 3 <= 700_000


def test_text_fits_and_says_that_it_was_cut():
    letters = lettering.Lettering()
    assert lettering.fitted("short", 200, letters, 20) == "short"
    cut = lettering.fitted("a very long name of a model " * 4, 200, letters, 20)
    assert cut.endswith("...") and letters.width(cut, 20) <= 200
    lines = lettering.wrapped("word " * 80, 300, letters, 20, 3)
    assert len(lines) == 3 and lines[-1].endswith("...") and all(letters.width(line, 20) <= 300 for line in lines)


def test_letters_that_no_font_has_are_left_out_and_not_drawn_as_boxes():
    assert lettering.writable("a \U000f0000 pier") == "a pier"
    assert lettering.writable("plain") == "plain"
    assert contact_sheet.draw("\U000f0000", "", tiles((64, 64), (64, 64)))
