"""The server fetches from public https addresses only, and from the very address it checked."""

import ipaddress

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp.client.public_url import fetched, is_public
from fal_mcp.errors import RequestRejected, Unreachable

FORBIDDEN = [
    *(
        "http://example.com/a",
        "ftp://example.com/a",
        "file:///etc/passwd",
        "https://",
        "https:///a",
        "gopher://1.1.1.1",
    ),
    *("https://127.0.0.1/a", "https://localhost/a", "https://[::1]/a", "https://0.0.0.0/", "https://10.0.0.1/"),
    *(
        "https://192.168.1.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
    ),
    *("https://[fe80::1]/", "https://[fc00::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/"),
    *(
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://user:pass@1.1.1.1/",
    ),
    *(
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://198.18.0.1/",
        "https://[2002:7f00:1::]/",
        "https://192.0.2.1/",
    ),
    *("https://[x/", "https://[::1/x", "https://example.com:99999/a", "https://example.com:x/", "https://a\x00b/"),
    *(f"https://{'a' * 300}.com/", "https://\u2100/", "https://[::1]:/a", "https://1.1.1.1:0x50/", "https://..", ""),
]


NOT_PUBLIC = [
    *(
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.1.1",
        "0.1.2.3",
        "168.63.129.16",
    ),
    *("192.0.0.8", "192.0.0.9", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.251", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1", "2001:10::1", "2001:2::1"),
    *("::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8"),
    *(
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:0a00:0001::1",
        "2001:0:808:808::80ff:fffe",
        "2001:0:7f00:1::f7f7:f7f7",
    ),
    *(
        "2a00:1450::5efe:127.0.0.1",
        "2a00:1450::200:5efe:10.0.0.1",
        "fe80::5efe:8.8.8.8",
        "nonsense",
        "",
        "1.1.1",
        "::g",
    ),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8"),
    *("64:ff9b::8.8.8.8", "2002:808:808::1"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_form_of_an_address_that_is_not_public_is_taken_for_one(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public_in_every_form(address: str):
    assert is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_as_public_as_every_ipv6_form_that_leads_to_it(number: int):
    inner = ipaddress.IPv4Address(number)
    wrapped = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ]
    assert {is_public(str(address)) for address in wrapped} == {is_public(str(inner))}


STRANGE = [
    *(
        "https://[x",
        "https://example.com:99999/a",
        "https://exa mple.com/",
        "https://\x00/",
        "https://a\nb/",
        "https://:80/",
    ),
    *(
        "https://" + "a" * 300 + "/",
        "https://xn--zz" + "z" * 60 + "/",
        "https://..",
        "https://\ud800/",
        "https://[::1%25x]/",
    ),
]


@pytest.mark.parametrize("url", STRANGE)
async def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(RequestRejected):
        async with fetched(url, httpx.MockTransport(lambda request: httpx.Response(200))):
            pass


@pytest.mark.parametrize("location", ["https://[x", "https://example.com:99999/", "", "\x00", "//127.0.0.1/"])
async def test_a_redirect_to_something_that_is_no_address_is_refused(location: str):
    answer = httpx.Response(302, headers={"location": location})
    with anyio.fail_after(20), pytest.raises((RequestRejected, Unreachable)):
        async with fetched("https://1.1.1.1/a.png", httpx.MockTransport(lambda request: answer)):
            pass


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_what_is_not_public_https_is_refused_before_a_connection(url: str):
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked for")

    with pytest.raises(RequestRejected):
        async with fetched(url, httpx.MockTransport(never)):
            pass


async def test_the_connection_goes_to_the_address_that_was_checked():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "1.1.1.1" and request.headers["host"] == "1.1.1.1"
        assert "authorization" not in request.headers
        return httpx.Response(200, content=b"picture")

    async with fetched("https://1.1.1.1/a.png", httpx.MockTransport(answer)) as response:
        assert await response.aread() == b"picture"


@pytest.mark.parametrize("target", ["https://127.0.0.1/", "http://1.1.1.1/", "https://169.254.169.254/"])
async def test_a_redirect_is_checked_like_the_first_address(target: str):
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": target})

    with pytest.raises(RequestRejected):
        async with fetched("https://1.1.1.1/a.png", httpx.MockTransport(answer)):
            pass


async def test_redirects_have_an_end():
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": "https://1.1.1.1/again"})

    with pytest.raises(RequestRejected, match="too often"):
        async with fetched("https://1.1.1.1/a.png", httpx.MockTransport(answer)):
            pass
