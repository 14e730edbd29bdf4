"""Jobs of this server that wait for their turn, until they have it.

Looked at again when something changed, here or at another server, and every second besides: what another process of
this machine ends is not told.
"""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
import anyio.abc

from fal_mcp import logs
from fal_mcp.errors import GenerationFailed, NotRecorded, RateLimited
from fal_mcp.jobs.decisions import Full
from fal_mcp.jobs.job import Job
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.jobs.turns import Room

_LOOK_AGAIN_AFTER = 1.0
_SHORTEST_PAUSE = 0.05
"""Seconds between two looks, however much changes."""
_FULL_FOR = 0.2
"""Seconds for which the store's word that there is no room is taken for granted."""

logger = logging.getLogger("fal_mcp")
See = Callable[[int], None]


@dataclass(slots=True, eq=False)
class _Waiter:
    account: str
    see: See
    is_withdrawn: bool = False
    done: anyio.Event = field(default_factory=anyio.Event)


class Admission:
    """The jobs of one server that wait."""

    def __init__(self, ledger: Ledger, tasks: anyio.abc.TaskGroup, room: Room) -> None:
        self.room = room
        self._ledger = ledger
        self._tasks = tasks
        self._waiters: dict[str, _Waiter] = {}
        self._changed = anyio.Event()
        self._full: tuple[float, Full] | None = None

    @contextmanager
    def heeding(self) -> Generator[None]:
        """Where the store says in it that there is no room, it need not be asked again for a moment.

        Raises:
            RateLimited: there is none.
        """
        try:
            yield
        except Full as full:
            if full.is_everybodys:
                self._full = (time.monotonic() + _FULL_FOR, full)
            raise full.told() from full

    def full(self, account: str) -> RateLimited | None:
        """Why the store refused another job of this account a moment ago, if it did, whosever it was."""
        if self._full is None or time.monotonic() >= self._full[0] or not self._full[1].is_for(account):
            return None
        return self._full[1].told()

    async def left(self, account: str, in_hand: int, since: float) -> int:
        """How many more jobs of this account may begin at this server now, where all servers get as many of those that
        were free `since` seconds ago; `in_hand` are let in here, and may not be in the store yet.

        Raises:
            NotRecorded: the store cannot be used.
        """
        return await self._ledger.left_for_one(account, self.room.most or 0, in_hand, since)

    def ring(self) -> None:
        """Something changed: there may be room."""
        self._changed.set()

    async def turn(self, job: Job, see: See) -> None:
        """Wait until it is this job's turn; `see` is told its place whenever that is another.

        Raises:
            GenerationFailed: it was cancelled, or another server has it; nothing was sent.
        """
        waiter = _Waiter(job.account, see)
        if not self._waiters:
            self._tasks.start_soon(self._keep)
        self._waiters[job.job_id] = waiter
        self.ring()
        try:
            await waiter.done.wait()
        finally:
            self._waiters.pop(job.job_id, None)
        if waiter.is_withdrawn:
            raise withdrawn()

    async def withdraw(self, job_id: str) -> bool:
        """End a job that waits; False where it does not any more."""
        is_ended = await self._ledger.withdraw(job_id)
        self.ring()
        return is_ended

    async def _keep(self) -> None:
        """Never raises: it hangs in the server's own group."""
        with logs.about(request_id="", principal=""):
            # It was begun by one call, and goes on for those of everybody.
            await self._look_while_any_wait()

    async def _look_while_any_wait(self) -> None:
        while self._waiters:
            with anyio.move_on_after(_LOOK_AGAIN_AFTER):
                await self._changed.wait()
            self._changed = anyio.Event()
            try:
                for account in {waiter.account for waiter in self._waiters.values()}:
                    await self._look(account)
            except NotRecorded as error:
                logger.info("Whose turn it is cannot be told: %s", error.message)
            except Exception:
                logger.exception("Whose turn it is cannot be told.")
            await anyio.sleep(_SHORTEST_PAUSE)

    async def _look(self, account: str) -> None:
        known = {job_id: waiter for job_id, waiter in self._waiters.items() if waiter.account == account}
        places = await self._ledger.admit(account, self.room)
        for job_id, waiter in known.items():
            if (place := places.get(job_id)) is not None:
                waiter.see(place)
                continue
            # It waits no more: it has its turn, or somebody ended it or took it over.
            waiter.is_withdrawn = not await self._ledger.is_at(job_id, "intent")
            waiter.done.set()


def withdrawn() -> GenerationFailed:
    """What a job that was ended while it waited is told."""
    return GenerationFailed(
        "The job was cancelled while it waited for its turn. Nothing of it was sent, and it costs nothing.",
        error_type="client_cancelled",
        retryable=False,
    )
