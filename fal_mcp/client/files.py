"""A caller's files on their way to fal and back, by path or as bytes. Which may be read is for others to say."""

import io
import mimetypes
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

from fal_mcp.client.media import MediaFiles
from fal_mcp.client.storage import LARGE, Parts, Storage, Upload
from fal_mcp.errors import NotReadable, NotWritable

_UNKNOWN = "application/octet-stream"


async def uploaded(
    storage: Storage,
    file: str | os.PathLike[str] | bytes,
    *,
    name: str | None,
    content_type: str | None,
    lifetime: int | None,
) -> str:
    """Put a file on fal's CDN, in parts where it is large; its URL.

    Raises:
        NotReadable: there is no such file, or it cannot be read.
        FalError: it could not be put there, after retries.
    """
    name = name or ("file" if isinstance(file, bytes) else Path(file).name)
    stream, size = (io.BytesIO(file), len(file)) if isinstance(file, bytes) else await _opened(Path(file))
    with stream:
        upload = Upload(stream, size, name, content_type or mimetypes.guess_type(name)[0] or _UNKNOWN, lifetime)
        if size < LARGE:
            return await storage.put(upload, _nobody)
        return await storage.put_parts(upload, await storage.begin_parts(upload), _nobody, _not_kept)


async def downloaded(media: MediaFiles, url: str, path: Path) -> Path:
    """Save a file of fal's CDN, beside its place until it is whole.

    Raises:
        NotWritable: it cannot be written there.
        FalError: it could not be had, after retries.
    """
    unfinished = anyio.Path(path.parent, f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        async with await anyio.open_file(unfinished, "wb") as file:

            async def take(piece: bytes) -> None:
                await file.write(piece)

            await media.each(url, take)
        await unfinished.replace(path)
    except (OSError, ValueError) as error:
        raise NotWritable(f"{str(path)!r} cannot be written: {_why(error)}.", hint="Name another path.") from error
    finally:
        with anyio.CancelScope(shield=True), suppress(OSError, ValueError):
            await unfinished.unlink(missing_ok=True)
    return path


async def _opened(path: Path) -> tuple[BinaryIO, int]:
    def opened() -> tuple[BinaryIO, int]:
        stream = path.open("rb")
        return stream, os.fstat(stream.fileno()).st_size

    try:
        return await anyio.to_thread.run_sync(opened)
    except (OSError, ValueError) as error:
        raise NotReadable(f"{str(path)!r} cannot be read: {_why(error)}.", hint="Give the path of a file.") from error


def _why(error: OSError | ValueError) -> str:
    # A path with a zero in it is a ValueError.
    return (error.strerror if isinstance(error, OSError) else None) or "it is no path"


async def _nobody(sent: int, size: int) -> None:
    return


async def _not_kept(parts: Parts) -> None:
    return
