"""Realtime connections that are kept warm between calls: a few at once, each closed when nothing comes for a while.

A call only waits here. A session lives in the server's task group, sends one input at a time, and is one row of the
ledger for each day (UTC), which grows with each input.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, MaybeReceived, NotFound, NotRecorded, RequestRejected, ServiceFailed
from fal_mcp.jobs import cost
from fal_mcp.jobs.job import Job, Order, costs_nothing
from fal_mcp.jobs.kept_errors import said
from fal_mcp.jobs.ledger import Ledger, Limits
from fal_mcp.json_values import JsonObject

if TYPE_CHECKING:
    from fal_mcp.client.realtime import Line

MOST_SESSIONS = 4
"""Of one client's connection."""
MOST_OF_ALL = 16
MOST_WAITING = 8
_LONGEST_GOODBYE = 10.0
_ENDED = "The session ended before this input was sent; it costs nothing."

logger = logging.getLogger("fal_mcp")


@dataclass(slots=True, eq=False)
class Input:
    """One input on its way through a session. `outcome` is its answer, what went wrong, or None where a newer input
    took its place."""

    order: Order
    seconds: float
    newest_wins: bool
    outcome: JsonObject | FalError | None = None
    done: anyio.Event = field(default_factory=anyio.Event)

    def end(self, outcome: JsonObject | FalError | None) -> None:
        """Tell whoever waits."""
        self.outcome = outcome
        self.done.set()


class Session:
    """One connection while it is kept, written down as `job`. `idle` is in seconds."""

    def __init__(self, job: Job, order: Order, idle: float, ledger: Ledger, limits: Limits) -> None:
        self.session_id = f"rt_{secrets.token_hex(8)}"
        self.job = job
        self.connection = order.connection
        self.idle = idle
        self.answered = 0
        self.is_over = False
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
        self._order = order
        self._ledger = ledger
        self._limits = limits
        self._waiting: deque[Input] = deque()
        self._news = anyio.Event()

    def put(self, item: Input) -> None:
        """Let an input wait for its turn; with `newest_wins` it takes the place of one that waits so too.

        Raises:
            RequestRejected: too many wait.
        """
        if self.is_over:
            raise NotFound(_ENDED, hint="Open another with realtime_open.")
        # Of live pictures only the newest is worth its price; who sent the older one is told that it was not sent.
        older = [waiting for waiting in self._waiting if waiting.newest_wins] if item.newest_wins else []
        for waiting in older:
            self._waiting.remove(waiting)
            waiting.end(None)
        if len(self._waiting) >= MOST_WAITING:
            raise RequestRejected(
                f"{MOST_WAITING} inputs wait in this session already.", hint="Wait for an answer, or use newest_wins."
            )
        self._waiting.append(item)
        self._news.set()

    def forget(self, item: Input) -> None:
        """Nobody waits for this input any more; where it was not sent, it is not going to be."""
        if item in self._waiting:
            self._waiting.remove(item)

    async def live(self, line: "Line") -> None:
        """Send what is put in, until nothing was for `idle` seconds."""
        try:
            while (item := await self._next()) is not None:
                await self._work(line, item)
        finally:
            # From here on nothing is put in, though saying goodbye takes a moment.
            self.is_over = True

    async def end(self, state: str) -> None:
        """Tell all who wait, and write down that it is over. Never raises."""
        for item in self._waiting:
            item.end(RequestRejected(_ENDED, hint="Open another session with realtime_open."))
        self._waiting.clear()
        self.ended.set()
        with anyio.move_on_after(_LONGEST_GOODBYE, shield=True):
            try:
                await self._ledger.record(self.job.job_id, state=state, output={"answered": self.answered})
            except NotRecorded as error:
                logger.error("%s", error.message)

    async def _next(self) -> Input | None:
        with anyio.move_on_after(self.idle):
            while not self._waiting:
                self._news = anyio.Event()
                await self._news.wait()
        return self._waiting.popleft() if self._waiting else None

    async def _work(self, line: "Line", item: Input) -> None:
        try:
            item.end(await self._sent(line, item))
            self.answered = line.answered
        except FalError as error:
            item.end(error)
        except Exception:
            logger.exception("An input of %s failed.", self.session_id)
            item.end(ServiceFailed("This server lost the answer; its log has the details.", retryable=False))
        finally:
            # The session was cancelled in the middle: whoever waits would wait for ever, and the input may be paid for.
            if not item.done.is_set():
                item.end(MaybeReceived("The session was closed before the answer came."))

    async def _sent(self, line: "Line", item: Input) -> JsonObject:
        await self._turn_over()
        # Written before it is sent: a server that is killed in between has counted too much, never too little.
        await self._ledger.add(self.job.job_id, item.order, self._limits)
        try:
            return await line.ask(item.order.arguments, item.seconds)
        except FalError as error:
            # An answer that was lost stays counted: it may be on fal's bill.
            if costs_nothing(error):
                await self._given_back(item.order.price)
            raise

    async def _given_back(self, price: float | None) -> None:
        try:
            await self._ledger.give_back(self.job.job_id, price)
        except NotRecorded as error:
            logger.error("%s", error.message)

    async def _turn_over(self) -> None:
        """Go on in a new row where the day of the old one is over: the ledger counts a row on the day it was begun."""
        if cost.midnight(self.job.created) != cost.midnight(time.time()):
            # The new row first: where it cannot be written, the old one goes on and nothing is sent.
            before, self.job = self.job, await self._ledger.begin(self._order, self._limits)
            await self._ledger.record(before.job_id, state="completed", output={"answered": self.answered})


