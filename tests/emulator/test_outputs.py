"""What the emulator answers fits the model's schema, and its files open."""

import io
import json
import struct
import wave
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from PIL import Image
from referencing.jsonschema import DRAFT202012

from fal_mcp import bundled
from fal_mcp.emulator.documents import Document, Documents
from fal_mcp.emulator.outputs import Output

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "models"
STARTER = bundled.schemas() / "models"


def faults(document: Document, value: Any) -> list[str]:
    """What the model's own schema has against `value`."""
    whole: Any = referencing.Resource.from_contents(document.content, default_specification=DRAFT202012)
    registry: Any = referencing.Registry[Any]().with_resource("urn:m", whole)
    schema = json.loads(json.dumps(document.output).replace('"#/', '"urn:m#/'))
    validator: Any = jsonschema.Draft202012Validator(schema, registry=registry)
    errors: list[Any] = list(validator.iter_errors(value))
    return [f"{document.endpoint_id} {error.json_path}: {error.message[:80]}" for error in errors]


def all_faults(folder: Path) -> list[str]:
    known = Documents([folder])
    return [
        fault
        for one in known.ids
        if (document := known.get(one))
        for fault in faults(document, Output(document, {"prompt": "x"}, "http://c").value())
    ]


def test_every_output_of_the_starter_catalog_fits_its_schema():
    assert all_faults(STARTER) == []


def test_every_output_of_the_corpus_fits_its_schema():
    if not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not here.")
    assert all_faults(CORPUS) == []


def made(endpoint_id: str, **arguments: Any) -> bytes:
    """The first file of a run."""
    document = Documents([STARTER]).get(endpoint_id)
    assert document is not None
    output = Output(document, {"prompt": "a pier", "text": "a pier", **arguments}, "http://c")
    output.value()
    return next(iter(output.files.values())).make()


@pytest.mark.parametrize(("kind", "magic"), [("png", "PNG"), ("jpeg", "JPEG")])
def test_a_picture_has_the_size_and_format_asked_for(kind: str, magic: str):
    picture = made("fal-ai/flux/dev", image_size={"width": 320, "height": 200}, output_format=kind)
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == magic and image.size == (320, 200)


def test_seeds_make_different_pictures_and_the_same_seed_the_same():
    one, same, other = (made("fal-ai/flux/dev", image_size="square", seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_speech_is_a_wav():
    with wave.open(io.BytesIO(made("fal-ai/inworld-tts"))) as sound:
        assert sound.getframerate() == 22_050 and sound.getnframes() > 2_000


def test_a_video_is_an_mp4_whose_table_points_at_its_samples():
    film = made("fal-ai/veo3")
    boxes: dict[bytes, int] = {}
    at = 0
    while at < len(film):
        size, kind = struct.unpack(">I4s", film[at : at + 8])
        boxes[kind] = at
        at += size
    assert list(boxes) == [b"ftyp", b"moov", b"mdat"] and at == len(film)
    stco = film.index(b"stco")
    assert struct.unpack(">I", film[stco + 12 : stco + 16])[0] == boxes[b"mdat"] + 8


def test_a_mesh_is_a_glb_of_its_stated_length():
    mesh = made("fal-ai/triposr", image_url="https://example.com/a.png")
    assert mesh[:4] == b"glTF" and struct.unpack("<I", mesh[8:12])[0] == len(mesh)
