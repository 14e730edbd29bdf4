"""fal's Platform API: so far its own description."""

from collections.abc import Mapping
from typing import Any

from fal_mcp.client import answers
from fal_mcp.client.http import Http
from fal_mcp.config import Hosts
from fal_mcp.errors import ServiceFailed


class Platform:
    """fal's Platform API, on the host `api`."""

    def __init__(self, http: Http, hosts: Hosts) -> None:
        self._http = http
        self._hosts = hosts

    async def document(self) -> Mapping[str, Any]:
        """Its OpenAPI document as fal publishes it now. Asks for no key. Fact sheet §6.1.

        Raises:
            FalError: it could not be had, after all retries.
        """
        response = await self._http.get(f"{self._hosts.api}/v1/openapi.json")
        document = answers.json_object(response.content)
        if document is None or "paths" not in document:
            raise ServiceFailed("What fal gave as its Platform API's document is none.")
        return document
