"""A file on its way to fal: read from the disk as it is sent, and never held whole."""

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio.to_thread

from fal_mcp.errors import NotReadable, ServiceFailed

_CHUNK = 256 * 1024

Tell = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be put on fal's CDN. `stream` can be read from any place; `lifetime` is in seconds."""

    stream: BinaryIO
    size: int
    name: str
    content_type: str
    lifetime: int | None = None
    access: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the stream is read: several parts share its place."""


async def _read(upload: Upload, start: int, size: int) -> bytes:
    def read() -> bytes:
        # Parts are read by several threads, and a file has one place: moving there and reading are one step.
        with upload.lock:
            upload.stream.seek(start)
            return upload.stream.read(size)

    try:
        content = await anyio.to_thread.run_sync(read)
    except (OSError, ValueError) as error:
        raise NotReadable(f"{upload.name!r} could not be read while it was sent.") from error
    # The length was promised in a header: a body that is shorter would leave the server waiting, and time out without a
    # reason.
    if len(content) != size:
        raise ServiceFailed("The file changed while it was sent.", retryable=True, hint="Send it again.")
    return content


async def chunks(upload: Upload, start: int, size: int, tell: Tell) -> AsyncGenerator[bytes]:
    """A part of a file, read as it is sent.

    Raises:
        ServiceFailed: the file became shorter meanwhile.
    """
    sent = 0
    while sent < size:
        chunk = await _read(upload, start + sent, min(_CHUNK, size - sent))
        yield chunk
        sent += len(chunk)
        await tell(sent, size)
