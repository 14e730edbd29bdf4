"""One connection pool to fal: the key, retrying, and answers turned into errors.

The key goes to fal's own hosts and nowhere else; redirects are not followed, so it cannot be carried off. In whatever
fal says, the key is masked before anybody reads it.
"""

import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import anyio
import httpx

from fal_mcp import __version__, traces
from fal_mcp.addresses import host_of
from fal_mcp.client import answers, body
from fal_mcp.client.door import door, is_address, made_client, made_tls
from fal_mcp.client.fals_clock import FalsClock
from fal_mcp.client.hints import ADMIN_HINT, NO_ADMIN_KEY, NO_KEY
from fal_mcp.client.incoming import LONGEST_GOODBYE, Incoming, closed
from fal_mcp.client.inputs import as_json
from fal_mcp.client.masking import Mask
from fal_mcp.client.pools import Pools
from fal_mcp.client.retry import ALWAYS, IF_NOT_RECEIVED, Clock, Retry
from fal_mcp.client.verdicts import is_final, is_good, is_worth_another, lost
from fal_mcp.config import Hosts
from fal_mcp.errors import FalError, MaybeReceived, NotAuthorised, ServiceFailed, Unreachable

_TIMEOUT = httpx.Timeout(60.0, connect=15.0, pool=None)
UPLOAD_TIMEOUT = httpx.Timeout(300.0, connect=15.0, pool=None)
"""An upload's last bytes may be on their way for long before its host says anything."""
STREAM_TIMEOUT = httpx.Timeout(60.0, connect=15.0, pool=None)
"""fal's streams carry a comment every few seconds; a minute of nothing is a dead connection."""
LONGEST = 600.0
"""Seconds from a request to the end of its answer; a host that sends a byte a minute ends here."""
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": body.ACCEPTED,
    "connection": "keep-alive",
    "user-agent": f"fal-mcp/{__version__}",
}
_SHORTEST_PATIENCE = 2.0  # Seconds; with less not even the shortest pause and a second try would fit.
Key = Literal["none", "own", "admin"]
Judge = Callable[[int, Mapping[str, str], bytes], FalError]
"""What an answer outside 2xx stands for, given the question that was asked."""


