"""What a file is, by its bytes and its name."""

import mimetypes
from typing import Any, cast

import filetype  # pyright: ignore[reportMissingTypeStubs]


def sniffed(head: bytes, name: str) -> str:
    """What a file is, by its bytes, and by its name where those say nothing."""
    told = cast(str | None, cast(Any, filetype).guess_mime(head))
    return told or mimetypes.guess_type(name)[0] or "application/octet-stream"
