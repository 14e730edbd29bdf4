"""What a model answers: a value that fits its output schema, with files that can be opened.

Names, constants and the model's category say what kind of file stands where; fal's own documents call most of them
just `File`.
"""

import functools
import math
import re
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from fal_mcp.emulator import meshes, mp4, pictures, sounds
from fal_mcp.emulator.documents import Document
from fal_mcp.json_values import JsonObject, is_list, is_object

_MOST_DEPTH = 8
_MOST_ITEMS = 8
_SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
_KINDS = (
    ("mesh", r"mesh|glb|model_|(^|_)3d|obj|gaussian|splat"),
    ("video", r"video|animation"),
    ("audio", r"audio|speech|music|voice|sound|song|stem|vocals"),
    ("image", r"image|mask|texture|frame|thumbnail|depth|preview|picture|photo"),
)
_TYPES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "audio/wav": "wav",
    "model/gltf-binary": "glb",
    "application/octet-stream": "bin",
}
_SENTENCE = "The emulator made this up, so that there is something to read."


@dataclass(frozen=True, slots=True)
class Made:
    """A file to be put on the CDN, drawn when it is first fetched."""

    name: str
    content_type: str
    make: Callable[[], bytes]


class Output:
    """One run's output. `files` holds what `value` refers to, by its path on the CDN."""

    def __init__(self, document: Document, arguments: JsonObject, cdn: str) -> None:
        self.files: dict[str, Made] = {}
        self._document = document
        self._arguments = arguments
        self._cdn = cdn
        self._text = str(arguments.get("prompt") or arguments.get("text") or document.endpoint_id)
        seed = arguments.get("seed")
        # Without a seed it is drawn from the prompt, so that a test sees the same picture every time.
        self._seed = seed if isinstance(seed, int) else zlib.crc32(self._text.encode()) % 1_000_000

    def value(self) -> JsonObject:
        """The output. A schema that says nothing gives an empty object."""
        made = self._of(self._document.output, "", 0)
        return made if is_object(made) else {"output": made}

    def _of(self, schema: object, name: str, depth: int) -> Any:
        part = self._plain(schema)
        if "const" in part:
            return part["const"]
        if "enum" in part:
            return part["enum"][0]
        # A schema may hold itself.
        if depth > _MOST_DEPTH:
            return None
        match _type(part):
            case "object":
                return self._object(part, name, depth)
            case "array":
                return self._array(part, name, depth)
            case "string":
                return self._string(part, name)
            case "integer" | "number" as kind:
                return self._number(part, name, kind)
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return {}

    def _plain(self, schema: object) -> JsonObject:
        part = self._document.resolve(schema) if is_object(schema) else {}
        for word in ("anyOf", "oneOf", "allOf"):
            options = [self._plain(option) for option in part.get(word, ())]
            if options:
                # A real run fills in what may be null more often than not.
                return next((one for one in options if one.get("type") != "null"), options[0])
        return part

    def _object(self, schema: JsonObject, name: str, depth: int) -> JsonObject:
        properties: JsonObject = schema.get("properties", {})
        if "url" in properties:
            return self._file(schema, name)
        if not properties:
            more = schema.get("additionalProperties")
            return {"inference": self._of(more, "inference", depth + 1)} if is_object(more) else {}
        wanted = set(schema.get("required", ()))
        return {
            key: self._of(part, key if _kind(key) else f"{name}_{key}", depth + 1)
            for key, part in properties.items()
            if key in wanted or self._is_telling(key, part)
        }

    def _is_telling(self, key: str, part: object) -> bool:
        """Whether an optional property is one that a real run fills in."""
        plain = self._plain(part)
        inner = self._plain(plain.get("items", {}))
        return key in {"seed", "prompt", "text", "output"} or "url" in {**plain, **inner}.get("properties", {})

    def _array(self, schema: JsonObject, name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self._of(item, name, depth + 1) for item in schema["prefixItems"]]
        least, most = schema.get("minItems", 1), schema.get("maxItems", _MOST_ITEMS)
        # As many pictures as were asked for: a client is to show all of them, and to be billed for all.
        count = min(max(self._asked() if "image" in name else 1, least), most)
        return [self._of(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _asked(self) -> int:
        """How many pictures: some models make several of each."""
        counts = [self._arguments.get(name) for name in ("num_images", "max_images")]
        return math.prod(count for count in counts if isinstance(count, int))

    def _string(self, schema: JsonObject, name: str) -> str:
        if re.search(r"(^|_)ur[il]s?$", name):
            return self._file({"properties": {"url": {}}}, name)["url"]
        if name.endswith("prompt"):
            return self._text
        text = "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else _SENTENCE
        return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), ".")

    def _number(self, schema: JsonObject, name: str, kind: str) -> float:
        if name.endswith("seed"):
            return self._seed
        low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
        value = low + 1 if low is not None else 1
        value = min(value, high) if high is not None else value
        return int(value) if kind == "integer" else float(value)

    def _file(self, schema: JsonObject, name: str) -> JsonObject:
        properties: JsonObject = schema.get("properties", {})
        content_type = self._content_type(properties, name)
        width, height = self._size() if content_type.startswith("image/") else (mp4.WIDTH, mp4.HEIGHT)
        number = len(self.files)
        draw = functools.partial(_draw, content_type, self._text, self._seed + number, width, height)
        made = Made(f"{_kind(name) or 'file'}-{number + 1}.{_TYPES[content_type]}", content_type, functools.cache(draw))
        path = f"/files/b/{uuid.uuid4().hex[:8]}/{made.name}"
        self.files[path] = made
        about: JsonObject = {"url": f"{self._cdn}{path}", "content_type": content_type, "file_name": made.name}
        about |= {"width": width, "height": height}
        # The size is known only once the file is drawn, which otherwise waits until somebody fetches it.
        if "file_size" in schema.get("required", ()):
            about["file_size"] = len(made.make())
        rest = [key for key in schema.get("required", ()) if key not in about]
        return {key: about[key] for key in properties if key in about} | {
            key: self._of(properties.get(key), key, _MOST_DEPTH - 2) for key in rest
        }

    def _content_type(self, properties: JsonObject, name: str) -> str:
        declared = self._plain(properties.get("content_type", {}))
        fixed: Any = declared.get("const") or next(iter(declared.get("enum", ())), None)
        if fixed in _TYPES:
            return fixed
        kind = _kind(name) or _kind(self._document.metadata.get("category", "").rsplit("to-", 1)[-1])
        match kind:
            case "video":
                return "video/mp4"
            case "audio":
                return "audio/wav"
            case "mesh":
                return "model/gltf-binary"
            case "image":
                return self._image_type()
            case _:
                return "application/octet-stream"

    def _image_type(self) -> str:
        match self._arguments.get("output_format"):
            case "jpeg" | "jpg":
                return "image/jpeg"
            case "webp":
                return "image/webp"
            case _:
                return "image/png"

    def _size(self) -> tuple[int, int]:
        size = self._arguments.get("image_size")
        sides = size if is_object(size) else self._arguments
        width, height = sides.get("width"), sides.get("height")
        if isinstance(width, int) and isinstance(height, int):
            # Whatever was asked for, drawing it must not take all memory.
            return min(max(width, 16), 4096), min(max(height, 16), 4096)
        return _SIZES.get(size if isinstance(size, str) else "", _SIZES["landscape_4_3"])


def _type(schema: JsonObject) -> str | None:
    kind = schema.get("type")
    if is_list(kind):
        return next((one for one in cast(list[str], kind) if one != "null"), "null")
    return kind or ("object" if "properties" in schema else "array" if "items" in schema else None)


def _kind(name: str) -> str | None:
    return next((kind for kind, words in _KINDS if re.search(words, name.casefold())), None)


def _draw(content_type: str, text: str, seed: int, width: int, height: int) -> bytes:
    match content_type:
        case "image/png" | "image/jpeg" | "image/webp":
            return pictures.encoded(text, seed, width, height, content_type)
        case "video/mp4":
            return mp4.movie(text, seed)
        case "audio/wav":
            return sounds.tune(text, seed)
        case "model/gltf-binary":
            return meshes.gem(seed)
        case _:
            return f"{text}\n".encode()
