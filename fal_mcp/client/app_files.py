"""The files that the account's serverless apps share: one out, one in, never held whole. Fact sheet §8."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from urllib.parse import quote

import httpx

from fal_mcp.client.http import Http
from fal_mcp.client.storage import Tell, Upload, chunks
from fal_mcp.config import Hosts
from fal_mcp.errors import MaybeReceived

_CHUNK = 256 * 1024
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
        async with self._http.stream(f"{self._base}{path}", {}, accept="application/octet-stream") as response:
            async for chunk in response.aiter_bytes(_CHUNK):
                await take(chunk)

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
        params = httpx.QueryParams(list(query))
        try:
            await self._http.post_content(f"{self._base}{path}", _form(head, upload, tail, tell), headers, params)
        except MaybeReceived as error:
            error.hint = _LOOK
            raise


def _around(boundary: str, name: str) -> tuple[bytes, bytes]:
    """What stands before and after the bytes of the one field. RFC 7578 §4."""
    about = f'Content-Disposition: form-data; name="{_FIELD}"; filename="{quote(name)}"'
    head = f"--{boundary}\r\n{about}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


async def _form(head: bytes, upload: Upload, tail: bytes, tell: Tell) -> AsyncGenerator[bytes]:
    yield head
    async for chunk in chunks(upload, 0, upload.size, tell):
        yield chunk
    yield tail
