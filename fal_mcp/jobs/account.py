"""Under which name the jobs of an account stand, whatever keys it has had: that of its first key here.

A key says nothing of whose it is, and fal tells only keys of scope ADMIN. What it tells every key is which requests
are its account's own: where it lists one that the ledger has of an earlier key, both are of one account. It is asked
only where the ledger has jobs of other keys, with the first call and not at the start, and what it says is kept.
"""

import logging
import time
from collections.abc import Callable

import anyio
import anyio.abc

from fal_mcp.client.requests import Requests
from fal_mcp.errors import FalError
from fal_mcp.jobs.cost import DAY
from fal_mcp.jobs.job import NOBODY, owner_of
from fal_mcp.jobs.ledger import Ledger

_LONGEST = 5.0
"""Seconds for which a call waits for it."""
_AGAIN_AFTER = 60.0
_MOST_ASKED = 5
_STRANGER_FOR = DAY

logger = logging.getLogger("fal_mcp")


class Account:
    """The account whose key this server pays with; `name` is that of the key until more is known."""

    def __init__(
        self,
        key: str | None,
        ledger: Callable[[], Ledger],
        requests: Callable[[], Requests],
        tasks: Callable[[], anyio.abc.TaskGroup],
    ) -> None:
        self._key_id = self.name = owner_of(key)
        self._ledger = ledger
        self._requests = requests
        self._tasks = tasks
        self._is_known = self._key_id == NOBODY
        self._looked: anyio.Event | None = None
        self._next_look = 0.0

    async def know(self) -> None:
        """Know the name before anything is looked for or begun under it. Never raises: where it cannot be told now, the
        key's own stands, and what is begun under that comes along later."""
        if self._is_known or (self._looked is None and time.monotonic() < self._next_look):
            return
        # In the server's group: a call that is broken off, or waits no longer, leaves the look to those after it.
        if self._looked is None:
            self._looked = anyio.Event()
            self._tasks().start_soon(self._look, self._looked)
        with anyio.move_on_after(_LONGEST):
            await self._looked.wait()

    async def _look(self, looked: anyio.Event) -> None:
        try:
            self.name = await self._found()
            self._is_known = True
        except FalError as error:
            logger.info("Whose key it is cannot be told now: %s", error.message)
        except Exception:
            logger.exception("Whose key it is cannot be told.")
        finally:
            self._next_look = time.monotonic() + _AGAIN_AFTER
            self._looked = None
            looked.set()

    async def _found(self) -> str:
        accounts = self._ledger().accounts
        if (known := await accounts.known(self._key_id)) is not None:
            return known
        for name in await accounts.others(self._key_id, _MOST_ASKED):
            asked = await accounts.requests_of(name)
            if await self._owns(asked):
                await accounts.unite(self._key_id, name)
                return name
            if asked:
                await accounts.part(self._key_id, name, _STRANGER_FOR)
        return self._key_id

    async def _owns(self, known: list[tuple[str, str]]) -> bool:
        for endpoint_id, request_id in known:
            if await self._requests().has(endpoint_id, request_id):
                return True
        return False
