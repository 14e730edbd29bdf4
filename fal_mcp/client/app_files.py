"""The files that the account's serverless apps share: one out, one in, never held whole."""

import math
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from urllib.parse import quote

from fal_mcp.client.file_stream import Tell, Upload, chunks
from fal_mcp.client.http import UPLOAD_TIMEOUT, Http
from fal_mcp.client.retry import NEVER
from fal_mcp.config import Hosts
from fal_mcp.errors import MaybeReceived

_FIELD = "file_upload"
_LOOK = "It was not sent again. list_app_files shows whether it is there."


class AppFiles:
    """Serverless storage of one account. Paths are those of the Platform's operations, below `/v1`."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._base = f"{hosts.api}/v1"

    async def each(self, path: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand a file to `take` piece by piece.

        Raises:
            NotFound: there is no such file.
            FalError: it could not be had, or broke off.
        """
        self._http.need_key()
        headers = {"accept": "application/octet-stream"}
        async with self._http.stream("GET", f"{self._base}{path}", headers=headers) as incoming:
            async with aclosing(incoming.pieces()) as pieces:
                async for piece in pieces:
                    await take(piece)

    async def put(self, path: str, query: Sequence[tuple[str, str]], upload: Upload, tell: Tell) -> None:
        """Store a file. `tell` hears bytes sent and bytes in all.

        Raises:
            MaybeReceived: the answer was lost; the file may be there.
            FalError: fal did not take it.
        """
        self._http.need_key()
        boundary = secrets.token_hex(16)
        head, tail = _around(boundary, upload.name)
        headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(len(head) + upload.size + len(tail)),
        }
        try:
            await self._http.request(
                "POST",
                f"{self._base}{path}",
                # A second one would be a second file, or write over what an app has changed since.
                retry=NEVER,
                params=list(query),
                headers=headers,
                content=lambda: _form(head, upload, tail, tell),
                silence=UPLOAD_TIMEOUT,
                changes=True,
                longest=math.inf,
            )
        except MaybeReceived as error:
            error.hint = _LOOK
            raise


def _around(boundary: str, name: str) -> tuple[bytes, bytes]:
    """What stands before and after the bytes of the one field. RFC 7578 §4."""
    # Percent signs in the name: a quote or a line end in it would end the header.
    about = f'Content-Disposition: form-data; name="{_FIELD}"; filename="{quote(name)}"'
    head = f"--{boundary}\r\n{about}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


async def _form(head: bytes, upload: Upload, tail: bytes, tell: Tell) -> AsyncGenerator[bytes]:
    yield head
    async for chunk in chunks(upload, 0, upload.size, tell):
        yield chunk
    yield tail
