"""Endpoints by the documents that fal has of them, asked for when the endpoint is and kept for as long as they are
true: an app's for a minute, fal's own as long as the catalog.

An endpoint without a document is run all the same where its id could be one: fal decides, and the answer says that
nothing was checked.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import anyio.to_thread

from fal_mcp.catalog import app_route, reader, resolution
from fal_mcp.catalog.endpoint import Endpoint
from fal_mcp.client.endpoint_documents import LONGEST, Fetched
from fal_mcp.client.endpoint_id import app_of
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, NotAuthorised, NotFound, Unreachable
from fal_mcp.openapi import app_document
from fal_mcp.openapi.document import UnusableDocument
from fal_mcp.text import one_line

_APP_SECONDS = 60.0


@dataclass(slots=True)
class _Kept:
    """A document, when it was last known to be true, and for how many seconds it is."""

    fetched: Fetched
    at: float
    seconds: float


class EndpointDocuments:
    """The last of the sources. `is_listed` says of an owner whether fal's catalog has models of it; fal's own documents
    are kept for `seconds`, and no more than `most_kept` of all."""

    def __init__(
        self,
        is_listed: Callable[[str], bool],
        seconds: float,
        most_kept: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_listed, self._seconds, self._most_kept, self._clock = is_listed, seconds, most_kept, clock
        self._kept: dict[str, _Kept] = {}
        self._read: dict[str, tuple[Fetched, Endpoint]] = {}

    def known(self) -> Iterator[Endpoint]:
        return iter([endpoint for _, endpoint in self._read.values()])

    def ids(self) -> Sequence[str]:
        return ()

    async def look(self, fal: Fal) -> None:
        return

    async def read(self, fal: Fal) -> None:
        return

    def forget(self) -> None:
        """Apps are asked for anew, with the tags they had: what is as it was costs next to nothing."""
        for kept in self._kept.values():
            kept.at = float("-inf")

    async def endpoint(self, endpoint_id: str, fal: Fal) -> Endpoint | None:
        if not resolution.is_id(endpoint_id):
            return None
        try:
            fetched = await self._document(endpoint_id, fal)
        except FalError as error:
            self._read.pop(endpoint_id, None)
            return resolution.unchecked(endpoint_id, _why(error))
        return await self._endpoint(endpoint_id, fetched)

    async def _endpoint(self, endpoint_id: str, fetched: Fetched) -> Endpoint:
        before = self._read.get(endpoint_id)
        # The same object: nothing is read twice for being asked about twice.
        if before is not None and before[0] is fetched:
            return before[1]
        self._read.pop(endpoint_id, None)
        try:
            endpoint = await anyio.to_thread.run_sync(_read, endpoint_id, fetched)
        except app_route.NotRunnable as error:
            raise NotFound(str(error), hint=f"What its app runs: {', '.join(error.others) or 'nothing'}.") from error
        except UnusableDocument as error:
            return resolution.unchecked(endpoint_id, f"its document cannot be used. {error}")
        self._read[endpoint_id] = (fetched, endpoint)
        return endpoint

    async def _document(self, endpoint_id: str, fal: Fal) -> Fetched:
        """Its document, from where it most likely lies; from the other place where there is none."""
        first, second = self._of_app, self._of_model
        if self._is_listed(endpoint_id.partition("/")[0]):
            first, second = second, first
        try:
            return await first(endpoint_id, fal)
        except (NotFound, NotAuthorised) as refusal:
            try:
                return await second(endpoint_id, fal)
            except (NotFound, NotAuthorised):
                raise refusal from None

    async def _of_app(self, endpoint_id: str, fal: Fal) -> Fetched:
        app = app_of(endpoint_id)

        async def ask(etag: str) -> Fetched | None:
            return await fal.endpoint_documents.of_app(app, etag)

        return await self._fresh(f"app {app}", _APP_SECONDS, ask)

    async def _of_model(self, endpoint_id: str, fal: Fal) -> Fetched:
        async def ask(etag: str) -> Fetched | None:
            return await fal.endpoint_documents.of_model(endpoint_id, etag)

        return await self._fresh(f"model {endpoint_id}", self._seconds, ask)

    async def _fresh(self, name: str, seconds: float, ask: "Ask") -> Fetched:
        kept = self._kept.get(name)
        if kept is not None and self._clock() - kept.at < kept.seconds:
            return kept.fetched
        try:
            fetched = await ask(kept.fetched.etag if kept else "")
        except FalError:
            # Whoever is refused, or gets no answer, is told what is true now.
            self._kept.pop(name, None)
            raise
        if len(self._kept) >= self._most_kept:
            self._kept.clear()
            self._read.clear()
        known = fetched or (kept.fetched if kept else None)
        assert known is not None
        self._kept[name] = _Kept(known, self._clock(), seconds)
        return known


Ask = Callable[[str], Awaitable[Fetched | None]]


def _read(endpoint_id: str, fetched: Fetched) -> Endpoint:
    if app_document.is_of_app(fetched.document):
        return app_route.endpoint(fetched.document, endpoint_id, app_of(endpoint_id))
    endpoint = reader.endpoint(fetched.document)
    if endpoint.endpoint_id != endpoint_id:
        # Run under the wrong id, another model would be paid for.
        raise UnusableDocument(f"It describes {one_line(endpoint.endpoint_id, 120)!r}.")
    return endpoint


def _why(error: FalError) -> str:
    if isinstance(error, Unreachable):
        return f"its document did not come within {LONGEST:g} seconds"
    return f"fal gives no document of it ({one_line(error.message, 200).rstrip('.')})"
