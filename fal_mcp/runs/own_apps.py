"""The apps of the key's account, every route an endpoint of its own; asked for when they are first needed."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import anyio

from fal_mcp.catalog import resolution
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.client.endpoint_id import app_of
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, object_of, text_of
from fal_mcp.runs.endpoint_documents import EndpointDocuments

OWN = "own_app"
"""Where an endpoint's metadata has what fal lists of its app."""
_SECONDS = 60.0
_LONGEST = 5.0
_MOST_READ = 40

logger = logging.getLogger("fal_mcp")


@dataclass(frozen=True, slots=True)
class _Listed:
    """What fal listed, and when, by the clock."""

    apps: Mapping[str, JsonObject]
    """What fal says of each app, by each of its endpoint ids."""
    at: float


class OwnApps:
    """The account's apps, over the documents that they publish."""

    def __init__(self, documents: EndpointDocuments, clock: Callable[[], float] = time.monotonic) -> None:
        self._documents, self._clock = documents, clock
        self._listed = _Listed({}, float("-inf"))
        self._lock = anyio.Lock()

    def known(self) -> Iterator[Endpoint]:
        return (
            _marked(endpoint, app)
            for endpoint in self._documents.known()
            if (app := self._listed.apps.get(endpoint.endpoint_id)) is not None
        )

    def ids(self) -> Sequence[str]:
        return list(self._listed.apps)

    def app(self, endpoint_id: str) -> JsonMapping | None:
        """What fal lists of the app that has this endpoint; None where it is not the account's, or not known to be."""
        return self._listed.apps.get(endpoint_id)

    async def endpoint(self, endpoint_id: str, fal: Fal) -> Endpoint | None:
        # Not asked for here: a run of something unknown costs one request more, for its document, and not two.
        app = self._listed.apps.get(endpoint_id)
        if app is None:
            return None
        endpoint = await self._documents.endpoint(endpoint_id, fal)
        return endpoint and _marked(endpoint, app)

    async def look(self, fal: Fal) -> None:
        async with self._lock:
            if self._clock() - self._listed.at < _SECONDS:
                return
            apps = self._listed.apps
            try:
                fal.need_key()
                with anyio.fail_after(_LONGEST):
                    answer = await fal.platform.call("GET", "/serverless/apps", {"expand": "endpoints"})
                apps = _by_endpoint(answer)
            except (FalError, TimeoutError) as error:
                # Whoever cannot ask has no apps here, and is told of everything else.
                logger.info("The account's apps could not be listed: %s", error)
            self._listed = _Listed(apps, self._clock())

    async def read(self, fal: Fal) -> None:
        """Read the document of every app, so that its tools can be listed. Never raises a FalError."""
        for endpoint_id in list(self._listed.apps)[:_MOST_READ]:
            try:
                await self._documents.endpoint(endpoint_id, fal)
            except FalError as error:
                logger.info("%s is not listed: %s", endpoint_id, error.message)

    def forget(self) -> None:
        # Its routes stay known until they are listed anew: a call by name in between finds them.
        self._listed = replace(self._listed, at=float("-inf"))


def _by_endpoint(answer: JsonMapping) -> dict[str, JsonObject]:
    rows = [object_of(row) for row in list_of(answer.get("apps"))]
    return {
        endpoint_id: row
        for row in rows
        for endpoint_id in _endpoints(row)
        # An id becomes a part of addresses, and its app is whose document is asked for.
        if resolution.is_id(endpoint_id) and app_of(endpoint_id) == row.get("endpoint_id")
    }


def _endpoints(row: JsonMapping) -> list[str]:
    named = [text for one in list_of(row.get("endpoints")) if (text := text_of(one))]
    return named or ([text] if (text := text_of(row.get("endpoint_id"))) else [])


def _marked(endpoint: Endpoint, app: JsonMapping) -> Endpoint:
    return replace(endpoint, metadata={**endpoint.metadata, OWN: dict(app)})
