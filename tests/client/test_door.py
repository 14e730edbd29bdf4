"""The doors of httpx and websockets: nothing that they can raise gets past, and nothing is held that is too large."""

import gzip
import ssl
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import anyio
import h11
import httpcore
import httpx
import pytest
import websockets.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Response

from fal_mcp.client import body
from fal_mcp.client.body import TooLarge
from fal_mcp.client.door import BEFORE_SENDING, EXPECTED, door
from fal_mcp.client.fal import Fal
from fal_mcp.client.http import Http
from fal_mcp.client.queue import Request
from fal_mcp.client.realtime import opening
from fal_mcp.client.retry import NEVER
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, MaybeReceived, Unreachable
from tests.client.scripted import KEY, Bytes, FreeClock, network

URL = "https://queue.fal.run/fal-ai/flux/dev"
BOUND = 60
HERE = "https://queue.fal.run/fal-ai/x/requests/R"
REQUEST = Request("fal-ai/x", "R", f"{HERE}/status", HERE, f"{HERE}/cancel")


def kinds(*roots: type[Exception]) -> Iterator[type[Exception]]:
    for root in roots:
        yield root
        yield from kinds(*root.__subclasses__())


def public(module: ModuleType) -> set[type[Exception]]:
    named: list[object] = [getattr(module, name) for name in vars(module)]
    return {kind for kind in named if isinstance(kind, type) and issubclass(kind, Exception)}