class Sessions:
    """The sessions of one server."""

    def __init__(
        self, fal: Callable[[], Fal], ledger: Ledger, limits: Callable[[], Limits], tasks: anyio.abc.TaskGroup
    ) -> None:
        self._fal = fal
        self._ledger = ledger
        self._limits = limits
        self._tasks = tasks
        self._open: dict[str, Session] = {}
        self._opening = 0

    async def open(self, order: Order, idle: float, max_buffering: int | None = None) -> Session:
        """Open one, written down before it is. It is closed when nothing came for `idle` seconds.

        Raises:
            RequestRejected: as many are open as may be.
            BudgetExceeded, NotRecorded: nothing was opened.
            FalError: fal refused it.
        """
        own = sum(session.connection == order.connection for session in self._open.values()) + self._opening
        if own >= MOST_SESSIONS or len(self._open) >= MOST_OF_ALL:
            hint = "Close one with realtime_close, or wait: an idle one is closed by itself."
            raise RequestRejected(f"{min(own, MOST_SESSIONS)} realtime sessions are open already.", hint=hint)
        # Counted while the ledger is asked: several that open at once would else all find the last place free.
        self._opening += 1
        try:
            job = await self._ledger.begin(order, self._limits())
        finally:
            self._opening -= 1
        session = Session(job, order, idle, self._ledger, self._limits())
        self._open[session.session_id] = session
        try:
            await self._tasks.start(self._live, session, max_buffering)
        except FalError as error:
            await self._ledger.record(session.job.job_id, error=said(error))
            raise
        return session

    def get(self, session_id: str, owner: str) -> Session:
        """This owner's session.

        Raises:
            NotFound: it was closed, or is somebody else's.
        """
        session = self._open.get(session_id)
        if session is None or session.is_over or session.job.owner != owner:
            raise NotFound(
                f"There is no open session {session_id[:80]!r}; an idle one is closed by itself.",
                hint="Open another with realtime_open.",
            )
        return session

    async def send(self, session: Session, item: Input) -> JsonObject | None:
        """The answer to one input; None where a newer one took its place and it was not sent.

        Raises:
            RequestRejected: too many wait, or the session ended before it was sent.
            BudgetExceeded, NotRecorded: it was not sent.
            FalError: as for `Line.ask`.
        """
        session.put(item)
        try:
            await item.done.wait()
        finally:
            session.forget(item)
        if isinstance(item.outcome, FalError):
            raise item.outcome
        return item.outcome

    async def close(self, session: Session) -> None:
        """Close it, and wait until it is closed."""
        session.scope.cancel()
        await session.ended.wait()

    async def _live(
        self, session: Session, max_buffering: int | None, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        endpoint_id, state = session.job.endpoint_id, "failed"
        try:
            async with self._fal().realtime(endpoint_id, max_buffering=max_buffering) as line:
                task_status.started()
                state = "completed"
                with session.scope:
                    await session.live(line)
        except Exception:
            if state == "failed":
                # Nothing was opened, and whoever asked is told why.
                raise
            # It hangs in the server's own group: a line that breaks while it is closed takes nothing with it.
            logger.exception("A session of %s did not close.", endpoint_id)
        finally:
            # Before its goodbye is written: a place is free as soon as the line is.
            del self._open[session.session_id]
            await session.end(state)
