"""The files in a model's output: where they are and what they are. Pure.

Most file objects in fal's schemas are a generic `File`; for 413 models only the property's name says that it is a
video. No model of fal's declares a bare address as its output, and some answer with one.
"""

import math
import mimetypes
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from fal_mcp.addresses import host_of, parts_of
from fal_mcp.json_values import JsonMapping, is_list, is_object, number_of, values_in
from fal_mcp.outputs import data_uris
from fal_mcp.outputs.outcome import Kind, Media
from fal_mcp.text import one_line, visible

MOST_FILES = 200
"""Files of one result that are told, shown and saved."""
_ROOM = 100_000
"""Characters of their addresses together."""
_MOST_FOUND = 100_000
_LONGEST_ADDRESS = 4000
_LONGEST_NAME = 200
_LARGEST_COUNT = 10**15
_PLAIN = "!#$%&'()*+,/:;=?@[]~"
"""What stands in an address as it is, besides letters and digits."""
_WEB = re.compile(r"https?://", re.IGNORECASE)
_AROUND = " \t\r\n"
"""What may stand around an address, such as the end of a line that a program printed it on."""
_MESHES = frozenset({"glb", "gltf", "obj", "fbx", "stl", "ply", "usdz", "splat", "blend"})
_ARCHIVES = frozenset({"zip", "tar", "safetensors"})
_BY_TYPE: tuple[Kind, ...] = ("image", "video", "audio", "text")
_BY_NAME: tuple[tuple[Kind, str], ...] = (
    ("3d", r"mesh|glb|3d|model_"),
    ("video", r"video|animation"),
    ("audio", r"audio|speech|music|voice|sound|song"),
    ("image", r"image|mask|texture|frame|thumbnail|depth_map|preview"),
    ("archive", r"archive|zip|lora|config|checkpoint|diffusers"),
)
_OF_FILES = ("url", "urls", "uri", "uris", "href", "src")
"""How the names end under which an address is a file, whatever it looks like."""


def find(output: object) -> tuple[Media, ...]:
    """Every file of `output`, in its order, each address once."""
    files: dict[str, Media] = {}
    for value, name, about in _texts(output):
        url = _file(value, name)
        if url is not None and url not in files:
            is_of_object = any(about.get(key) is value for key in _OF_FILES)
            files[url] = described(
                url, name.rpartition(".")[0] if is_of_object else name, about if is_of_object else {}
            )
            # Far more than is told; only so that a hostile answer ends.
            if len(files) == _MOST_FOUND:
                break
    return tuple(files.values())


def told(media: Sequence[Media]) -> tuple[Media, ...]:
    """Those of the files that an answer tells, shows and saves: the first, as many as it has room for."""
    room = _ROOM
    for number, item in enumerate(media[:MOST_FILES]):
        room -= 0 if item.url.startswith("data:") else len(item.url)
        if room < 0:
            return tuple(media[:number])
    return tuple(media[:MOST_FILES])


def address_of(text: str) -> str | None:
    """The address that a text of an output is, as it can be fetched, or the `data:` URI; None where it is neither.
    Whether the bytes of a `data:` URI can be had is not looked at."""
    begins = text[:9].casefold().lstrip(_AROUND)
    if begins.startswith("data:"):
        plain = text.lstrip(_AROUND)
        return plain if plain.startswith("data:") else f"data:{plain[5:]}"
    if not begins.startswith("http") or len(text) > _LONGEST_ADDRESS:
        return None
    plain = text.strip(_AROUND)
    # An address with something invisible in it is not the one that it seems to be.
    if not _WEB.match(plain) or visible(plain) != plain or not plain.replace(" ", "").isprintable():
        return None
    parts = parts_of(plain)
    if parts is None or not parts.hostname:
        return None
    # What may not stand in an address, such as a space, is written with percent signs; in a host's name they mean
    # nothing to most readers.
    place = plain[len(parts.scheme) + 3 + len(parts.netloc) :]
    return quote(f"{parts.scheme}://{_plain_host(parts.netloc)}{place}", safe=_PLAIN)


def _plain_host(place: str) -> str:
    """A host as the net's directories know it."""
    user, at, rest = place.rpartition("@")
    host, colon, port = rest.partition(":")
    try:
        return place if host.isascii() else f"{user}{at}{host.encode('idna').decode()}{colon}{port}"
    except UnicodeError:
        return place


