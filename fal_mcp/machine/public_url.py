"""Fetches a URL that somebody named: https only, from public addresses only, checked before every connection.

Every address that the name resolves to is checked, and the connection goes to the one that was checked, so that a
name which resolves otherwise a moment later leads nowhere (facts/mcp §8, item 5).
"""

import ipaddress
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import anyio
import httpx

from fal_mcp import __version__
from fal_mcp.addresses import parts_of
from fal_mcp.errors import RequestRejected, Unreachable
from fal_mcp.text import one_line

_MOST_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


@asynccontextmanager
async def fetched(url: str, transport: httpx.AsyncBaseTransport | None = None) -> AsyncGenerator[httpx.Response]:
    """The answer at `url`, its body unread.

    Raises:
        RequestRejected: the address is not one to fetch from, or there is nothing.
        Unreachable: there was no answer.
    """
    # A proxy of the environment would be the one that resolves names, past every check here.
    async with httpx.AsyncClient(transport=transport, timeout=_TIMEOUT, trust_env=False) as client:
        for _ in range(_MOST_REDIRECTS + 1):
            request = await _request(client, url)
            try:
                response = await client.send(request, stream=True)
            except httpx.TransportError as error:
                raise Unreachable(f"{one_line(url, 200)!r} could not be fetched.") from error
            try:
                if response.is_redirect:
                    url = _joined(url, response.headers.get("location", ""))
                    continue
                if not response.is_success:
                    raise RequestRejected(f"{one_line(url, 200)!r} answered {response.status_code}.", hint="Check it.")
                yield response
                return
            finally:
                await response.aclose()
        raise RequestRejected(f"{one_line(url, 200)!r} redirects too often.", hint="Give the address it ends at.")


async def _request(client: httpx.AsyncClient, url: str) -> httpx.Request:
    parts = parts_of(url)
    host = (parts.hostname or "") if parts else ""
    if parts is None or parts.scheme != "https" or not host or parts.username or parts.password:
        raise _refusal(url)
    address = await _checked(host, parts.port or 443, url)
    headers = {"host": parts.netloc, "user-agent": f"fal-mcp/{__version__}"}
    try:
        pinned = httpx.URL(url).copy_with(host=address)
        return client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": host})
    except (httpx.InvalidURL, ValueError) as error:
        raise _refusal(url) from error


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _refusal(location) from error


async def _checked(host: str, port: int, url: str) -> str:
    try:
        found: Any = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refusal(url) from error
    addresses = [entry[4][0] for entry in found]
    if not addresses or not all(_is_public(address) for address in addresses):
        raise _refusal(url)
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def _refusal(url: str) -> RequestRejected:
    return RequestRejected(
        f"{one_line(url, 200)!r} is not an address this server fetches from.",
        hint="Only public https addresses are fetched. Models themselves take any https URL that fal can reach.",
    )
