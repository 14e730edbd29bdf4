"""fal's Platform API: one request of it, sent with the key it needs. Fact sheet §6.1."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed


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
        body: Any = None,
        *,
        as_admin: bool = False,
        is_idempotent: bool = False,
    ) -> httpx.Response:
        """Send one request to `path` below `/v1`.

        With `is_idempotent` a key of our making goes with it, the same when it is repeated, so that fal does it once;
        anything else that changes something is repeated only when it cannot have been received.

        Raises:
            NotAuthorised: there is no such key, or its scope is too small.
            MaybeReceived: it was sent and the answer lost.
            FalError: whatever else fal has against it.
        """
        headers = {"idempotency-key": secrets.token_hex(16)} if is_idempotent else None
        return await self._http.send(
            method,
            f"{self._base}{path}",
            query=query,
            body=body,
            headers=headers,
            as_admin=as_admin,
            is_repeatable=is_idempotent or method in ("GET", "PUT"),
        )

    async def document(self) -> Mapping[str, Any]:
        """The API's OpenAPI document as fal publishes it now. Asks for no key.

        Raises:
            FalError: it could not be had, after all retries.
        """
        response = await self._http.get(f"{self._base}/openapi.json")
        document = answers.json_object(response.content)
        if document is None or "paths" not in document:
            raise ServiceFailed("What fal gave as its Platform API's document is none.")
        return document