def oddities(output: object) -> list[str]:
    """What of an output cannot be told as it came, a sentence on each kind."""
    leaves = list(_leaves(output))
    numbers = sum(isinstance(value, float) and not math.isfinite(value) for value in leaves)
    broken = sum(isinstance(value, str) and _is_broken_data(value) for value in leaves)
    numbers_note = f"Numbers of the output that are not finite, and are null here: {numbers}." if numbers else ""
    texts_note = f"Data URIs of the output that cannot be read, and stand there as text: {broken}." if broken else ""
    return [sentence for sentence in (numbers_note, texts_note) if sentence]


def _is_broken_data(text: str) -> bool:
    return text[:5].casefold() == "data:" and ";base64" in text[:300].casefold() and not data_uris.is_one(text)


def _texts(output: object) -> Iterator[tuple[str, str, JsonMapping]]:
    """Each text of an output with its name and the object that it stands in, in order: an object's own address before
    what else is in it. Without recursion: nothing is nested too deep to be found."""
    nothing: JsonMapping = {}
    waiting: list[tuple[Any, str, JsonMapping]] = [(output, "", nothing)]
    while waiting:
        value, name, about = waiting.pop()
        if isinstance(value, str):
            yield value, name, about
        elif is_object(value):
            item = value
            parts = [(part, f"{name}.{key}"[-_LONGEST_NAME:].lstrip("."), item) for key, part in item.items()]
            # So that an object's size and type are told of its own address, and not of the thumbnail beside it.
            parts.sort(key=lambda part: part[0] is not item.get("url"))
            waiting += reversed(parts)
        elif is_list(value):
            waiting += [(part, name, nothing) for part in reversed(value)]


def _leaves(output: object) -> Iterator[Any]:
    waiting: list[Any] = [output]
    while waiting:
        value = waiting.pop()
        if is_object(value) or is_list(value):
            waiting += values_in(value)
        else:
            yield value


def _file(value: str, name: str) -> str | None:
    """Bytes under any name are a file; an address is one where its name, its host or its ending says so."""
    url = address_of(value)
    if url is None:
        return None
    if url.startswith("data:"):
        return url if data_uris.is_one(url) else None
    # A prompt that names a picture by its address is the caller's own words come back.
    is_told = name.rpartition(".")[2] != "prompt" and (name.endswith(_OF_FILES) or _looks_like_one(url))
    return url if is_told else None


def _looks_like_one(url: str) -> bool:
    host = host_of(url)
    return host == "fal.media" or host.endswith(".fal.media") or _kind_of_ending(url) is not None


def _kind_of_ending(url: str) -> Kind | None:
    ending = _ending(url)
    if ending in _MESHES:
        return "3d"
    if ending in _ARCHIVES:
        return "archive"
    content_type = mimetypes.guess_type(f"a.{ending}")[0] or ""
    return next((kind for kind in ("image", "video", "audio") if content_type.startswith(f"{kind}/")), None)


def _ending(url: str) -> str:
    parts = None if url.startswith("data:") else parts_of(url)
    last = parts.path.rpartition("/")[2] if parts else ""
    return last.rpartition(".")[2].casefold()[:20] if "." in last else ""


def described(url: str, name: str, about: JsonMapping) -> Media:
    """The file at `url`, which stands under `name`, by what the object around it says."""
    content_type = about.get("content_type")
    known_type = one_line(content_type, 100) if isinstance(content_type, str) and content_type else _guess(url)
    return Media(
        url=url,
        kind=_kind(url, name, known_type),
        content_type=known_type or None,
        width=_count(about.get("width")),
        height=_count(about.get("height")),
        size=_count(about.get("file_size")),
    )


def _guess(url: str) -> str | None:
    if url.startswith("data:"):
        return data_uris.content_type(url)
    ending = _ending(url)
    return mimetypes.guess_type(f"a.{ending}")[0] if ending else None


def _kind(url: str, name: str, content_type: str | None) -> Kind:
    ending = _ending(url)
    if ending in _MESHES or (content_type or "").startswith("model/"):
        return "3d"
    for kind in _BY_TYPE:
        if (content_type or "").casefold().startswith(f"{kind}/"):
            return kind
    if ending in _ARCHIVES:
        return "archive"
    # In this order: `video_frame_audio` is a film, and `mask_video` is no mask.
    for kind, words in _BY_NAME:
        if re.search(words, name):
            return kind
    return "file"


def _count(value: object) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and 0 < number <= _LARGEST_COUNT else None
