"""Fetches a URL that somebody named: https only, from public addresses only, checked before every connection.

Every address that the name resolves to is checked, and the connection goes to the one that was checked, so that a
name which resolves otherwise a moment later leads nowhere.
"""

import ipaddress
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import anyio
import httpx

from fal_mcp import __version__
from fal_mcp.addresses import parts_of
from fal_mcp.client import body
from fal_mcp.client.door import door
from fal_mcp.errors import MaybeReceived, RequestRejected, Unreachable
from fal_mcp.text import one_line

_MOST_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_LONGEST_RESOLVING = 15.0
_V6_UNICAST = ipaddress.IPv6Network("2000::/3")
_V6_REFUSED = tuple(map(ipaddress.IPv6Network, ("2001:db8::/32", "3fff::/20", "2001:10::/28", "2001:20::/28")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The middle of an address that ends in an IPv4 one, on networks that tunnel so."""
_V4_REFUSED = tuple(
    map(
        ipaddress.IPv4Network,
        # Protocol assignments, 6to4 relays, what is reserved, and the host of Azure's machines on each of them.
        ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32"),
    )
)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Fetched:
    """An answer whose body has not come yet."""

    def __init__(self, response: httpx.Response, url: str) -> None:
        self._response = response
        self._url = url
        self.headers = response.headers

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        """The body, unpacked, in pieces.

        Raises:
            Unreachable: it broke off, or cannot be unpacked.
        """
        pieces = body.pieces(self._response)
        try:
            async for piece in pieces:
                yield piece
        except MaybeReceived as error:
            raise _broken(self._url) from error
        finally:
            await pieces.aclose()

    async def aread(self, most: int = body.LARGEST) -> bytes:
        """All of the body.

        Raises:
            TooLarge: it is larger than `most` bytes.
            Unreachable: it broke off, or cannot be unpacked.
        """
        try:
            return await body.whole(self._response, most)
        except MaybeReceived as error:
            raise _broken(self._url) from error


@asynccontextmanager
async def fetched(url: str, transport: httpx.AsyncBaseTransport | None = None) -> AsyncGenerator[Fetched]:
    """The answer at `url`, its body unread.

    Raises:
        RequestRejected: the address is not one to fetch from, or there is nothing.
        Unreachable: there was no answer.
    """
    # A proxy of the environment would be the one that resolves names, past every check here.
    with door(url, is_sent=False):
        client = httpx.AsyncClient(transport=transport, timeout=_TIMEOUT, trust_env=False)
    async with client:
        for _ in range(_MOST_REDIRECTS + 1):
            response = await _answered(client, url)
            try:
                if response.is_redirect:
                    # Each step is checked as the first one was: a redirect is the usual way to an inner address.
                    url = _joined(url, response.headers.get("location", ""))
                    continue
                if not response.is_success:
                    raise RequestRejected(f"{one_line(url, 200)!r} answered {response.status_code}.", hint="Check it.")
                yield Fetched(response, url)
                return
            finally:
                await response.aclose()
        raise RequestRejected(f"{one_line(url, 200)!r} redirects too often.", hint="Give the address it ends at.")


async def _answered(client: httpx.AsyncClient, url: str) -> httpx.Response:
    request = await _request(client, url)
    try:
        with door(url):
            return await client.send(request, stream=True)
    except Unreachable as error:
        raise _broken(url) from error


async def _request(client: httpx.AsyncClient, url: str) -> httpx.Request:
    parts = parts_of(url) if url.isprintable() else None
    if parts is None or parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
        raise _refusal(url)
    address = await _checked(parts.hostname, parts.port or 443, url)
    # The connection goes to the address that was checked; the name stays for the host and its certificate.
    headers = {"host": parts.netloc, "user-agent": f"fal-mcp/{__version__}", "accept-encoding": body.ACCEPTED}
    try:
        pinned = httpx.URL(url).copy_with(host=address)
        return client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": parts.hostname})
    except (httpx.InvalidURL, ValueError) as error:
        raise _refusal(url) from error


async def _checked(host: str, port: int, url: str) -> str:
    try:
        with anyio.fail_after(_LONGEST_RESOLVING):
            entries = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        # A name that cannot be one is a UnicodeError, which is a ValueError.
        raise _refusal(url) from error
    addresses = [str(entry[4][0]) for entry in entries]
    # All and not one: which of them a connection would take is not ours to choose.
    if not addresses or not all(map(is_public, addresses)):
        raise _refusal(url)
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, and so is every IPv4 address that stands in it."""
    try:
        given = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    return all(map(_is_public, _with_inner(given)))


def _with_inner(given: _Address) -> Iterator[_Address]:
    """The address and those in it; for forms that only carry another one, those alone."""
    if isinstance(given, ipaddress.IPv4Address):
        yield given
    elif given.ipv4_mapped is not None:
        yield given.ipv4_mapped
    elif given in _NAT64:
        yield _last_four(given)
    else:
        yield given
        yield from _tunnelled(given)


def _tunnelled(given: ipaddress.IPv6Address) -> Iterator[_Address]:
    if given.sixtofour is not None:
        yield given.sixtofour
    if given.teredo is not None:
        yield from given.teredo
    if (int(given) >> 32) & 0xFFFFFFFF in _ISATAP:
        yield _last_four(given)


def _last_four(given: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(given) & 0xFFFFFFFF)


def _is_public(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in net for net in _V4_REFUSED)
    # Only what is given out to hosts: no loopback, local, multicast, and none of the forms that came and went.
    is_tunnel = address.sixtofour is not None or address.teredo is not None
    return address in _V6_UNICAST and (
        is_tunnel or (address.is_global and not any(address in net for net in _V6_REFUSED))
    )


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _refusal(location) from error


def _broken(url: str) -> Unreachable:
    return Unreachable(f"{one_line(url, 200)!r} could not be fetched.")


def _refusal(url: str) -> RequestRejected:
    return RequestRejected(
        f"{one_line(url, 200)!r} is not an address this server fetches from.",
        hint="Only public https addresses are fetched. Models themselves take any https URL that fal can reach.",
    )
