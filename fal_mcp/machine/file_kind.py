"""What a file is, by its bytes and its name."""

import mimetypes
from typing import Any, cast

_SYNC, _PACKET = b"G", 188
"""A transport stream begins each of its packets so. By its ending alone it would be a translator's file."""


def sniffed(head: bytes, name: str) -> str:
    """What a file is, by its bytes, and by its name where those say nothing."""
    # Not before there is a file: its classes take half a megabyte of each server.
    import filetype  # pyright: ignore[reportMissingTypeStubs]

    kind = cast(str | None, cast(Any, filetype).guess_mime(head))
    if kind is None and name.lower().endswith(".ts") and head[:1] == _SYNC == head[_PACKET : _PACKET + 1]:
        return "video/mp2t"
    return kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
