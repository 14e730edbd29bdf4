"""fal's workflows as endpoints: the account's own, and any other by its id. Fact F10.4."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import anyio

from fal_mcp.catalog import workflow
from fal_mcp.catalog.endpoint import WORKFLOWS, Endpoint
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, InvalidInput, NotAuthorised, NotFound, Unreachable
from fal_mcp.json_values import JsonObject, list_of, object_of, text_of
from fal_mcp.openapi.document import UnusableDocument

_FRESH_FOR = 60.0
"""Seconds: people change a workflow on fal's page, and run it here a minute later."""
_MOST_KEPT = 500
_MOST_READ = 50
"""Workflows that are read in order to be listed; each is a request."""
_PAGE = 100
_LONGEST = 5.0
"""Seconds for one question: a search and a run wait for it."""

logger = logging.getLogger("fal_mcp")


class OwnWorkflows:
    """Workflows that were asked for, kept for a minute; `known` leads from an id to the catalog's endpoint."""

    def __init__(self, known: Callable[[str], Endpoint | None]) -> None:
        self._catalog = known
        self._kept: dict[str, tuple[float, Endpoint]] = {}
        self._own: list[str] = []
        self._looked = float("-inf")

    def known(self) -> Iterator[Endpoint]:
        """What was read of late. Asks nobody."""
        return (endpoint for _, endpoint in list(self._kept.values()))

    def ids(self) -> Sequence[str]:
        """The account's own workflows, as far as they are known. Asks nobody."""
        return self._own

    async def endpoint(self, endpoint_id: str, fal: Fal) -> Endpoint | None:
        """The workflow of this id; None for what is none, or cannot be read and may be there all the same.

        Raises:
            NotAuthorised: the key may not see it.
            InvalidInput: it cannot be run, whatever it is given.
        """
        if parts_of(endpoint_id) is None:
            return None
        try:
            return await self.read_one(endpoint_id, fal)
        except (NotAuthorised, InvalidInput):
            raise
        except FalError:
            return None

    async def read_one(self, endpoint_id: str, fal: Fal) -> Endpoint:
        """The same, where a workflow that cannot be read is an error.

        Raises:
            FalError: it cannot be had, or cannot be run.
        """
        kept = self._kept.get(endpoint_id)
        if kept is not None and kept[0] > time.monotonic() - _FRESH_FOR:
            return kept[1]
        endpoint = self.of_document(endpoint_id, await self._fetched(endpoint_id, fal))
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[endpoint_id] = (time.monotonic(), endpoint)
        return endpoint

    def of_document(self, endpoint_id: str, about: JsonObject) -> Endpoint:
        """The endpoint that a workflow's document describes.

        Raises:
            InvalidInput: it cannot be run.
        """
        try:
            return workflow.endpoint(endpoint_id, about, self._catalog)
        except UnusableDocument as error:
            raise InvalidInput(
                f"The workflow {endpoint_id!r} cannot be run: {error}", hint="Nothing was sent."
            ) from error

    async def look(self, fal: Fal) -> None:
        """Find out which workflows are the account's own. Never raises a FalError."""
        if self._looked > time.monotonic() - _FRESH_FOR:
            return
        self._looked = time.monotonic()
        try:
            fal.need_key()
            with anyio.fail_after(_LONGEST):
                answer = await fal.platform.call("GET", "/workflows", {"limit": str(_PAGE)})
        except (FalError, TimeoutError) as error:
            # The key may not read them, or fal is silent; what was known stays.
            logger.info("The account's workflows could not be listed: %s", error)
            return
        ids = (_id_of(object_of(row)) for row in list_of(answer.get("workflows")))
        self._own = list(dict.fromkeys(one for one in ids if one))

    async def read(self, fal: Fal) -> None:
        """Read what the account's own workflows take. Never raises a FalError."""
        for endpoint_id in self._own[:_MOST_READ]:
            try:
                await self.read_one(endpoint_id, fal)
            except FalError:
                continue

    def forget(self) -> None:
        """One was made: what is known may be wrong now."""
        self._kept.clear()
        self._looked = float("-inf")

    async def _fetched(self, endpoint_id: str, fal: Fal) -> JsonObject:
        parts = parts_of(endpoint_id)
        if parts is None:
            raise NotFound(f"{endpoint_id[:120]!r} is no workflow's id.", hint="list_workflows shows them.")
        path = "/".join(quote(part, safe="") for part in parts)
        try:
            with anyio.fail_after(_LONGEST):
                answer = await fal.platform.call("GET", f"/workflows/{path}")
        except TimeoutError:
            message = f"fal did not say within {_LONGEST:g} seconds what {endpoint_id!r} is."
            raise Unreachable(message, hint="Nothing was sent. Call again in a moment.") from None
        return object_of(answer.get("workflow"))


def parts_of(endpoint_id: str) -> tuple[str, str] | None:
    """A workflow's owner and name; None for the id of anything else."""
    owner, _, name = endpoint_id.removeprefix(WORKFLOWS).partition("/")
    return (owner, name) if endpoint_id.startswith(WORKFLOWS) and owner and name and "/" not in name else None


def _id_of(row: JsonObject) -> str | None:
    owner, name = text_of(row.get("user_nickname")), text_of(row.get("name"))
    return f"{WORKFLOWS}{owner}/{name}" if owner and name and "/" not in owner + name else None
