"""Answers on their way out: handed to the SDK, and not yet counted as arrived.

What counts as arrived is owed to nobody any more, so that the same call later begins another job.
"""

import logging
from collections.abc import Iterable

import anyio
import anyio.abc

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.ledger import Ledger

_ON_ITS_WAY = 0.25
"""Seconds from an answer's being handed to the SDK until it counts as arrived. A server that is killed before has
answered nobody: the call again gets the same job."""

logger = logging.getLogger("fal_mcp")


class Outgoing:
    """The answers of one server that are on their way, each with the call that asked for it."""

    def __init__(self, ledger: Ledger, tasks: anyio.abc.TaskGroup) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._calls: dict[str, str] = {}
        self._moments: dict[str, float] = {}
        self._is_waiting = False

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs whose answers are on their way."""
        return frozenset(self._calls)

    def send(self, job_ids: Iterable[str], call_id: str, *, is_open: bool) -> None:
        """The answer about these jobs is handed over now; an open one says only that they go on."""
        calls = dict.fromkeys(job_ids, call_id)
        if calls:
            self._calls |= calls
            # 0 is before anything that became of the job: whatever is written of it later is unseen.
            self._moments |= dict.fromkeys(calls, 0.0 if is_open else self._ledger.now())
            if not self._is_waiting:
                self._is_waiting = True
                self._tasks.start_soon(self._arrive)

    def take_back(self, job_id: str) -> None:
        """Another call joined the job, and is owed an answer of its own."""
        self._calls.pop(job_id, None)

    async def arrived(self) -> None:
        """Count all of them as arrived: the server ends, and what was handed over is out."""
        await self._arrived(dict(self._calls))

    async def _arrive(self) -> None:
        """Never raises: it hangs in the server's own group."""
        try:
            while self._calls:
                # What is handed over meanwhile waits for the next round: nothing counts sooner than it should, and many
                # answers are written down together.
                calls = dict(self._calls)
                # The SDK does not say when an answer was written; a moment is all that a pipe to a client that lives
                # takes.
                await anyio.sleep(_ON_ITS_WAY)
                if not await self._arrived(calls):
                    return
        except Exception:
            logger.exception("That answers arrived could not be written down.")
        finally:
            self._is_waiting = False

    async def _arrived(self, calls: dict[str, str]) -> bool:
        # A call that joined since is owed an answer of its own.
        current = {job_id: call_id for job_id, call_id in calls.items() if self._calls.get(job_id) == call_id}
        try:
            await self._ledger.arrived([(*each, self._moments.get(each[0])) for each in current.items()])
        except NotRecorded as error:
            logger.error("%s", error.message)
            return False
        for job_id in current:
            self._calls.pop(job_id, None)
            self._moments.pop(job_id, None)
        return True