class Http:
    """Requests to fal. Use as an async context manager; `transport` takes the network's place in tests.

    Connections are made when they are needed, so that what this machine's surroundings have against them is told to
    who asks, and hinders nothing else.
    """

    def __init__(
        self,
        hosts: Hosts,
        key: str | None,
        transport: httpx.AsyncBaseTransport | None = None,
        admin_key: str | None = None,
        clock: Clock | None = None,
        patience: float = math.inf,
    ) -> None:
        self._hosts = hosts
        self._key = key
        self.admin_key = admin_key
        self.clock = clock or Clock()
        self.fals_clock = FalsClock()
        # Whoever waits for an answer waits no longer than for a job.
        self._always, self._once = ALWAYS.within(patience), IF_NOT_RECEIVED.within(patience)
        self._transport = transport
        self._pools = Pools(self._made)
        self._tls: ssl.SSLContext | None = None
        self._mask = Mask(key, admin_key)

    async def __aenter__(self) -> "Http":
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Taken away first: whoever still asks while the old pool closes gets a new one and not a closed one.
        pools, self._pools = self._pools, Pools(self._made)
        with anyio.move_on_after(LONGEST_GOODBYE, shield=True), suppress(Exception):
            await pools.aclose()

    @property
    def tls(self) -> ssl.SSLContext | None:
        """Whom connections trust; None where fal's stand-in is spoken to in the clear.

        Raises:
            Unreachable: this machine's certificates cannot be read.
        """
        if self._tls is None and self._hosts.queue.startswith("https"):
            # Made once for all connections: reading a machine's certificates takes 20 ms.
            self._tls = made_tls()
        return self._tls

    def need_key(self) -> None:
        """Refuse, before anything is sent, what cannot be done without a key.

        Raises:
            NotAuthorised: there is none; the hint says how to get one and where it goes.
        """
        if self._key is None:
            raise NotAuthorised(NO_KEY)

    def is_fals(self, url: str) -> bool:
        """Whether the key may go to `url`; no text is too strange to be asked about."""
        return is_address(url) and self._hosts.takes_the_key(url)

    def masked(self, text: str) -> str:
        """`text` without the keys."""
        return self._mask.text(text)

    def holds_a_key(self, content: bytes | str) -> bool:
        """Whether a key stands in it."""
        return self._mask.is_needed(content)

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        most: int = body.LARGEST,
    ) -> httpx.Response:
        """GET, again when the answer is lost or transient. "Not modified" is an answer."""
        return await self.request("GET", url, retry=ALWAYS, params=params, headers=headers, most=most)

    async def ask(
        self,
        url: str,
        content: object,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A POST that changes nothing and costs nothing, repeated like `get`."""
        return await self.request("POST", url, retry=ALWAYS, params=params, headers=headers, json=content)

    async def put(self, url: str, params: Mapping[str, str] | None = None, content: object = None) -> httpx.Response:
        """An idempotent PUT, repeated like `get`."""
        return await self.request("PUT", url, retry=ALWAYS, params=params, json=content)

    async def send(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        as_admin: bool = False,
        is_repeatable: bool = True,
        changes: bool | None = None,
    ) -> httpx.Response:
        """Any request, with the admin key where asked; one that is not repeatable is sent again only when it cannot
        have been received. All but GET changes something, unless said otherwise.

        Raises:
            NotAuthorised: there is no such key.
            MaybeReceived: it changes something, was sent, and no answer proves that it was refused.
            FalError: whatever the last answer stands for.
        """
        key = self.admin_key if as_admin else self._key
        if key is None:
            raise NotAuthorised(NO_ADMIN_KEY, hint=ADMIN_HINT) if as_admin else NotAuthorised(NO_KEY)
        changes = method != "GET" if changes is None else changes
        return await self.request(
            method,
            url,
            retry=ALWAYS if is_repeatable else self._once,
            key="admin" if as_admin else "own",
            params=list(query),
            headers=headers,
            json=body,
            # What is repeatable may still change something: a lost answer to it leaves open whether it was done, and so
            # does one that is no refusal of fal's own.
            changes=changes,
            judge=answers.refusal_of_paid if changes else answers.rejection,
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        retry: Retry,
        key: Key = "own",
        params: object = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: Callable[[], bytes | AsyncIterable[bytes]] | None = None,
        silence: httpx.Timeout = _TIMEOUT,
        most: int = body.LARGEST,
        changes: bool = False,
        judge: Judge = answers.rejection,
        longest: float = LONGEST,
    ) -> httpx.Response:
        """Send a request, again as `retry` says, and return its whole answer, unpacked and at most `most` bytes long.

        `content` is asked for the bytes anew at every try. Where it `changes` something, an answer that was lost or
        cannot be read leaves open whether it was acted upon.

        Raises:
            Unreachable: there was no answer; where it changes something, nothing was sent.
            MaybeReceived: it changes something, was sent, and no answer proves that it was refused.
            TooLarge: the answer is; never where it changes something.
            FalError: what the last answer stands for, as `judge` has it.
        """
        # Before the first try: what cannot be sent as JSON is a fault of the arguments and nothing to try again.
        data = as_json(json)

        def built() -> httpx.Request:
            return self._built(method, url, key, params, headers, data, content, silence)

        retry = self._always if retry is ALWAYS else retry
        return await self._repeated(built, retry, most, changes, judge, longest)

    async def _repeated(
        self, built: Callable[[], httpx.Request], retry: Retry, most: int, changes: bool, judge: Judge, longest: float
    ) -> httpx.Response:
        began, attempt, was_sent = self.clock.now(), 0, False
        while True:
            try:
                response = await self._exchange(built(), most, longest, retry.left(self.clock.now() - began))
            except Unreachable as error:
                # One try that may have arrived is enough: a later one that surely did not proves nothing about the
                # first.
                was_sent = was_sent or isinstance(error, MaybeReceived)
                final, may = lost(error, was_sent and changes), not is_final(error, retry)
            except body.TooLarge as error:
                # Asked again it would be as large; and that an answer came does not say which.
                raise (MaybeReceived(error.message, status=error.status) if changes else error) from error
            else:
                if is_good(response):
                    return response
                final, may = self._judged(response, judge), is_worth_another(response, retry)
            # Counted from the first try on, so that slow answers use up the time that pauses would have.
            pause = retry.pause(attempt, self.clock.now() - began, final.retry_after) if may else None
            if pause is None:
                raise final
            await self.clock.sleep(pause)
            attempt += 1

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        key: Key = "own",
        params: object = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        changes: bool = False,
        judge: Judge = answers.rejection,
    ) -> AsyncGenerator[Incoming]:
        """An open answer, sent for once.

        Raises:
            Unreachable: there was no answer; where it changes something, nothing was sent.
            MaybeReceived: it changes something, was sent, and there was no answer.
            FalError: what the answer stands for, as `judge` has it.
        """
        request = self._built(method, url, key, params, headers, as_json(json), None, STREAM_TIMEOUT)
        with self._pools.held() as client:
            try:
                response = await _answered(client, request)
            except Unreachable as error:
                raise lost(error, changes and isinstance(error, MaybeReceived)) from error
            try:
                if not response.is_success:
                    raise self._judged(await self._whole(response, body.SMALL), judge)
                yield Incoming(response, self.masked, changes)
            finally:
                await closed(response)

    def _built(
        self,
        method: str,
        url: str,
        key: Key,
        params: Any,
        headers: Mapping[str, str] | None,
        data: bytes | None,
        content: Callable[[], bytes | AsyncIterable[bytes]] | None,
        silence: httpx.Timeout,
    ) -> httpx.Request:
        # An address or a header that httpx will not take is found out while the request is built: nothing has left.
        with door(url, is_sent=False):
            return httpx.Request(
                method,
                url,
                params=params or None,
                headers=self._headers(url, key, headers, data is not None),
                content=content() if content else data,
                extensions={"timeout": silence.as_dict()},
            )

    async def _exchange(self, request: httpx.Request, most: int, longest: float, patience: float) -> httpx.Response:
        # httpx's own limits are for each silence; only this one ends an answer that trickles for ever.
        began = anyio.current_time()
        with door(request.url), anyio.fail_after(min(longest, patience)) as end:
            response = await _answered(self._pools.short, request)
            # One whose time was up a moment before stays over: an answer that is cut by a clock that was put on since
            # would be none, and no error either.
            if not end.cancel_called:
                end.deadline = began + longest
            if self.is_fals(str(request.url)):
                self.fals_clock.hear(response.headers)
            try:
                return await self._whole(response, most if response.is_success else body.SMALL)
            except Unreachable as error:
                # The headers were there: fal's id is what the body's loss can be looked up by.
                error.request_id = error.request_id or self._request_id(response)
                error.status = response.status_code
                raise
            finally:
                await closed(response)

    async def _whole(self, response: httpx.Response, most: int) -> httpx.Response:
        try:
            content = await body.whole(response, most)
        except body.TooLarge:
            if response.is_success:
                raise
            content = b""
        return self._mask.answer(response, content)

    def _made(self) -> httpx.AsyncClient:
        # What takes the network's place needs nobody's certificates.
        tls = self.tls if self._transport is None else None
        return made_client(self._transport, _TIMEOUT, {}, tls)

    def _headers(self, url: str, key: Key, more: Mapping[str, str] | None, is_json: bool) -> dict[str, str]:
        headers = _HEADERS | ({"content-type": "application/json"} if is_json else {})
        headers |= {name.lower(): value for name, value in (more or {}).items()}
        secret = {"none": None, "own": self._key, "admin": self.admin_key}[key]
        if secret is not None and self.is_fals(url):
            headers |= {"authorization": f"Key {secret}", **traces.headers()}
        return headers

    def _judged(self, response: httpx.Response, judge: Judge) -> FalError:
        # For a paid request a redirect proves nothing either way, and its own judge says so.
        if response.is_redirect and judge is answers.rejection:
            why = "with a key" if "authorization" in response.request.headers else "here"
            return ServiceFailed(
                f"{host_of(str(response.url))} answered with a redirect, which is never followed {why}.",
                status=response.status_code,
            )
        return self._mask.error(judge(response.status_code, response.headers, response.content))

    def _request_id(self, response: httpx.Response) -> str | None:
        named = response.headers.get("x-fal-request-id")
        return self.masked(named)[:80] if named else None


async def _answered(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    with door(request.url):
        return await client.send(request, stream=True)
