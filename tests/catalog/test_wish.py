"""One wish in the arguments of many models: what is given validates, and what is not is told."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.catalog import wish, wished_size
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.catalog.file_arguments import find
from fal_mcp.catalog.source import Folder
from fal_mcp.catalog.wish import Wish
from fal_mcp.catalog.wished_size import Size
from fal_mcp.openapi import faults
from tests.documents import CORPUS

URL = "https://e.x/a.png"
SIZES = ["16:9", "1:1", "9:16", "1024x768", "1280x720", "7x9999"]


def endpoint(*required: str, **properties: Any) -> Endpoint:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Endpoint("a/b", "t", "text-to-image", "", schema, {}, find(schema, {}))


def enum(*values: Any) -> dict[str, Any]:
    return {"type": "string" if isinstance(values[0], str) else "integer", "enum": list(values)}


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
PIXELS = {
    "type": "object",
    "properties": {"width": {"type": "integer", "maximum": 2048}, "height": {"type": "integer"}},
}
NAMES = ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
SIZED = {"anyOf": [PIXELS, enum(*NAMES)]}


@pytest.mark.parametrize(
    ("size", "properties", "arguments", "said"),
    [
        ("16:9", {"image_size": SIZED}, {"image_size": "landscape_16_9"}, "image_size landscape_16_9"),
        ("9:16", {"image_size": SIZED}, {"image_size": "portrait_16_9"}, "image_size portrait_16_9"),
        ("1:1", {"image_size": SIZED}, {"image_size": "square_hd"}, "image_size square_hd"),
        ("21:9", {"image_size": SIZED}, {"image_size": {"width": 1568, "height": 672}}, "image_size 1568x672"),
        ("800x600", {"image_size": SIZED}, {"image_size": {"width": 800, "height": 600}}, "image_size 800x600"),
        ("4000x3000", {"image_size": SIZED}, {"image_size": "landscape_4_3"}, "image_size landscape_4_3, its ratio"),
        ("1536x1024", {"size": enum("1024x1024", "1536x1024")}, {"size": "1536x1024"}, ""),
        ("3:2", {"aspect_ratio": enum("auto", "1:1", "16:9")}, {}, "it takes no such size"),
        ("4:3", {"aspect_ratio": enum("1:1", "3:2")}, {"aspect_ratio": "3:2"}, "3:2, the nearest it takes"),
        ("1280x720", {"aspect_ratio": TEXT}, {"aspect_ratio": "16:9"}, "aspect_ratio 16:9, its ratio"),
        (
            "1280x720",
            {"aspect_ratio": enum("16:9"), "resolution": enum("480p", "720p", "1080p")},
            {"aspect_ratio": "16:9", "resolution": "720p"},
            "aspect_ratio 16:9, resolution 720p",
        ),
        ("16:9", {"resolution": enum("480p", "720p")}, {}, "it takes no such size"),
        ("2048x2048", {"resolution": enum("1K", "2K")}, {"resolution": "2K"}, "only how large"),
        ("640x480", {"width": WHOLE, "height": WHOLE}, {"width": 640, "height": 480}, "width 640"),
    ],
)
def test_a_size_goes_in_the_form_that_a_model_takes(
    size: str, properties: dict[str, Any], arguments: dict[str, Any], said: str
):
    mapped = wish.mapped(Wish(size=Size.read(size)), endpoint(**properties))
    assert mapped.arguments == arguments
    assert said in {"size": "", **mapped.given, **mapped.left}["size"]


@pytest.mark.parametrize(
    ("seconds", "properties", "arguments"),
    [
        (5, {"duration": enum("5", "10")}, {"duration": "5"}),
        (7, {"duration": enum("4s", "6s", "8s")}, {"duration": "6s"}),
        (3, {"duration": {"type": "string", "const": "8s"}}, {"duration": "8s"}),
        (99, {"duration": {"type": "integer", "minimum": 1, "maximum": 15}}, {"duration": 15}),
        (2.5, {"music_length_ms": {"type": "integer", "minimum": 3000}}, {"music_length_ms": 3000}),
        (5, {"num_frames": {"type": "integer"}, "fps": {"type": "integer", "default": 24}}, {"num_frames": 121}),
        (5, {"num_frames": {"type": "integer"}}, {}),
    ],
)
def test_a_length_goes_as_seconds_or_frames(seconds: float, properties: dict[str, Any], arguments: dict[str, Any]):
    assert wish.mapped(Wish(seconds=seconds), endpoint(**properties)).arguments == arguments


@pytest.mark.parametrize(
    ("urls", "required", "names", "arguments"),
    [
        (["a"], ["image_url"], ["mask_url", "image_url"], {"image_url": "a"}),
        (["a"], ["image_urls"], ["image_urls"], {"image_urls": ["a"]}),
        (["a", "b"], [], ["image_url", "image_urls"], {"image_urls": ["a", "b"]}),
        (["a", "b"], ["first_frame_url", "last_frame_url"], [], {"first_frame_url": "a", "last_frame_url": "b"}),
        (["a", "b"], ["image_url"], ["end_image_url"], {"image_url": "a"}),
        (["a"], [], ["end_image_url", "mask_image_url"], {}),
    ],
)
def test_files_go_where_their_names_say(urls: list[str], required: list[str], names: list[str], arguments: Any):
    """The first picture is what is worked on; a mask or a last frame is none unless it must be there."""
    schemas = {
        name: {"type": "array", "items": TEXT} if name.endswith("urls") else TEXT for name in [*names, *required]
    }
    mapped = wish.mapped(Wish(files=tuple(("image", url) for url in urls)), endpoint(*required, **schemas))
    assert mapped.arguments == arguments
    taken = sum(len(value) if isinstance(value, list) else 1 for value in arguments.values())  # pyright: ignore
    assert taken == len(urls) or "image" in {**mapped.given, **mapped.left}


def test_what_is_spoken_is_the_text_and_what_is_sung_is_no_prompt():
    spoken = endpoint("text", prompt=TEXT, text=TEXT)
    sung = endpoint("lyrics", prompt=TEXT, lyrics=TEXT)
    assert wish.mapped(Wish(prompt="hello"), spoken).arguments == {"text": "hello"}
    assert wish.mapped(Wish(prompt="a waltz"), sung).arguments == {"prompt": "a waltz"}


def test_what_was_given_for_one_model_alone_is_not_touched():
    mapped = wish.mapped(Wish(prompt="a", seed=1), endpoint(prompt=TEXT, seed={"type": "integer"}), {"seed": 7})
    assert mapped.arguments == {"seed": 7, "prompt": "a"} and "seed" in mapped.left


@given(
    st.builds(
        Wish,
        prompt=st.sampled_from([None, "", "a pier"]),
        files=st.lists(st.tuples(st.sampled_from(["image", "video", "audio"]), st.just(URL)), max_size=3).map(tuple),
        size=st.sampled_from(SIZES).map(Size.read),
        seconds=st.sampled_from([None, 0.1, 5, 3600]),
        seed=st.sampled_from([None, 0, -1, 2**70]),
        count=st.sampled_from([None, 1, 4]),
    ),
    st.dictionaries(
        st.sampled_from(
            ["prompt", "image_size", "aspect_ratio", "resolution", "duration", "seed", "num_images", "fps"]
        ),
        st.sampled_from([TEXT, SIZED, {}, {"enum": []}, {"enum": [None, {}, "16:9"]}, enum(5, 10), {"type": "null"}]),
    ),
)
def test_no_wish_and_no_schema_make_an_argument_that_is_refused(wanted: Wish, properties: dict[str, Any]):
    model = endpoint(**properties)
    assert faults.find(model.input_schema, wish.mapped(wanted, model).arguments) == ()


@pytest.fixture(scope="module")
def by_category() -> dict[str, list[Endpoint]]:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real documents is not beside the checkout")
    found: dict[str, list[Endpoint]] = defaultdict(list)
    for model in Catalog(Folder(CORPUS / "models")).endpoints():
        found[model.category].append(model)
    return {category: models for category, models in found.items() if len(models) >= 5}


@pytest.mark.parametrize("size", ["16:9", "1280x720"])
def test_every_real_model_is_given_the_wish_or_it_is_said_why_not(by_category: dict[str, list[Endpoint]], size: str):
    """Over every category of five models and more: each part of the wish is in the arguments or has its reason, and
    nothing is wrong with the arguments but what is required and was not wished for."""
    wanted = Wish(prompt="a pier at dusk", size=Size.read(size), seed=42)
    count, ready = 0, 0
    for models in by_category.values():
        for model in models:
            mapped = wish.mapped(wanted, model)
            wrong = faults.find(model.input_schema, mapped.arguments)
            assert all("required and missing" in fault.message for fault in wrong), (model.endpoint_id, wrong)
            for part, name in (("prompt", "prompt"), ("seed", "seed")):
                assert part in mapped.left or part in mapped.given or name in mapped.arguments, model.endpoint_id
            assert "size" in mapped.given or mapped.left["size"], model.endpoint_id
            count, ready = count + 1, ready + (not wrong)
    assert len(by_category) >= 15 and count >= 700
    pictures = by_category["text-to-image"]
    whole = [one for one in pictures if not faults.find(one.input_schema, wish.mapped(wanted, one).arguments)]
    sized = [one for one in pictures if "size" in wish.mapped(wanted, one).given]
    assert len(whole) >= 0.9 * len(pictures) <= len(sized)


@pytest.mark.parametrize("size", SIZES)
def test_a_size_reads_as_it_is_written(size: str):
    read = Size.read(size)
    assert str(read) == size and all(side > 0 for side in read.pixels)
    assert list(wished_size.forms(read, {"type": "object"})) == []
