"""The body of an answer, unpacked here and not by the HTTP library, so that no more is held than was asked for.

A third of a megabyte of gzip can stand for 300 MB. Unpacking stops at the bound, 256 KiB at a time.
"""

import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing

import httpx

from fal_mcp.client.door import door
from fal_mcp.errors import ServiceFailed

ACCEPTED = "gzip, deflate"
"""What may come packed; anything else is not asked for, and cannot be read."""
LARGEST = 64 * 1024 * 1024
"""Bytes of an answer after unpacking. The largest that fal is known to give is a film as a data URI, some tens of
megabytes; read as JSON an answer of this size takes a few hundred megabytes, which is what a small machine has."""
SMALL = 4 * 1024 * 1024
"""Bytes of an answer that is only about a request: its status with a log, an address, a refusal."""
_PIECE = 256 * 1024
_MOST_LAYERS = 3
_GZIP = b"\x1f\x8b"


class TooLarge(ServiceFailed):
    """An answer that is larger than it may be."""

    hint = "Ask for less at once."
    retryable = False


async def whole(response: httpx.Response, most: int) -> bytes:
    """The body, unpacked.

    Raises:
        TooLarge: it is larger than `most` bytes; the rest was not read.
        MaybeReceived: it broke off, or cannot be unpacked.
    """
    content = bytearray()
    async with aclosing(pieces(response)) as unpacked:
        async for piece in unpacked:
            content += piece
            if len(content) > most:
                raise TooLarge(f"fal's answer is larger than {most} bytes.", status=response.status_code)
    return bytes(content)


async def pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body, unpacked, in pieces of at most 256 KiB.

    Raises:
        MaybeReceived: it broke off, or cannot be unpacked.
    """
    url = response.request.url
    # Unpacked by hand because httpx unpacks a whole chunk at once, however large it becomes.
    layers = [] if response.is_stream_consumed else _layers(response.headers.get("content-encoding", ""), url)
    packed = _packed(response, url)
    try:
        async for chunk in packed:
            unpacked = _through(layers, chunk)
            while (piece := _next(unpacked, url)) is not None:
                yield piece
    finally:
        await packed.aclose()
    with door(url, is_answered=True):
        for layer in layers:
            layer.ended()


async def _packed(response: httpx.Response, url: httpx.URL) -> AsyncGenerator[bytes]:
    if response.is_stream_consumed:
        # A transport that gives whole answers has unpacked it already.
        yield response.content
        return
    chunks = response.aiter_raw()
    while True:
        with door(url, is_answered=True):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk


def _next(unpacked: Iterator[bytes], url: httpx.URL) -> bytes | None:
    with door(url, is_answered=True):
        return next(unpacked, None)


class _Layer:
    """One gzip, zlib or bare deflate stream, however many members it has."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._is_begun = False
        self._head = b""

    def fed(self, chunk: bytes) -> Iterator[bytes]:
        if not self._is_begun:
            # Which of the three it is shows in its first two bytes, and a network may deliver one.
            self._head += chunk
            chunk = self._head if len(self._head) > 1 else b""
        while chunk:
            yield from self._member(chunk)
            if not self._stream.eof:
                return
            chunk = self._stream.unused_data
            if not chunk.startswith(_GZIP):
                # What stands behind a whole stream and is no other is padding.
                return
            self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def ended(self) -> None:
        if self._head and not self._stream.eof:
            raise zlib.error("the packed answer ends too early")

    def _member(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            piece = self._piece(chunk)
            # What was not unpacked yet because the piece was full; asked for again rather than held unpacked.
            chunk = self._stream.unconsumed_tail
            if piece:
                yield piece
            elif not chunk:
                return

    def _piece(self, chunk: bytes) -> bytes:
        try:
            piece = self._stream.decompress(chunk, _PIECE)
        except zlib.error:
            if self._is_begun:
                raise
            # "deflate" is zlib by the standard and bare deflate by old servers.
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._stream.decompress(chunk, _PIECE)
        self._is_begun = True
        return piece


def _layers(encodings: str, url: httpx.URL) -> list[_Layer]:
    names = [name for part in encodings.casefold().split(",") if (name := part.strip()) not in ("", "identity")]
    with door(url, is_answered=True):
        # Each layer multiplies by up to a thousand: a body of many layers is an attack, and no server's habit.
        if len(names) > _MOST_LAYERS or any(name not in ("gzip", "x-gzip", "deflate") for name in names):
            raise zlib.error("packed in a way that was not asked for")
    return [_Layer() for _ in names]


def _through(layers: Iterable[_Layer], chunk: bytes) -> Iterator[bytes]:
    """A chunk through every layer, the last put on being the first taken off."""
    stream: Iterator[bytes] = iter([chunk])
    for layer in reversed(list(layers)):
        stream = _fed(layer, stream)
    return stream


def _fed(layer: _Layer, stream: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in stream:
        yield from layer.fed(chunk)
