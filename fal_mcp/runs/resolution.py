"""Every endpoint that a key can run beside the catalog's: sources, asked in their order. Whoever has an id or a tool's
name asks here; what answered is remembered by its source, so that a list can be made without asking anybody.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import anyio

from fal_mcp.catalog.endpoint import Endpoint, tool_name
from fal_mcp.client.fal import Fal


class Source(Protocol):
    """Where endpoints are known beside the catalog."""

    def known(self) -> Iterator[Endpoint]:
        """What it has told of and would tell again now. Asks nobody."""
        ...

    def ids(self) -> Sequence[str]:
        """The ids whose tools `--list mine` lists, as far as they are known. Asks nobody."""
        ...

    async def endpoint(self, endpoint_id: str, fal: Fal) -> Endpoint | None:
        """The endpoint of this id; None leaves it to the next source.

        Raises:
            FalError: it has it, and it cannot be run.
        """
        ...

    async def look(self, fal: Fal) -> None:
        """Find out which endpoints are the account's own, where that is not known of late; within seconds, whatever
        fal does. Never raises a FalError."""
        ...

    async def read(self, fal: Fal) -> None:
        """Read what the account's own endpoints take, so that they can be listed. Never raises a FalError."""
        ...

    def forget(self) -> None:
        """Something was deployed or made: what is known may be wrong now."""
        ...


class Resolution:
    """Sources in their order; the first that knows an id has it."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        self._sources = sources

    def known(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this id, where a source has told of it. Asks nobody."""
        return next((one for one in self._known() if one.endpoint_id == endpoint_id), None)

    def own_ids(self) -> list[str]:
        """The account's own endpoints, as far as they are known. Asks nobody."""
        return list(dict.fromkeys(one for source in self._sources for one in source.ids()))

    def ids(self) -> list[str]:
        """Every id that a source knows, the account's own first. Asks nobody."""
        return list(dict.fromkeys([*self.own_ids(), *(one.endpoint_id for one in self._known())]))

    def names(self) -> dict[str, str]:
        """The id that each tool's name leads to: of several that would have the same, the first. Asks nobody."""
        # Backwards, so that what comes first is what stays.
        return {tool_name(one): one for one in reversed(self.ids())}

    def taken(self) -> dict[str, Endpoint]:
        """The account's own endpoints by their ids, as far as they are read. Asks nobody."""
        return {one: endpoint for one in self.own_ids() if (endpoint := self.known(one))}

    async def endpoint(self, endpoint_id: str, fal: Fal) -> Endpoint | None:
        """The endpoint of this id; None where no source has it.

        Raises:
            FalError: one has it, and it cannot be run.
        """
        for source in self._sources:
            if (endpoint := await source.endpoint(endpoint_id, fal)) is not None:
                return endpoint
        return None

    async def id_named(self, name: str, fal: Fal) -> str | None:
        """The id whose tool has this name: one that was asked for before, or one of the account's own."""
        if (known := self.names().get(name)) is None:
            await self.look(fal)
        return known or self.names().get(name)

    async def look(self, fal: Fal) -> None:
        """Find out which endpoints are the account's own, where that is not known of late."""
        # At once: whoever searches waits for the slowest of them, and not for each after the other.
        async with anyio.create_task_group() as tasks:
            for source in self._sources:
                tasks.start_soon(source.look, fal)

    async def read(self, fal: Fal) -> None:
        """The same, and what each of them takes, so that they can be listed."""
        await self.look(fal)
        for source in self._sources:
            await source.read(fal)

    def forget(self) -> None:
        """Something was deployed or made: what is known may be wrong now."""
        for source in self._sources:
            source.forget()

    def _known(self) -> Iterator[Endpoint]:
        return (endpoint for source in self._sources for endpoint in source.known())
