"""Whether a local file is what an argument takes: its size, its kind and its pixels, from its first bytes alone.

A kind that only a name suggests is worth a warning; a kind that the document shows, a size and pixels are worth a
refusal.
"""

import io
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from fal_mcp.catalog.endpoint import FileArgument
from fal_mcp.json_values import number_of, object_of
from fal_mcp.machine import file_kind
from fal_mcp.machine.readable import LocalFile
from fal_mcp.openapi.schema import Schema
from fal_mcp.outputs import data_uris, pictures
from fal_mcp.text import one_line

HEAD = 8192
"""Bytes that say what a file is."""
KINDS = {"image": ("image/",), "video": ("video/", "image/gif", "image/webp"), "audio": ("audio/", "video/")}
_UNKNOWN = "application/octet-stream"
_BASE64 = re.compile(r"[A-Za-z0-9+/_%-]*={0,2}")
_PIXEL_BOUNDS = ("min_width", "max_width", "min_height", "max_height")


def head_of(file: LocalFile) -> bytes:
    """The beginning of an open file."""
    file.stream.seek(0)
    return file.stream.read(HEAD)


def fault(file: LocalFile, argument: FileArgument, part: Schema) -> str | None:
    """Why the argument does not take the file; None where nothing is certain to be wrong."""
    return _size_fault(file, part) or _kind(file, argument, argument.accepts) or _pixels(file, part)


def address_fault(value: str, argument: FileArgument) -> str | None:
    """Why an address, or a file inside the argument, cannot be what fal fetches; None where only fal can tell."""
    text = value.strip()
    if not text:
        return "It is empty. Leave it out, or give a file."
    if text[:5].casefold() == "data:":
        return _data_fault(text, argument)
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    return None if is_whole else f"{one_line(text, 120)!r} is no whole address."


def _data_fault(text: str, argument: FileArgument) -> str | None:
    head, comma, content = text.partition(",")
    if not comma or not content:
        return "It is a data: URI without a file in it."
    # Ends that were cut off are what goes wrong; what is between them is fal's to read.
    if head.casefold().endswith(";base64") and not _BASE64.fullmatch(content[-4:].rstrip()):
        return "Its data: URI is not whole: what is in it is no base64."
    return _other_kind("Its data: URI", _inline_kind(text), argument, argument.accepts)


def _inline_kind(text: str) -> str:
    """What a file inside the argument is: by its bytes, and by what is said of it where those say nothing."""
    about, _, body = text.partition(",")
    # Cut at a whole group of base64, wherever its lines were broken.
    beginning = f"{about},{''.join(body[: 2 * HEAD].split())[:HEAD]}"
    kind = file_kind.sniffed(data_uris.content(beginning, len(beginning)) or b"", "")
    return (data_uris.content_type(text) or _UNKNOWN) if kind == _UNKNOWN else kind


def doubt(file: LocalFile, argument: FileArgument) -> str | None:
    """What may be wrong with the file's kind, where only the argument's name says what it takes."""
    return None if argument.accepts else _kind(file, argument, KINDS.get(argument.kind, ()))


def _size_fault(file: LocalFile, part: Schema) -> str | None:
    about = object_of(part.get("x-fal"))
    # fal's documents have it in either place.
    most = number_of(about.get("max_file_size")) or number_of(part.get("max_file_size"))
    if most is not None and file.size > most:
        return f"{_name(file)} has {file.size:,} bytes; at most {most:,.0f} are allowed."
    return None


def _kind(file: LocalFile, argument: FileArgument, wanted: tuple[str, ...]) -> str | None:
    return _other_kind(_name(file), file_kind.sniffed(head_of(file), file.name), argument, wanted)


def _other_kind(name: str, kind: str, argument: FileArgument, wanted: tuple[str, ...]) -> str | None:
    # What no one recognises may be a format that the model knows: fal decides.
    if not wanted or kind.startswith(wanted) or kind == _UNKNOWN:
        return None
    return f"{name} is {one_line(kind, 80)}, and this takes a file of the kind {argument.kind!r}."


def _pixels(file: LocalFile, part: Schema) -> str | None:
    bounds = {**part, **object_of(part.get("x-fal"))}
    known = {name: bound for name in _PIXEL_BOUNDS if (bound := number_of(bounds.get(name))) is not None}
    size = _picture_size(file) if known else None
    return _pixel_fault(file, known, size) if size else None


def _pixel_fault(file: LocalFile, known: Mapping[str, float], size: tuple[int, int]) -> str | None:
    for name, bound in known.items():
        value = size[0] if name.endswith("width") else size[1]
        if value < bound if name.startswith("min") else value > bound:
            least = "at least" if name.startswith("min") else "at most"
            return f"{_name(file)} is {size[0]}x{size[1]} pixels; its {name[4:]} must be {least} {bound:.0f}."
    return None


def _picture_size(file: LocalFile) -> tuple[int, int] | None:
    file.stream.seek(0)
    try:
        return pictures.size_of(io.BufferedReader(cast(Any, _Unclosed(file.stream))))
    except (pictures.NotAPicture, OSError):
        # Whatever a decoder has against the header, fal will say it better.
        return None


def _name(file: LocalFile) -> str:
    return repr(one_line(file.name, 120))


class _Unclosed(io.RawIOBase):
    """A view of an open file that a reader may close without closing the file."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())
