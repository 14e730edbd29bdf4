"""One connection pool to fal: the key, retries, and answers turned into errors.

The key goes to fal's own hosts and nowhere else; redirects are not followed, so it cannot be carried off.
"""

import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from fal_mcp import __version__
from fal_mcp.client import answers
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, Fault, MaybeReceived, NotAuthorised, ServiceFailed, Unreachable

TRIES = 6
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0
_TIMEOUT = httpx.Timeout(60.0, connect=15.0, pool=None)
_UPLOAD_TIMEOUT = httpx.Timeout(300.0, connect=15.0, pool=None)
_STREAM_SILENCE = 60.0
"""fal's streams carry a comment every few seconds; a minute of nothing is a dead connection."""
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)
_BEFORE_SENDING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
NO_KEY = "This call needs a fal API key, and the server was started without one."
NO_ADMIN_KEY = "This call needs a key of scope ADMIN, and the server was started without one."
ADMIN_HINT = (
    "Create a key of scope ADMIN at https://fal.ai/dashboard/keys and set it as FAL_ADMIN_KEY where this server is "
    "configured."
)


class Http:
    """Requests to fal. Use as an async context manager; `transport` takes the network's place in tests."""

    def __init__(
        self,
        hosts: Hosts,
        key: str | None,
        transport: httpx.AsyncBaseTransport | None = None,
        admin_key: str | None = None,
    ) -> None:
        self._hosts = hosts
        self._key = key
        self.admin_key = admin_key
        # A context made once costs less than one per client; it honours SSL_CERT_FILE and SSL_CERT_DIR.
        self.tls = _tls() if hosts.queue.startswith("https") else None
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            follow_redirects=False,
            headers={"user-agent": f"fal-mcp/{__version__}", "accept": "application/json"},
            verify=self.tls or False,
        )

    async def __aenter__(self) -> "Http":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self._client.__aexit__(*exc)

    def need_key(self) -> None:
        """Refuse, before anything is sent, what cannot be done without a key.

        Raises:
            NotAuthorised: there is none; the hint says how to get one and where it goes.
        """
        if self._key is None:
            raise NotAuthorised(NO_KEY)

    async def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """GET, again when the answer is lost or transient, at most six times. "Not modified" is an answer.

        Raises:
            FalError: whatever the last answer stands for.
        """
        return await self._again("GET", url, params=params, headers=headers)

    async def send_bare(
        self, method: str, url: str, content: bytes | AsyncIterable[bytes], headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send bytes to an address that is its own permission: never with the key, and once.

        Raises:
            Unreachable: the connection broke.
            FalError: what the answer stands for.
        """
        try:
            response = await self._client.request(
                method, url, content=content, headers=dict(headers), timeout=_UPLOAD_TIMEOUT
            )
        except httpx.TransportError as error:
            raise Unreachable(f"The connection to {_host(url)} broke.") from error
        if not response.is_success:
            raise self._rejection(response, response.content)
        return response

    async def post_content(
        self, url: str, content: AsyncIterable[bytes], headers: Mapping[str, str], params: Mapping[str, str]
    ) -> httpx.Response:
        """POST bytes as they are read, with the key; never repeated.

        Raises:
            Unreachable: nothing was sent.
            MaybeReceived: the answer was lost.
            FalError: what the answer stands for.
        """
        whole = self._headers(url, headers)
        try:
            response = await self._client.post(
                url, content=content, headers=whole, params=params, timeout=_UPLOAD_TIMEOUT
            )
        except _BEFORE_SENDING as error:
            raise Unreachable(f"fal could not be reached at {_host(url)}.") from error
        except httpx.TransportError as error:
            raise MaybeReceived(f"The connection to {_host(url)} broke before fal answered.") from error
        if not response.is_success:
            raise self._rejection(response, response.content)
        return response

    @asynccontextmanager
    async def opened(self, url: str, headers: Mapping[str, str]) -> AsyncGenerator[httpx.Response]:
        """An open answer to a GET without the key; not repeated here.

        Raises:
            Unreachable: the connection broke, then or later.
            FalError: what the answer stands for.
        """
        try:
            async with self._client.stream("GET", url, headers=dict(headers)) as response:
                if not response.is_success:
                    raise self._rejection(response, await response.aread())
                yield response
        except httpx.TransportError as error:
            raise Unreachable(f"The connection to {_host(url)} broke.") from error

    async def ask(
        self,
        url: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A POST that changes nothing and costs nothing, repeated like `get`.

        Raises:
            FalError: whatever the last answer stands for.
        """
        return await self._again("POST", url, params=params, headers=headers, json=body)

    async def put(self, url: str, params: Mapping[str, str] | None = None, body: Any = None) -> httpx.Response:
        """An idempotent PUT, repeated like `get`."""
        return await self._again("PUT", url, params=params, json=body)

    async def send(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        as_admin: bool = False,
        is_repeatable: bool = True,
    ) -> httpx.Response:
        """Any request, with the admin key where asked; one that is not repeatable is sent again only when it cannot
        have been received.

        Raises:
            NotAuthorised: there is no such key.
            MaybeReceived: it is not repeatable, was sent, and the answer was lost.
            FalError: whatever the last answer stands for.
        """
        key = self.admin_key if as_admin else self._key
        if key is None:
            raise NotAuthorised(NO_ADMIN_KEY, hint=ADMIN_HINT) if as_admin else NotAuthorised(NO_KEY)
        request = {"params": list(query), "json": body}
        with_key = {**(headers or {}), "authorization": f"Key {key}"}
        if is_repeatable:
            return await self._again(method, url, headers=with_key, changes=method != "GET", **request)
        return await self._once(method, url, headers=with_key, **request)

    async def post_once(
        self,
        url: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """POST something that costs money: again only when it cannot have been received.

        Raises:
            MaybeReceived: it was sent and the answer lost.
            FalError: whatever the last answer stands for.
        """
        return await self._once("POST", url, params=params, headers=headers, json=body)

    async def _once(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, **request: Any
    ) -> httpx.Response:
        for attempt in range(TRIES):
            try:
                response = await self._client.request(method, url, headers=self._headers(url, headers), **request)
            except _BEFORE_SENDING as error:
                if attempt == TRIES - 1:
                    raise Unreachable(f"fal could not be reached at {_host(url)}.") from error
                await anyio.sleep(pause(attempt))
                continue
            except httpx.TransportError as error:
                raise MaybeReceived(f"The connection to {_host(url)} broke before fal answered.") from error
            if response.is_success:
                return response
            if attempt == TRIES - 1 or not answers.was_not_taken(
                response.status_code, response.headers, response.content
            ):
                raise self._rejection(response, response.content)
            await anyio.sleep(pause(attempt, answers.retry_after(response.headers)))
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        params: Mapping[str, str],
        *,
        method: str = "GET",
        body: Any = None,
        accept: str = "text/event-stream",
    ) -> AsyncGenerator[httpx.Response]:
        """An open answer to something that changes and costs nothing, events by default; not repeated here.

        Raises:
            FalError: fal refused it.
            Unreachable: it broke, then or later.
        """
        headers = self._headers(url, {"accept": accept})
        timeout = httpx.Timeout(_STREAM_SILENCE, connect=15.0, pool=None)
        try:
            async with self._client.stream(
                method, url, params=params, json=body, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    raise self._rejection(response, await response.aread())
                yield response
        except httpx.TransportError as error:
            raise Unreachable(f"The connection to {_host(url)} broke.") from error

    @asynccontextmanager
    async def posted(self, url: str, body: Any) -> AsyncGenerator[httpx.Response]:
        """An open answer to a POST that costs money; never repeated.

        Raises:
            MaybeReceived: it was sent, and there was no answer.
            Unreachable: the answer broke off.
            FalError: what the answer stands for.
        """
        headers = self._headers(url, {"accept": "text/event-stream"})
        has_answer = False
        try:
            async with self._client.stream("POST", url, json=body, headers=headers) as response:
                has_answer = True
                if not response.is_success:
                    raise self._rejection(response, await response.aread())
                yield response
        except _BEFORE_SENDING as error:
            raise Unreachable(f"fal could not be reached at {_host(url)}.") from error
        except httpx.TransportError as error:
            kind = Unreachable if has_answer else MaybeReceived
            raise kind(f"The connection to {_host(url)} broke.") from error

    async def _again(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, changes: bool = False, **request: Any
    ) -> httpx.Response:
        """Repeated; where it `changes` something and no answer came, whether it was done is not known."""
        was_sent = False
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                response = await self._client.request(method, url, headers=self._headers(url, headers), **request)
            except httpx.TransportError as error:
                was_sent = was_sent or not isinstance(error, _BEFORE_SENDING)
                if last:
                    kind = MaybeReceived if was_sent and changes else Unreachable
                    raise kind(f"fal could not be reached at {_host(url)}.") from error
                await anyio.sleep(pause(attempt))
                continue
            if response.is_success or response.status_code == 304:
                return response
            if last or not answers.is_transient(response.status_code, response.headers):
                raise self._rejection(response, response.content)
            await anyio.sleep(pause(attempt, answers.retry_after(response.headers)))
        raise AssertionError("unreachable")

    def _headers(self, url: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        headers = dict(more or {})
        if not self._hosts.takes_the_key(url):
            headers.pop("authorization", None)
        elif self._key is not None:
            headers.setdefault("authorization", f"Key {self._key}")
        return headers

    def _rejection(self, response: httpx.Response, body: bytes) -> FalError:
        if response.is_redirect:
            return ServiceFailed(
                f"{_host(str(response.url))} answered with a redirect, which is never followed with a key.",
                status=response.status_code,
            )
        error = answers.rejection(response.status_code, response.headers, body)
        error.message = self._without_keys(error.message)
        error.args = (error.message,)
        faults = [(self._without_keys(fault.path), self._without_keys(fault.message)) for fault in error.faults]
        error.faults = tuple(Fault(path, message) for path, message in faults)
        return error

    def _without_keys(self, text: str) -> str:
        for key in filter(None, (self._key, self.admin_key)):
            for part in filter(None, (key, key.partition(":")[2])):
                text = text.replace(part, "<key>")
        return text


def pause(attempt: int, asked: float | None = None) -> float:
    """Seconds to wait after try number `attempt` (from 0): doubling from 0.25 to 10, half to one and a half of it.

    What fal asked for with `Retry-After` is waited in full.
    """
    own = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.5)
    return max(own, asked or 0.0)


def _host(url: str) -> str:
    return httpx.URL(url).host


def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
