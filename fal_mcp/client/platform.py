"""fal's Platform API: one request of it, sent with the key it needs."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

import httpx

from fal_mcp.client import answers, events
from fal_mcp.client.events import Event
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject


class Platform:
    """The account behind the key."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._base = f"{hosts.api}/v1"

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: object = None,
        *,
        as_admin: bool = False,
        is_idempotent: bool = False,
        idempotency_key: str | None = None,
        changes: bool | None = None,
    ) -> httpx.Response:
        """Send one request to `path` below `/v1`.

        With `is_idempotent` a key goes with it, the same when it is repeated, so that fal does it once: one of our
        making, or the given one of an earlier try. Anything else that changes something is repeated only when it cannot
        have been received. All but GET does, unless said otherwise.

        Raises:
            NotAuthorised: there is no such key, or its scope is too small.
            MaybeReceived: it changes something, was sent, and no answer proves that it was refused.
            FalError: whatever else fal has against it.
        """
        # Made here and not at each try: fal keeps its answer to a key for ten minutes, and gives it again.
        headers = {"idempotency-key": idempotency_key or secrets.token_hex(16)} if is_idempotent else None
        return await self._http.send(
            method,
            f"{self._base}{path}",
            query=query,
            body=body,
            headers=headers,
            as_admin=as_admin,
            # DELETE is not: what was deleted answers 404 the second time, which would read as a mistake.
            is_repeatable=is_idempotent or changes is False or method in ("GET", "PUT"),
            changes=changes,
        )

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        as_admin: bool = False,
    ) -> JsonObject:
        """What fal answers to an operation below `/v1`, such as `GET /models/pricing`; empty where that is nothing.

        Raises:
            FalError: as for `send`; and the answer is no JSON object.
        """
        response = await self.send(method, path, list((query or {}).items()), body, as_admin=as_admin)
        answer = answers.json_object(response.content) if response.content.strip() else {}
        if answer is None:
            raise ServiceFailed("fal's answer is not a JSON object.")
        return answer

    @asynccontextmanager
    async def events(
        self, method: str, path: str, query: Sequence[tuple[str, str]]
    ) -> AsyncGenerator[AsyncIterator[Event]]:
        """The events of a stream at `path` below `/v1`, for as long as it is open.

        Raises:
            NotAuthorised: there is no key, or fal does not take it.
            ServiceFailed: what fal gave is no stream of events.
            Unreachable: the stream broke, then or later.
        """
        self._http.need_key()
        headers = {"accept": "text/event-stream"}
        async with self._http.stream(method, f"{self._base}{path}", params=list(query), headers=headers) as incoming:
            kind = incoming.headers.get("content-type", "").partition(";")[0].strip().casefold()
            if kind != "text/event-stream":
                raise ServiceFailed("What fal gave is no stream of events.")
            async with aclosing(events.events(incoming)) as stream:
                yield stream

    async def document(self) -> JsonMapping:
        """The API's OpenAPI document as fal publishes it now. Asks for no key.

        Raises:
            FalError: it could not be had, after all retries.
        """
        response = await self._http.get(f"{self._base}/openapi.json")
        document = answers.json_object(response.content)
        if document is None or "paths" not in document:
            raise ServiceFailed("What fal gave as its Platform API's document is none.")
        return document
