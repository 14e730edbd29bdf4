"""A JSON document at an address that the operator named, such as an issuer's keys. No key of fal's goes there."""

import httpx

from fal_mcp.client import body
from fal_mcp.client.door import door, made_client, made_tls
from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonObject, NotJson, is_object, object_of, parsed
from fal_mcp.text import one_line

_TIMEOUT = httpx.Timeout(5.0)
_LARGEST = 256 * 1024


async def json_document(url: str, transport: httpx.AsyncBaseTransport | None = None) -> JsonObject:
    """The object of JSON at `url`; no redirect is followed.

    Raises:
        Unreachable: nobody answered.
        ServiceFailed: the answer is none, or too large.
    """
    tls = made_tls() if url.startswith("https") and transport is None else None
    content = bytearray()
    with door(url):
        async with made_client(transport, _TIMEOUT, {"accept": "application/json"}, tls) as client:
            async with client.stream("GET", url) as response:
                async for piece in body.pieces(response):
                    content += piece
                    if len(content) > _LARGEST:
                        break
    try:
        document = parsed(bytes(content)) if response.status_code == 200 and len(content) <= _LARGEST else None
    except NotJson:
        document = None
    if not is_object(document):
        raise ServiceFailed(f"{one_line(url, 200)!r} answered with {response.status_code} and no usable JSON document.")
    return object_of(document)
