"""Everything that can come in place of fal's answer, as a table; each at any step, before fal had the request or after.

A fault that stands behind fal lets the request through and takes the answer's place: fal has acted upon it.
"""

import gzip
import json
import random
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import anyio
import httpx

from tests.faults import odd_values

Forward = Callable[[], Awaitable[httpx.Response]]
Act = Callable[[httpx.Request, Forward], Awaitable[httpx.Response]]
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
_PAGE = b"<!doctype html><html><head><title>Bad gateway</title></head><body><h1>502</h1></body></html>"
_NGINX = b"<html><body><center><h1>503</h1></center><hr><center>nginx</center></body></html>"
_ZEROES = gzip.compress(b"0" * 32_000_000, 9)
_LONG = b'{"detail": "' + b"x" * 2_000_000 + b'"}'
_SECONDS_OF_A_SLOW_ANSWER = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a step goes wrong."""

    name: str
    act: Act
    is_behind: bool = False
    """Whether fal had the request."""
    refuses: bool = False
    """Whether it is how fal itself refuses, so that nothing runs; only true in front of fal."""
    lies: bool = False
    """Whether it is a sound answer that is not true: nobody can tell, where any JSON is an answer."""


class Chunks(httpx.AsyncByteStream):
    """A body as it comes off the wire; at its end it may break."""

    def __init__(self, chunks: Iterable[bytes], end: Exception | None = None) -> None:
        self._chunks, self._end = chunks, end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._end is not None:
            raise self._end

    async def aclose(self) -> None:
        return


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Act:
    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        return httpx.Response(status, headers=dict(headers), stream=Chunks([body]))

    return act


def _detail(text: str) -> bytes:
    return json.dumps({"detail": text}).encode()


STATUSES = (
    *(400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 418, 421, 422, 423, 424, 425),
    *(426, 428, 429, 431, 444, 451, 460, 494, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 520),
    *(521, 522, 523, 524, 525, 526, 527, 529, 530, 561, 598, 599, 600, 999, 203, 206, 207, 226, 300, 301, 302, 303),
    *(304, 305, 307, 308),
)
_BODIES: dict[str, tuple[Mapping[str, str], bytes]] = {
    "fal's words": (JSON, _detail("Something is wrong here.")),
    "a page": (HTML, _PAGE),
    "nothing": (JSON, b""),
    "plain text": ({"content-type": "text/plain"}, b"upstream connect error"),
}
_GOOD_LOOKING: dict[str, tuple[Mapping[str, str], bytes]] = {
    "a page": (HTML, _PAGE),
    "a page said to be JSON": (JSON, _PAGE),
    "nothing": (JSON, b""),
    "null": (JSON, b"null"),
    "a list": (JSON, b"[]"),
    "a text": (JSON, b'"ok"'),
    "a number": (JSON, b"7"),
    "an empty object": (JSON, b"{}"),
    "garbage": (JSON, bytes(range(256))),
    "half an object": (JSON, b'{"status": "COMPL'),
    "two objects": (JSON, b'{"status": "COMPLETED"}{"status": "COMPLETED"}'),
    "a long text": (JSON, _LONG),
    "100,000 brackets": (JSON, b"[" * 100_000),
    "broken gzip": ({**JSON, "content-encoding": "gzip"}, b"\x1f\x8b" + b"broken" * 9),
    "plain JSON said to be gzip": ({**JSON, "content-encoding": "gzip"}, b'{"status": "COMPLETED"}'),
    "broken deflate": ({**JSON, "content-encoding": "deflate"}, b"no deflate"),
    "an unknown encoding": ({**JSON, "content-encoding": "x-nobody"}, b'{"status": "IN_QUEUE"}'),
    "cut gzip": ({**JSON, "content-encoding": "gzip"}, gzip.compress(b'{"status": "IN_QUEUE"}')[:-9]),
    "gzip twice": ({**JSON, "content-encoding": "gzip, gzip"}, gzip.compress(gzip.compress(b"{}"))),
    "much out of little": ({**JSON, "content-encoding": "gzip"}, _ZEROES),
    "a byte order mark": (JSON, b'\xef\xbb\xbf{"status": "IN_QUEUE"}'),
    "UTF-16": ({"content-type": "application/json; charset=utf-16"}, '{"status": "IN_QUEUE"}'.encode("utf-16")),
    "an unknown charset": ({"content-type": "application/json; charset=nobodys"}, b'{"status": "IN_QUEUE"}'),
    "wrong bytes": (JSON, b'{"status": "\xff\xfe\x80"}'),
}
_HEADERS: dict[str, Mapping[str, str]] = {
    "at once": {"retry-after": "0"},
    "in a year": {"retry-after": "31536000"},
    "before": {"retry-after": "-5"},
    "NaN": {"retry-after": "nan"},
    "infinity": {"retry-after": "1e999"},
    "at a date": {"retry-after": "Fri, 31 Dec 2099 23:59:59 GMT"},
    "at no date": {"retry-after": "Tomorrow, 99 Foo 20xx"},
    "with a request id": {"x-fal-request-id": "0" * 32},
    "with an odd error type": {"x-fal-error-type": "\xff" * 9},
}
_LOCATIONS = ("https://example.com/", "http://127.0.0.1:1/", "/", "https://[x", "file:///etc/passwd")
_BEFORE: tuple[Callable[[httpx.Request], BaseException], ...] = (
    lambda request: httpx.ConnectError("Connection refused", request=request),
    lambda request: httpx.ConnectTimeout("too late", request=request),
    lambda request: httpx.PoolTimeout("no room", request=request),
    lambda request: httpx.LocalProtocolError("Illegal header value", request=request),
    lambda request: httpx.ProxyError("403 Forbidden", request=request),
    lambda request: httpx.UnsupportedProtocol("no such protocol", request=request),
    lambda request: httpx.InvalidURL("Invalid port"),
)
_AFTER: tuple[Callable[[httpx.Request], BaseException], ...] = (
    lambda request: httpx.ReadError("Connection reset", request=request),
    lambda request: httpx.ReadTimeout("too late", request=request),
    lambda request: httpx.WriteError("Broken pipe", request=request),
    lambda request: httpx.WriteTimeout("too late", request=request),
    lambda request: httpx.CloseError("closed", request=request),
    lambda request: httpx.RemoteProtocolError("Server disconnected", request=request),
    lambda request: httpx.DecodingError("Error -3 while decompressing data", request=request),
    lambda request: httpx.TooManyRedirects("Exceeded", request=request),
    lambda request: httpx.StreamError("The stream"),
    lambda request: httpx.CookieConflict("Multiple cookies"),
    lambda request: ssl.SSLError("WRONG_VERSION_NUMBER"),
    lambda request: OSError(24, "Too many open files"),
    lambda request: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    lambda request: ValueError("Invalid header"),
    lambda request: RuntimeError("anything"),
    lambda request: KeyError("location"),
    lambda request: RecursionError("maximum recursion depth exceeded"),
    lambda request: zlib.error("Error -3"),
    lambda request: anyio.BrokenResourceError(),
    lambda request: anyio.ClosedResourceError(),
    lambda request: anyio.EndOfStream(),
)


def _raising(make: Callable[[httpx.Request], BaseException]) -> Act:
    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        raise make(request)

    return act


async def _silence(request: httpx.Request, forward: Forward) -> httpx.Response:
    await anyio.sleep(request.extensions["timeout"].get("read") or 3600)
    raise httpx.ReadTimeout("silence", request=request)


async def _slowly(request: httpx.Request, forward: Forward) -> httpx.Response:
    await anyio.sleep(_SECONDS_OF_A_SLOW_ANSWER)
    return await forward()


def _cut(at: float, is_silent: bool) -> Act:
    """The right answer as far as a part of it; then the line breaks, or nothing more comes."""

    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        answer = await forward()
        body = await answer.aread()
        part = body[: int(len(body) * at)]
        end = httpx.ReadTimeout("silence", request=request) if is_silent else httpx.ReadError("reset", request=request)
        if is_silent:
            await anyio.sleep(request.extensions["timeout"].get("read") or 3600)
        headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=headers, stream=Chunks([part], end))

    return act


def _cut_by(make: Callable[[httpx.Request], BaseException]) -> Act:
    """The right answer as far as its middle; then what otherwise comes before anything was sent."""

    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        answer = await forward()
        body, end = await answer.aread(), make(request)
        assert isinstance(end, Exception)
        headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=headers, stream=Chunks([body[: len(body) // 2]], end))

    return act


def _changed(change: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Act:
    """The right answer, its body changed on the way."""

    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        answer = await forward()
        body = change(await answer.aread())
        kept = {name: value for name, value in answer.headers.items() if name not in ("content-length",)}
        return httpx.Response(answer.status_code, headers={**kept, **(headers or {})}, stream=Chunks([body]))

    return act


def odd(seed: int) -> Fault:
    """The right answer with something odd somewhere in its JSON."""

    def change(body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except ValueError:
            return body
        return odd_values.written(odd_values.oddly(document, random.Random(seed))[1])

    return Fault(f"odd value {seed}", _changed(change), is_behind=True, lies=True)


def _behind(fault: Fault) -> Fault:
    async def act(request: httpx.Request, forward: Forward) -> httpx.Response:
        answer = await forward()
        await answer.aread()
        return await fault.act(request, forward)

    return Fault(f"{fault.name}, behind fal", act, is_behind=True, lies=fault.lies)


def _proves_refusal(status: int, body: bytes) -> bool:
    """Whether a client has to take this for fal's own refusal of a submit."""
    if status == 429 or (status == 503 and b"nginx" in body):
        return True
    return 400 <= status < 500 and body.startswith(b'{"detail"')


