"""A file on its way to fal's CDN: sent once, in parts where it is large, and told about while it goes."""

import hashlib
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread

from fal_mcp.client.file_stream import Upload
from fal_mcp.client.storage import LARGE
from fal_mcp.errors import ServiceFailed, UploadClosed
from fal_mcp.machine.readable import LocalFile
from fal_mcp.runs.call import Call
from fal_mcp.text import one_line


async def upload(
    file: LocalFile, content_type: str, call: Call, *, lifetime: int | None = None, access: str | None = None
) -> str:
    """Put an open file on fal's CDN, unless this very file is there already; its URL."""
    storage, uploads = call.fal().storage, call.jobs.ledger.uploads
    identity = await anyio.to_thread.run_sync(_identity, file)
    # What shall expire or be private is never shared with another call: its address would outlive the promise.
    is_plain = lifetime is None and access is None
    if is_plain and (known := await uploads.address_of(call.owner, identity)):
        return known
    item = Upload(file.stream, file.size, file.name, content_type, lifetime, access)
    tell = teller(file.name, call)
    if file.size < LARGE:
        url = await storage.put(item, tell)
    else:
        parts = await uploads.parts_of(call.owner, identity) or await storage.begin_parts(item)
        try:
            url = await storage.put_parts(
                item, parts, tell, lambda now: uploads.remember_parts(call.owner, identity, now)
            )
        except UploadClosed:
            # Else every later call would take up what fal has closed, and fail like this one.
            await uploads.forget_parts(call.owner, identity)
            raise
    # Else what is there now would be taken for what it was, in this run and in every later one.
    if file.has_changed():
        await uploads.forget_parts(call.owner, identity)
        raise ServiceFailed("The file changed while it was sent.", retryable=True, hint="Send it again.")
    if is_plain:
        await uploads.remember(call.owner, identity, url, None)
    return url


def teller(name: str, call: Call) -> Callable[[int, int], Awaitable[None]]:
    """Tells how far the upload of a file has come, from a megabyte on."""
    last = 0.0

    async def tell(sent: int, size: int) -> None:
        nonlocal last
        now = anyio.current_time()
        # The first megabytes of a small file are not news; a large one is told about twice a second.
        if size >= 1_000_000 and now - last >= 0.5:
            last = now
            await call.say(f"uploading {one_line(name, 60)}: {sent / 1e6:.0f} of {size / 1e6:.0f} MB")

    return tell


def _identity(file: LocalFile) -> str:
    """What makes it this very file: its hash, or for a large one what changes when it does."""
    # Reading gigabytes for their hash takes as long as sending a good part of them.
    if file.size >= LARGE:
        return f"stat:{file.identity}"
    digest = hashlib.sha256()
    file.stream.seek(0)
    while chunk := file.stream.read(1024 * 1024):
        digest.update(chunk)
    # With its name, which becomes a part of the address that models see.
    return f"sha256:{digest.hexdigest()}:{file.name}"
