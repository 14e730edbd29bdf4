"""The ending of a file's name, by what the file is. What an address or an answer says of it only decides between
kinds that no program runs. Pure.
"""

import re

from fal_mcp.addresses import parts_of
from fal_mcp.machine.file_kind import sniffed
from fal_mcp.outputs.outcome import Media

HEAD = 8192
"""Bytes from a file's beginning that tell what it is."""
_BY_TYPE = {
    **{"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif", "image/bmp": ".bmp"},
    **{"image/tiff": ".tif", "image/avif": ".avif", "image/heic": ".heic", "image/jxl": ".jxl", "image/jpx": ".jp2"},
    **{"image/vnd.adobe.photoshop": ".psd", "image/x-icon": ".ico", "image/apng": ".png", "image/dicom": ".dcm"},
    **{"video/mp4": ".mp4", "video/webm": ".webm", "video/quicktime": ".mov", "video/x-matroska": ".mkv"},
    **{"video/x-msvideo": ".avi", "video/x-m4v": ".m4v", "video/mpeg": ".mpg", "video/3gpp": ".3gp"},
    **{"video/x-flv": ".flv", "video/x-ms-wmv": ".wmv"},
    **{"audio/mpeg": ".mp3", "audio/x-wav": ".wav", "audio/wav": ".wav", "audio/ogg": ".ogg", "audio/flac": ".flac"},
    **{"audio/x-flac": ".flac", "audio/aac": ".aac", "audio/mp4": ".m4a", "audio/midi": ".mid", "audio/x-aiff": ".aif"},
    **{"audio/amr": ".amr", "audio/pcm": ".pcm", "audio/opus": ".opus", "model/gltf-binary": ".glb"},
    **{"application/zip": ".zip", "application/gzip": ".gz", "application/x-tar": ".tar", "application/pdf": ".pdf"},
    **{"application/x-7z-compressed": ".7z", "application/x-bzip2": ".bz2", "application/x-xz": ".xz"},
    **{"application/zstd": ".zst", "application/epub+zip": ".epub"},
}
_OF_BINARIES = frozenset(
    "3dm 3ds 3mf aac aif amr bin blend ckpt dae exr fbx glb hdr ktx2 ksplat lora m4a mid mp3 npy npz onnx opus pcm ply "
    "pt safetensors spz splat stl usd usda usdc usdz vrm wav".split()
)
_OF_TEXTS = frozenset("ass csv dae gltf json jsonl log lrc mtl obj ply srt stl sub tsv ttml txt usda vtt yaml".split())
_TEXT_TYPES = {"text/csv": ".csv", "text/vtt": ".vtt", "application/json": ".json", "application/x-subrip": ".srt"}
_PROGRAMS = (b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa", b"#!")
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<meta")
_DRAWINGS = (b"<svg", b"<!doctype svg")
_PROLOGUES = ((b"<!--", b"-->"), (b"<?xml", b"?>"))
# More than runs is caught: a drawing with the word in a text loses its ending and nothing else.
_ACTIVE = re.compile(rb"<(?:\w+:)?(?:script|foreignobject|iframe|handler)\b|\bon\w+\s*=|javascript:|<!entity", re.I)


def of(head: bytes, item: Media) -> str:
    """The ending for a file that begins with `head`. A program, a script or a page gets one that nothing runs."""
    # Before all else: what an answer calls a picture may be a program, and a double click would run it.
    if head.startswith(_PROGRAMS):
        return ".txt" if _is_text(head) else ".bin"
    # By its bytes before its name: files are often called something else than they are.
    known = _BY_TYPE.get(sniffed(head, ""))
    if known is not None:
        return known
    if is_drawing(head):
        return ".svg"
    named_ending = _said(item)
    if head and _is_text(head):
        return _of_text(head, named_ending, item)
    # None of these is a program, and for what has no mark of its own the address is all there is.
    if named_ending in _OF_BINARIES:
        return f".{named_ending}"
    declared = "" if head else _BY_TYPE.get(item.content_type or "", "")
    return declared or _headless(head, item)


def is_page(head: bytes) -> bool:
    """Whether a file is a web page."""
    return _markup(head).startswith(_PAGES)


def is_drawing(head: bytes) -> bool:
    """Whether a file begins as SVG does."""
    return _markup(head).startswith(_DRAWINGS)


def is_active(content: bytes) -> bool:
    """Whether a drawing holds anything that runs where it is opened."""
    return bool(_ACTIVE.search(content))


def _markup(head: bytes) -> bytes:
    """Where the first element begins, in small letters."""
    rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    while ends := next((end for start, end in _PROLOGUES if rest.startswith(start)), None):
        rest = rest.partition(ends)[2].lstrip()
    return rest


def _of_text(head: bytes, named_ending: str, item: Media) -> str:
    # A page that is opened from a disk may read what lies beside it.
    if is_page(head):
        return ".txt"
    if named_ending in _OF_TEXTS:
        return f".{named_ending}"
    if item.content_type in _TEXT_TYPES:
        return _TEXT_TYPES[item.content_type]
    return ".json" if head.lstrip()[:1] in (b"{", b"[") else ".txt"


def _headless(head: bytes, item: Media) -> str:
    """Formats without a mark of their own, such as raw sound, by what is said of them."""
    if head and item.kind in ("audio", "video") and item.content_type in _BY_TYPE:
        return _BY_TYPE[item.content_type]
    return ".bin"


def _said(item: Media) -> str:
    """The ending in the file's address, in small letters and without its dot."""
    parts = None if item.url.startswith("data:") else parts_of(item.url)
    last = parts.path.rpartition("/")[2] if parts else ""
    return last.rpartition(".")[2].casefold() if "." in last else ""


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The beginning may end within a character.
        return len(head) == HEAD and error.start >= len(head) - 3
    return True
