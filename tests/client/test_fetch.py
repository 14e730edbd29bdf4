"""The server fetches from public https addresses only, and from the very address it checked."""

import httpx
import pytest

from fal_mcp.errors import RequestRejected
from fal_mcp.machine.public_url import fetched

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
