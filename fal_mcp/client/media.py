"""Fetches what models made, from fal's own media hosts and nowhere else, without the key."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager

from fal_mcp.addresses import parts_of
from fal_mcp.client.http import Http
from fal_mcp.client.incoming import Incoming
from fal_mcp.client.retry import pause
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, MaybeReceived, NotFound, ServiceFailed, Unreachable

_TRIES = 4
_MOST_DIGITS = 18
# Gone on with by bytes of the file, so it has to come as it is.
_AS_IT_IS = {"accept-encoding": "identity", "accept": "*/*"}


class _TooLarge(Exception):
    """More than was asked for."""


class MediaFiles:
    """Files on fal's CDN."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    def is_fals(self, url: str) -> bool:
        """Whether `url` is on one of fal's media hosts; anything else is never fetched, and none is too strange."""
        parts, cdn = parts_of(url), parts_of(self._hosts.cdn)
        if parts is None or cdn is None or parts.username or parts.password or not url.isprintable():
            return False
        # The stand-in's, where the settings name one.
        if (parts.scheme, parts.netloc) == (cdn.scheme, cdn.netloc):
            return parts.path.startswith(f"{cdn.path}/")
        host = (parts.hostname or "").casefold()
        standard = self._hosts == Hosts() and parts.scheme == "https" and parts.port in (None, 443)
        # With the dot: `notfal.media` is anybody's.
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
        content = bytearray()
        async with self._opened(url, {"range": f"bytes=0-{most - 1}"}) as incoming:
            async with aclosing(incoming.pieces()) as pieces:
                async for piece in pieces:
                    content += piece
                    if len(content) >= most:
                        break
            size = incoming.headers.get("content-range", "").rpartition("/")[2]
        is_number = size.isascii() and size.isdecimal() and len(size) <= _MOST_DIGITS
        return bytes(content[:most]), int(size) if is_number else None

    async def each(self, url: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the file to `take` piece by piece; gone on with where the connection broke.

        Raises:
            FalError: it could not be had, after retries.
        """
        have = 0
        for attempt in range(_TRIES):
            try:
                async with self._opened(url, {"range": f"bytes={have}-"} if have else {}) as incoming:
                    # A host that knows no ranges begins anew, and its bytes would be written behind those that are
                    # there.
                    if have and incoming.status_code != 206:
                        raise ServiceFailed("The file could not be gone on with where it broke off.", retryable=True)
                    async with aclosing(incoming.pieces()) as pieces:
                        async for piece in pieces:
                            await take(piece)
                            have += len(piece)
                return
            except (Unreachable, ServiceFailed) as error:
                # `MaybeReceived` is not retryable by its kind, because it is about what costs; to fetch a file again
                # costs nothing.
                if attempt == _TRIES - 1 or not _may_come(error):
                    raise
            await self._http.clock.sleep(pause(attempt))

    async def is_gone(self, url: str) -> bool:
        """Whether fal no longer has the file. One byte is asked for; an answer that cannot be had says nothing."""
        if not self.is_fals(url):
            return False
        try:
            async with self._opened(url, {"range": "bytes=0-0"}):
                return False
        except NotFound:
            return True
        except FalError:
            return False

    @asynccontextmanager
    async def _opened(self, url: str, headers: Mapping[str, str]) -> AsyncGenerator[Incoming]:
        if not self.is_fals(url):
            raise ServiceFailed("That file is not on fal's hosts, and is not fetched.", retryable=False)
        async with self._http.stream("GET", url, key="none", headers={**_AS_IT_IS, **headers}) as incoming:
            yield incoming


def _may_come(error: FalError) -> bool:
    return error.retryable or isinstance(error, MaybeReceived)
