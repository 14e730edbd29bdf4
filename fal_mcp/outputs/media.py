"""The files in a model's output: where they are and what they are. Pure.

Most file objects in fal's schemas are a generic `File`; for 413 models only the property's name says that it is a
video (facts/fal-model-documents, item 13).
"""

import mimetypes
import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from fal_mcp.outputs.outcome import Kind, Media
from fal_mcp.text import one_line, visible

MOST_FILES = 200
"""Files of one result that are told, shown and saved."""
_MOST_FOUND = 100_000
_MOST_DEPTH = 12
_URL = re.compile(r"(?:https?://[^\s<>\"\\^`{|}]+|data:[\w.+-]+/[\w.+-]+[;,].*)", re.DOTALL)
_MESHES = frozenset({"glb", "gltf", "obj", "fbx", "stl", "ply", "usdz", "splat", "blend"})
_BY_TYPE: tuple[Kind, ...] = ("image", "video", "audio", "text")
_BY_NAME: tuple[tuple[Kind, str], ...] = (
    ("3d", r"mesh|glb|3d|model_"),
    ("video", r"video|animation"),
    ("audio", r"audio|speech|music|voice|sound|song"),
    ("image", r"image|mask|texture|frame|thumbnail|depth_map|preview"),
    ("archive", r"archive|zip|lora|config|checkpoint|diffusers"),
)


def find(output: Any) -> tuple[Media, ...]:
    """Every file of `output`, in its order, each address once."""
    found: dict[str, Media] = {}
    for media in _in_value(output, "", 0):
        found.setdefault(media.url, media)
        if len(found) == _MOST_FOUND:
            break
    return tuple(found.values())


def _in_value(value: Any, name: str, depth: int) -> Iterator[Media]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, dict):
        yield from _in_object(cast(dict[str, Any], value), name, depth)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _in_value(item, name, depth + 1)
    elif isinstance(value, str) and _is_file(value, name):
        yield described(value, name, {})


def _is_file(value: str, name: str) -> bool:
    # Bytes under any name are a file; an address is one where the name says so.
    return (value.startswith("data:") or name.endswith(("url", "urls", "_uri"))) and _is_address(value)


def _is_address(value: str) -> bool:
    # An address with something invisible in it is not the one that it seems to be.
    return bool(_URL.fullmatch(value)) and (value.startswith("data:") or visible(value) == value)


def _in_object(value: dict[str, Any], name: str, depth: int) -> Iterator[Media]:
    url = value.get("url")
    if isinstance(url, str) and _is_address(url):
        yield described(url, name, value)
    for key, item in value.items():
        if key != "url":
            yield from _in_value(item, f"{name}.{key}" if name else key, depth + 1)


def described(url: str, name: str, about: dict[str, Any]) -> Media:
    """The file at `url`, which stands under `name`, by what the object around it says."""
    content_type = about.get("content_type")
    told = one_line(content_type, 100) if isinstance(content_type, str) and content_type else _guess(url)
    return Media(
        url=url,
        kind=_kind(url, name, told),
        content_type=told,
        width=_count(about.get("width")),
        height=_count(about.get("height")),
        size=_count(about.get("file_size")),
    )


def _guess(url: str) -> str | None:
    if url.startswith("data:"):
        return re.split(r"[;,]", url[5:200], maxsplit=1)[0]
    return mimetypes.guess_type(urlsplit(url).path)[0]


def _kind(url: str, name: str, content_type: str | None) -> Kind:
    ending = urlsplit(url[:2000]).path.rsplit(".", 1)[-1].casefold()
    if ending in _MESHES or (content_type or "").startswith("model/"):
        return "3d"
    for kind in _BY_TYPE:
        if (content_type or "").startswith(f"{kind}/"):
            return kind
    if ending in {"zip", "tar", "safetensors"}:
        return "archive"
    for kind, words in _BY_NAME:
        if re.search(words, name):
            return kind
    return "file"


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