def name_of(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def made(kind: type[BaseException]) -> Exception:
    """An exception of this kind, whatever its constructor wants."""
    error = kind.__new__(kind)
    assert isinstance(error, Exception)
    Exception.__init__(error, "as it comes")
    return error


THEIRS: list[type[Exception]] = sorted(
    {
        *public(httpx),
        *public(httpcore),
        *public(h11),
        *public(ssl),
        *(kind for kind in kinds(OSError) if kind.__module__ in ("builtins", "ssl", "socket")),
        *(UnicodeError, UnicodeDecodeError, zlib.error, EOFError, ImportError, ValueError, RuntimeError, KeyError),
        *(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, RecursionError, MemoryError),
    },
    key=name_of,
)


@pytest.mark.parametrize("is_sent", [True, False])
@pytest.mark.parametrize("kind", THEIRS, ids=name_of)
def test_whatever_the_http_library_raises_leaves_as_one_of_ours(kind: type[Exception], is_sent: bool):
    with pytest.raises(Unreachable) as caught, door(URL, is_sent=is_sent):
        raise made(kind)
    is_open = is_sent and not issubclass(kind, BEFORE_SENDING)
    assert isinstance(caught.value, MaybeReceived) is is_open and caught.value.hint
    with pytest.raises(MaybeReceived), door(URL, is_answered=True):
        raise made(kind)


def test_every_exception_of_httpx_is_expected():
    """Those that are not are translated all the same, and logged."""
    assert [kind for kind in public(httpx) if not issubclass(kind, EXPECTED)] == []


def test_what_says_that_nothing_was_sent_is_said_by_nothing_else():
    """A new kind below one of these would be taken for proof; it has to be looked at first."""
    proof = {kind for kind in public(httpx) if issubclass(kind, BEFORE_SENDING)}
    names = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL")
    assert {kind.__name__ for kind in proof} == set(names)


def test_our_own_words_go_through_the_door_as_they_are():
    with pytest.raises(FalError, match="the file changed"), door(URL):
        raise FalError("the file changed")


@pytest.mark.parametrize(
    "kind",
    sorted(
        {*public(websockets.exceptions), OSError, TimeoutError, ssl.SSLError, ImportError, ValueError, UnicodeError},
        key=name_of,
    ),
    ids=name_of,
)
def test_whatever_websockets_raises_leaves_as_one_of_ours(kind: type[Exception]):
    if kind is websockets.exceptions.InvalidStatus:
        response = Response(502, "Bad", Headers(), b"<html>")
        error: Exception = websockets.exceptions.InvalidStatus(response)
    else:
        error = made(kind)
    with pytest.raises(FalError) as caught, opening("fal-ai/flux/dev"):
        raise error
    assert not isinstance(caught.value, MaybeReceived), "no input was sent yet"


VARIABLES = [
    *(("ALL_PROXY", value) for value in ("socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "socks://127.0.0.1:9")),
    *(("HTTPS_PROXY", value) for value in ("http://[x", "nonsense://host:1", "http://host:99999", "http://", "::::")),
    *(("NO_PROXY", value) for value in ("localhost,[::1]", "[::1]")),
    *(("SSL_CERT_FILE", value) for value in ("/nowhere/at/all.pem", "/dev/null")),
]
ASK = """
import anyio
from fal_mcp.client.fal import Fal
from fal_mcp.config import Settings
from fal_mcp.errors import FalError

async def main():
    async with Fal("a:b") as fal:
        for ask in (fal.platform.document(), fal.queue.submit("fal-ai/x", {})):
            try:
                await ask
            except FalError as error:
                print(type(error).__name__, error.retryable, error.message, error.hint)

anyio.run(main)
"""


@pytest.mark.parametrize(("name", "value"), VARIABLES)
def test_a_variable_that_cannot_be_used_is_named_in_one_sentence(name: str, value: str):
    """A fault of the surroundings hinders no start, and says at each call which variable it is."""
    environment = {name: value, "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))}
    ran = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=BOUND)
    lines = ran.stdout.splitlines()
    assert len(lines) == 2, ran.stderr
    assert all(line.startswith("Unreachable False Nothing was sent") and name in line for line in lines), lines
    assert "Traceback" not in ran.stderr


async def got(response: httpx.Response, most: int = body.LARGEST) -> bytes:
    async with Http(Hosts(), KEY, network(lambda request: response)) as http:
        return (await http.request("GET", URL, retry=NEVER, most=most)).content


def packed(content: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.compress(content)
        case "members":
            return gzip.compress(content[: len(content) // 2]) + gzip.compress(content[len(content) // 2 :])
        case "padded":
            return gzip.compress(content) + bytes(8)
        case "deflate":
            return zlib.compress(content)
        case "bare":
            squeeze = zlib.compressobj(wbits=-15)
            return squeeze.compress(content) + squeeze.flush()
        case _:
            return zlib.compress(gzip.compress(content))


PACKINGS = {"gzip": "gzip", "members": "gzip", "padded": "x-gzip", "deflate": "deflate", "bare": "deflate"}


@settings(deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([*PACKINGS, "both"]), st.integers(1, 500))
async def test_a_packed_body_comes_out_as_it_was_however_it_is_cut(content: bytes, packing: str, cut: int):
    whole = packed(content, packing)
    chunks = [whole[start : start + cut] for start in range(0, len(whole), cut)]
    encoding = PACKINGS.get(packing, "gzip, deflate")
    response = httpx.Response(200, headers={"content-encoding": encoding}, stream=Bytes(*chunks))
    assert await got(response) == content


CUT_OFF = gzip.compress(b"x" * 9000)[:-9]


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip, gzip, gzip", "nonsense", "gzip, br"]
)
@pytest.mark.parametrize(
    "content", [b"\x1f\x8bbroken", b"not packed at all", CUT_OFF], ids=["broken", "plain", "cut off"]
)
async def test_a_body_that_cannot_be_unpacked_is_no_answer(encoding: str, content: bytes):
    response = httpx.Response(200, headers={"content-encoding": encoding}, stream=Bytes(content))
    with pytest.raises(Unreachable):
        await got(response)


async def test_a_bomb_ends_at_the_bound_and_takes_no_memory():
    """0.3 MB of gzip that stand for 300 MB, and the same packed once more."""
    bomb = gzip.compress(bytes(300_000_000), 9)
    for content, encoding in ((bomb, "gzip"), (gzip.compress(bomb), "gzip, gzip")):
        response = httpx.Response(200, headers={"content-encoding": encoding}, stream=Bytes(content))
        tracemalloc.start()
        with pytest.raises(TooLarge):
            await got(response, most=8_000_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40_000_000


async def test_a_body_that_never_ends_is_read_to_the_bound_and_no_further():
    stream = Bytes(*[bytes(100_000)] * 1000)
    with pytest.raises(TooLarge):
        await got(httpx.Response(200, stream=stream), most=1_000_000)
    assert stream.given <= 12


async def test_the_key_is_masked_in_whatever_fal_says():
    secret = KEY.partition(":")[2]

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"x-fal-error-type": KEY, "x-fal-request-id": f"r-{secret}"}
        if request.url.path.endswith("/stream"):
            log = f'data: {{"status": "COMPLETED", "logs": [{{"message": "key {KEY} and {secret}!"}}]}}\n\n'
            return httpx.Response(200, content=log.encode(), headers={"content-type": "text/event-stream"})
        if request.method == "POST":
            return httpx.Response(500, json={"detail": KEY, "error_type": secret}, headers=headers)
        return httpx.Response(200, json={"text": f"{KEY} {secret}"}, headers=headers)

    async with Fal(KEY, transport=network(answer), clock=FreeClock().clock()) as fal:
        output = await fal.queue.result(REQUEST)
        statuses: list[Any] = []

        async def seen(status: Any) -> None:
            statuses.append(status)

        await fal.queue.follow(REQUEST, seen)
        with pytest.raises(FalError) as caught:
            await fal.synchronous.run("fal-ai/x", {})
    error = caught.value
    told = f"{output} {statuses} {error} {error.error_type} {error.request_id} {error.hint}"
    assert secret not in told and "<key>" in told
