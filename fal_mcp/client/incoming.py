"""An answer that is still on its way, and how it is let go of."""

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import anyio
import httpx

from fal_mcp.client import body
from fal_mcp.client.verdicts import lost
from fal_mcp.errors import MaybeReceived

LONGEST_GOODBYE = 5.0
"""Seconds."""


class Incoming:
    """An answer whose body has not come yet."""

    def __init__(self, response: httpx.Response, masked: Callable[[str], str], changes: bool) -> None:
        self._response = response
        self._changes = changes
        self.status_code = response.status_code
        self.headers = response.headers
        self.masked = masked
        """Takes the key out of a text."""

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body, unpacked, as it comes.

        Raises:
            Unreachable: it broke off; where the request changes something, `MaybeReceived`.
        """
        # Kept by name, and closed below: a generator that is dropped half-read is closed by the collector, in another
        # task.
        unpacked = body.pieces(self._response)
        try:
            async for piece in unpacked:
                yield piece
        except MaybeReceived as error:
            raise lost(error, self._changes) from error
        finally:
            await unpacked.aclose()

    async def whole(self, most: int) -> bytes:
        """All of the body.

        Raises:
            TooLarge: it is larger than `most` bytes.
            Unreachable: as for `pieces`.
        """
        try:
            return await body.whole(self._response, most)
        except MaybeReceived as error:
            raise lost(error, self._changes) from error


async def closed(response: httpx.Response) -> None:
    """Close an answer, read or not; never raises, and takes no longer than a goodbye may."""
    # What goes wrong with saying goodbye says nothing about what was answered.
    with anyio.move_on_after(LONGEST_GOODBYE, shield=True), suppress(Exception):
        await response.aclose()
