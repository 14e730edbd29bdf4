"""Fetches what models made, from fal's own media hosts and nowhere else, without the key."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from fal_mcp.addresses import parts_of
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, NotFound, ServiceFailed, Unreachable

_TRIES = 4
_CHUNK = 256 * 1024
_MOST_DIGITS = 18


class _TooLarge(Exception):
    """More than was asked for."""


class MediaFiles:
    """Files on fal's CDN."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    def is_fals(self, url: str) -> bool:
        """Whether `url` is on one of fal's media hosts (fact sheet §0.1, §4.7); anything else is never fetched."""
        parts, cdn = parts_of(url), urlsplit(self._hosts.cdn)
        if parts is None or parts.username or parts.password:
            return False
        if (parts.scheme, parts.netloc) == (cdn.scheme, cdn.netloc):
            return parts.path.startswith(f"{cdn.path}/")
        host = (parts.hostname or "").casefold()
        standard = self._hosts == Hosts() and parts.scheme == "https" and parts.port in (None, 443)
        return standard and (host == "fal.media" or host.endswith(".fal.media"))

    async def read(self, url: str, most: int) -> bytes | None:
        """The whole file; None where it is larger than `most` bytes.

        Raises:
            FalError: it could not be had.
        """
        content = bytearray()

        async def take(chunk: bytes) -> None:
            content.extend(chunk)
            if len(content) > most:
                raise _TooLarge

        try:
            await self.each(url, take)
        except _TooLarge:
            return None
        return bytes(content)

    async def beginning(self, url: str, most: int) -> tuple[bytes, int | None]:
        """The first `most` bytes of the file, and how many it has, where its host says.

        Raises:
            FalError: it could not be had.
        """
        if not self.is_fals(url):
            raise ServiceFailed("That file is not on fal's hosts, and is not fetched.", retryable=False)
        content = bytearray()
        async with self._http.opened(url, {"range": f"bytes=0-{most - 1}"}) as response:
            async for chunk in response.aiter_bytes(_CHUNK):
                content += chunk
                if len(content) >= most:
                    break
            told = response.headers.get("content-range", "").rpartition("/")[2]
        return bytes(content[:most]), int(told) if told.isdecimal() and len(told) <= _MOST_DIGITS else None

    async def each(self, url: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the file to `take` piece by piece; gone on with where the connection broke.

        Raises:
            FalError: it could not be had, after retries.
        """
        have = 0
        for attempt in range(_TRIES):
            try:
                async with self._opened(url, have) as response:
                    if have and response.status_code != 206:
                        raise ServiceFailed("The file could not be gone on with where it broke off.", retryable=True)
                    async for chunk in response.aiter_bytes(_CHUNK):
                        await take(chunk)
                        have += len(chunk)
                return
            except Unreachable:
                if attempt == _TRIES - 1:
                    raise

    async def is_gone(self, url: str) -> bool:
        """Whether fal no longer has the file. One byte is asked for; an answer that cannot be had says nothing."""
        if not self.is_fals(url):
            return False
        try:
            async with self._http.opened(url, {"range": "bytes=0-0"}):
                return False
        except NotFound:
            return True
        except FalError:
            return False

    @asynccontextmanager
    async def _opened(self, url: str, start: int) -> AsyncGenerator[httpx.Response]:
        if not self.is_fals(url):
            raise ServiceFailed("That file is not on fal's hosts, and is not fetched.", retryable=False)
        headers: dict[str, Any] = {"range": f"bytes={start}-"} if start else {}
        async with self._http.opened(url, headers) as response:
            yield response