def _is_sound(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        json.loads(httpx.Response(status, headers=dict(headers), content=body).content)
    except RecursionError:
        # Too deep to be read, it may be sound.
        return status < 300
    except (ValueError, httpx.DecodingError):
        return False
    return status < 300


def _table() -> list[Fault]:
    faults: list[Fault] = []
    answers = [(f"{status} with {name}", status, *_BODIES[name]) for status in STATUSES for name in _BODIES]
    answers += [(f"200 with {name}", 200, *about) for name, about in _GOOD_LOOKING.items()]
    answers += [(f"202 with {name}", 202, *_GOOD_LOOKING[name]) for name in ("a page", "nothing", "null")]
    answers += [
        (f"{status} {name}", status, {**JSON, **headers}, _detail("Later."))
        for status in (429, 503, 500)
        for name, headers in _HEADERS.items()
    ]
    answers += [
        (f"{status} to {place}", status, {"location": place}, b"") for status in (302, 307, 308) for place in _LOCATIONS
    ]
    answers += [("503 of nginx", 503, HTML, _NGINX), ("204", 204, {}, b"")]
    for name, status, headers, body in answers:
        refuses = _proves_refusal(status, body)
        fault = Fault(name, _answer(status, headers, body), refuses=refuses, lies=_is_sound(status, headers, body))
        faults += [fault] if refuses else [fault, _behind(fault)]
    faults += [Fault(type(make(_REQUEST)).__name__, _raising(make)) for make in _BEFORE]
    for make in _AFTER:
        fault = Fault(f"{type(make(_REQUEST)).__name__}", _raising(make))
        faults += [fault, _behind(fault)]
    silence = Fault("silence", _silence)
    faults += [silence, _behind(silence), Fault("a slow answer", _slowly, is_behind=True)]
    faults += [
        Fault(f"cut at {at:.0%}{', then silence' * is_silent}", _cut(at, is_silent), is_behind=True)
        for at in (0.0, 0.01, 0.5, 0.99, 1.0)
        for is_silent in (False, True)
    ]
    faults += [Fault(f"cut by {type(make(_REQUEST)).__name__}", _cut_by(make), is_behind=True) for make in _BEFORE[-3:]]
    faults += [
        Fault("a byte order mark before it", _changed(lambda body: b"\xef\xbb\xbf" + body), is_behind=True),
        Fault("said to be a page", _changed(lambda body: body, HTML), is_behind=True),
        Fault("said to be gzip", _changed(lambda body: body, {"content-encoding": "gzip"}), is_behind=True),
        Fault("in UTF-16", _changed(lambda body: body.decode("utf-8", "replace").encode("utf-16")), is_behind=True),
        Fault("with a wrong length", _changed(lambda body: body, {"content-length": "7"}), is_behind=True),
        Fault("twice", _changed(lambda body: body + body), is_behind=True),
    ]
    return faults


_REQUEST = httpx.Request("GET", "http://fal.test/")
TABLE: dict[str, Fault] = {fault.name: fault for fault in _table()}
