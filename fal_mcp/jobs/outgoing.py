"""Answers on their way out: handed to the SDK, and not yet counted as arrived.

What counts as arrived is owed to nobody any more, so that the same call later begins another job.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
import anyio.abc

from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.ledger import Ledger

_ON_ITS_WAY = 0.25
"""Seconds from an answer's being handed to the SDK until it counts as arrived. A server that is killed before has
answered nobody: the call again gets the same job."""

IsOut = Callable[[], bool | None]
"""Whether an answer went out whole: None while that is not known, False where its connection broke before."""

logger = logging.getLogger("fal_mcp")


def unseen() -> bool:
    """For answers of which nobody says when they were written: a moment is all that a pipe to a client takes."""
    return True


@dataclass(frozen=True, slots=True)
class _Answer:
    """One about one job: for which call, when it counts as given, when it was handed over by `time.monotonic`."""

    call_id: str
    moment: float
    handed: float
    is_out: IsOut

    @property
    def is_on_its_way(self) -> bool:
        """Whether its client may have it, though nobody wrote that down yet."""
        is_out = self.is_out()
        # The end of an answer may be read before this side hears that it was written; not for long.
        return is_out is True or (is_out is None and time.monotonic() < self.handed + _ON_ITS_WAY)


class Outgoing:
    """The answers of one server that are on their way, each with the call that asked for it."""

    def __init__(self, ledger: Ledger, tasks: anyio.abc.TaskGroup) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._answers: dict[str, _Answer] = {}
        self._is_waiting = False

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs whose answers are on their way."""
        return frozenset(job_id for job_id, answer in self._answers.items() if answer.is_on_its_way)

    def send(self, job_ids: Iterable[str], call_id: str, is_out: IsOut = unseen, *, is_open: bool) -> None:
        """The answer about these jobs is handed over now; an open one says only that they go on."""
        # 0 is before anything that became of the job: whatever is written of it later is unseen.
        answer = _Answer(call_id, 0.0 if is_open else self._ledger.now(), time.monotonic(), is_out)
        self._answers |= dict.fromkeys(job_ids, answer)
        if self._answers and not self._is_waiting:
            self._is_waiting = True
            self._tasks.start_soon(self._arrive)

    def take_back(self, job_id: str) -> None:
        """Another call joined the job, and is owed an answer of its own."""
        self._answers.pop(job_id, None)

    async def settle(self) -> None:
        """Owe again what did not go out, before anything is decided by it.

        Raises:
            NotRecorded: that cannot be written down.
        """
        await self._owe(self._current(self._answers, False))

    async def arrived(self) -> None:
        """Count as arrived what went out, and owe the rest: the server ends."""
        answers = dict(self._answers)
        if await self._arrived(answers):
            await self._owe(self._current(answers, None))

    async def _arrive(self) -> None:
        """Never raises: it hangs in the server's own group."""
        try:
            while self._answers:
                # What is handed over meanwhile waits for the next round: nothing counts sooner than it should, and many
                # answers are written down together.
                answers = dict(self._answers)
                # That it was written does not say that it was read; a moment is all that a client that lives takes.
                await anyio.sleep(_ON_ITS_WAY)
                if not await self._arrived(answers):
                    return
        except Exception:
            logger.exception("That answers arrived could not be written down.")
        finally:
            self._is_waiting = False

    async def _arrived(self, answers: dict[str, _Answer]) -> bool:
        current = self._current(answers, True)
        try:
            await self._ledger.arrived([(job_id, each.call_id, each.moment) for job_id, each in current.items()])
            self._forget(current)
            await self._owe(self._current(answers, False))
        except NotRecorded as error:
            logger.error("%s", error.message)
            return False
        return True

    async def _owe(self, answers: dict[str, _Answer]) -> None:
        # Whoever only looked at a job takes nothing away from the call that asked for it.
        for call_id in {each.call_id for each in answers.values() if each.call_id}:
            await self._ledger.left([job_id for job_id, each in answers.items() if each.call_id == call_id], call_id)
        self._forget(answers)

    def _current(self, answers: dict[str, _Answer], is_out: bool | None) -> dict[str, _Answer]:
        # A call that joined since is owed an answer of its own.
        return {
            job_id: each
            for job_id, each in answers.items()
            if self._answers.get(job_id) is each and each.is_out() is is_out
        }

    def _forget(self, answers: dict[str, _Answer]) -> None:
        for job_id, each in answers.items():
            if self._answers.get(job_id) is each:
                del self._answers[job_id]
