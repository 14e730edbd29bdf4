"""The document of one endpoint, asked of fal when the endpoint is: an app's own, or the one of its queue. Fact F7."""

from dataclasses import dataclass

import anyio.to_thread

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.client.retry import NEVER
from fal_mcp.config import Hosts
from fal_mcp.errors import NotFound, ServiceFailed
from fal_mcp.json_values import JsonMapping, object_of

LONGEST = 5.0
"""Seconds for which a run waits for its document; it can go on without."""
MOST = 4 * 1024 * 1024
"""Bytes: more than ten times fal's largest."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document, and the tag by which fal tells whether it changed; empty where it sends none."""

    document: JsonMapping
    etag: str


class EndpointDocuments:
    """Documents, each asked for once and not again: whoever waits for one is about to run something."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def of_app(self, app: str, etag: str = "") -> Fetched | None:
        """What the app `owner/name` publishes of itself; None where that is still what had this `etag`.

        Raises:
            NotAuthorised: there is no key, or the app is not this one's.
            NotFound: fal has no such app.
            FalError: it could not be had within five seconds, or is larger than 4 MiB.
        """
        self._http.need_key()
        fetched = await self._fetched(f"{self._hosts.rest}/applications/{app}/metadata", {}, etag)
        return fetched and Fetched(object_of(fetched.document.get("openapi")), fetched.etag)

    async def of_model(self, endpoint_id: str, etag: str = "") -> Fetched | None:
        """fal's queue document of an endpoint; None where that is still what had this `etag`. Asks for no key.

        Raises:
            NotFound: fal has none.
            FalError: as for `of_app`.
        """
        url = f"{self._hosts.www}/api/openapi/queue/openapi.json"
        return await self._fetched(url, {"endpoint_id": endpoint_id}, etag)

    async def _fetched(self, url: str, params: dict[str, str], etag: str) -> Fetched | None:
        headers = {"if-none-match": etag} if etag else {}
        response = await self._http.request(
            "GET", url, retry=NEVER, params=params, headers=headers, most=MOST, longest=LONGEST
        )
        if response.status_code == 304:
            return None
        if response.content.strip() == b"null":
            raise NotFound("fal has no document of it.")
        document = await anyio.to_thread.run_sync(answers.json_object, response.content)
        if document is None:
            raise ServiceFailed("What fal gave as its document is not a JSON object.")
        return Fetched(document, response.headers.get("etag", ""))
