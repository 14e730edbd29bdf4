"""What a file argument takes is what its document shows; its name no more than hints."""

import json
import mimetypes
from typing import Any

import pytest

from fal_mcp import bundled
from fal_mcp.catalog import file_arguments, reader
from fal_mcp.catalog.catalog import Catalog
from fal_mcp.catalog.source import Folder
from fal_mcp.json_values import list_of, object_of
from tests.documents import CORPUS, document

FOLDER = CORPUS / "models" if CORPUS.is_dir() else bundled.schemas() / "models"
MORE = {".ts": "video/mp2t", ".m4v": "video/mp4", ".webp": "image/webp", ".avif": "image/avif"}


def of(name: str, **part: Any) -> tuple[str, tuple[str, ...]]:
    """The kind and the media types of an argument that is described like this."""
    whole = document("a/b", {"type": "object", "properties": {name: {"type": "string", **part}}})
    (argument,) = reader.endpoint(whole).files
    return argument.kind, argument.accepts


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for part in [*object_of(value).values(), *list_of(value)] for text in texts(part)]


def test_every_file_that_a_document_shows_is_one_that_its_argument_takes():
    """All real documents: examples and defaults of every argument that is a file, nested ones included."""
    looked_at, refused = 0, list[str]()
    catalog = Catalog(Folder(FOLDER))
    for endpoint in catalog.endpoints():
        file = FOLDER / f"{endpoint.endpoint_id.replace('/', '__')}.json"
        components = json.loads(file.read_text("utf-8"))["components"]["schemas"]
        for argument in endpoint.files:
            name = next(step for step in reversed(argument.path) if step != "[]")
            shown = [
                text
                for component in components.values()
                for text in texts(
                    [component.get("properties", {}).get(name, {}).get(k) for k in ("examples", "default")]
                )
            ]
            # The components of an output may have a property of the same name: those of the input are meant.
            if len(argument.path) > 1:
                continue
            for text in shown:
                ending = "." + text.partition("?")[0].rpartition(".")[2].lower()
                media_type = MORE.get(ending) or mimetypes.types_map.get(ending)
                if media_type is None or not text.startswith("http"):
                    continue
                looked_at += 1
                if argument.accepts and not media_type.startswith(argument.accepts):
                    refused.append(f"{endpoint.endpoint_id} {name}: {text}")
    assert refused == []
    assert looked_at > 400 or FOLDER != CORPUS / "models"


@pytest.mark.parametrize(
    ("name", "part", "kind", "accepts"),
    [
        ("video_url", {}, "video", ()),
        ("video_url", {"examples": ["https://e.x/a.mp4"]}, "video", ("video/",)),
        ("video_url", {"examples": ["https://e.x/a.gif"]}, "video", ("video/", "image/gif")),
        ("video_url", {"examples": ["https://e.x/a.mp4", "https://e.x/a.GIF?x=1"]}, "video", ("video/", "image/gif")),
        ("image_url", {"examples": ["https://e.x/a.mp4"]}, "image", ("image/", "video/")),
        ("image_url", {"default": "https://e.x/a.png"}, "image", ("image/",)),
        ("image_url", {"examples": ["data:image/png;base64,AAAA"]}, "image", ("image/",)),
        ("audio_url", {"examples": ["https://e.x/a.wav"]}, "audio", ("audio/", "video/")),
        ("media_url", {"examples": ["https://e.x/a.png"]}, "image", ("image/",)),
        # What cannot be read, or is none of the three, says that more may be taken than is known.
        ("image_url", {"examples": ["https://e.x/a.png", "https://e.x/all.zip"]}, "image", ()),
        ("image_url", {"examples": ["https://e.x/picture"]}, "image", ()),
        ("image_url", {"examples": ["https://[x/a.png", 7, None, {"a": [1e999]}]}, "image", ()),
        ("image_url", {"ui": {"field": "image"}}, "image", ("image/",)),
        ("file_url", {"_fal_ui_field": "video"}, "video", ("video/",)),
        # The last word is what it is; those before say of what, and vague ones come after plain ones.
        ("face_video_url", {}, "video", ()),
        ("video_mask_image_url", {}, "image", ()),
        ("image_video_url", {}, "video", ()),
        ("music_video_url", {}, "video", ()),
        ("voice_image_url", {}, "image", ()),
        ("face_url", {}, "image", ()),
        ("voice_url", {}, "audio", ()),
        ("images_data_url", {}, "archive", ()),
        ("frames_zip_url", {}, "archive", ()),
        ("mesh_url", {}, "3d", ()),
        ("config_url", {}, "file", ()),
    ],
)
def test_what_is_shown_or_marked_decides_and_a_name_hints(name: str, part: Any, kind: str, accepts: tuple[str, ...]):
    assert of(name, **part) == (kind, accepts)


def test_the_address_inside_a_file_is_of_the_kind_of_what_holds_it():
    schema = {"type": "object", "properties": {"video": {"type": "object", "properties": {"url": {"type": "string"}}}}}
    (argument,) = file_arguments.find(schema, {})
    assert (argument.path, argument.kind) == (("video", "url"), "video")


def test_a_name_that_an_example_shows_is_an_argument():
    part = {
        "type": "object",
        "properties": {"url": {"type": "string"}},
        "examples": [{"url": "https://e.x/a", "kind": "rgb"}],
    }
    whole = document("a/b", {"type": "object", "properties": {"video": part}})
    assert list(reader.endpoint(whole).input_schema["properties"]["video"]["properties"]) == ["url", "kind"]
