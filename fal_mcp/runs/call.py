"""What one call may use: fal, the ledger, the user, this machine, and the time it has."""

import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.client.fal import Fal
from fal_mcp.errors import BudgetExceeded, RequestRejected
from fal_mcp.jobs.job import NOBODY, Started
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.jobs.progress import Report
from fal_mcp.jobs.sessions import Sessions
from fal_mcp.json_values import JsonMapping
from fal_mcp.machine.output_folder import OutputFolder
from fal_mcp.machine.readable import Readable
from fal_mcp.machine.variables import Variables
from fal_mcp.runs.pricing import Prices

# Hosts redraw at each line, and some log every one.
_SAY_SECONDS = 0.5
_APPROVAL: JsonMapping = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Approve", "description": "Whether it may be paid for."}},
    "required": ["approve"],
}
_AGREEMENT: JsonMapping = {
    "type": "object",
    "properties": {"agree": {"type": "boolean", "title": "Agree", "description": "Whether it may be done."}},
    "required": ["agree"],
}


class CannotAsk(Exception):
    """The client has no way to ask its user anything."""


async def _nobody(question: str, schema: JsonMapping) -> JsonMapping | None:
    raise CannotAsk


async def _no_page(name: str, purpose: str) -> str | None:
    raise CannotAsk


def _no_sessions() -> Sessions:
    raise RequestRejected("Nothing is kept between calls here.", hint="Use run_realtime: it sends all inputs at once.")


@dataclass(frozen=True, slots=True)
class Call:
    """What one call may use, and where its progress goes."""

    fal: Callable[[], Fal]
    """The way to fal, opened when it is first asked for."""
    catalog: Catalog
    jobs: Jobs
    tell: Callable[[Report], Awaitable[None]]
    ask: Callable[[str, JsonMapping], Coroutine[Any, Any, JsonMapping | None]] = field(default=_nobody)
    """Asks the user for the properties of a schema; None where they decline. Raises `CannotAsk`."""
    ask_secret: Callable[[str, str], Coroutine[Any, Any, str | None]] = field(default=_no_page)
    """Asks the user for the secret of a name, past the client and the model, with a sentence on where it goes; None
    where they decline. Raises `CannotAsk`, and `TimeoutError` where no answer comes."""
    wait: float = 50.0
    """Seconds for which this call may hold the line."""
    owner: str = NOBODY
    """Whose jobs and money these are: fal's id of the server's key."""
    connection: str = ""
    """The client's connection; empty where one cannot be told from another."""
    came: float = field(default_factory=time.monotonic)
    """When it reached this server, by `time.monotonic`."""
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    prices: Prices = field(default_factory=Prices)
    readable: Readable = field(default_factory=Readable)
    variables: Variables = field(default_factory=Variables)
    """The environment variables that may become secrets."""
    shows_previews: bool = False
    output: OutputFolder | None = None
    """Where what comes out is saved; nowhere where there is none."""
    kept: OutputFolder = field(default_factory=lambda: OutputFolder(Path(tempfile.gettempdir(), "fal-mcp")))
    """Where bytes that came inside an answer are put, which no address leads to."""
    is_shared: bool = False
    """Whether others call this server too: what was put into its folders may then be theirs."""
    secrets: Path = field(default_factory=lambda: Path(tempfile.gettempdir(), "fal-mcp", "keys"))
    """Where a new key is written."""
    sessions: Callable[[], Sessions] = field(default=_no_sessions)
    """The realtime connections that are kept between calls."""
    deployed: Callable[[], None] = lambda: None
    """Told that an app was deployed or scaled, or a workflow made."""
    began: Callable[[str], None] = lambda job_id: None
    """Told the id of each paid job that this call asked for."""
    asked_for: list[str] = field(default_factory=list[str])
    """The jobs that this call began or joined: their answer is this call's."""
    looked_at: list[str] = field(default_factory=list[str])
    """The jobs of other calls that this one answers with."""
    # A list because the call is frozen.
    _said: list[float] = field(default_factory=lambda: [float("-inf")])
    """When a line was last reported."""

    def takes(self, started: Started) -> None:
        """This call's answer is this job's."""
        self.asked_for.append(started.job.job_id)
        self.began(started.job.job_id)

    async def say(self, text: str) -> None:
        """Report progress that is not a job's."""
        await self.tell(Report(0.0, None, text))

    async def say_now_and_then(self, text: str) -> None:
        """Report one of many lines: at most twice a second, so that a flood reaches nobody."""
        now = time.monotonic()
        if now - self._said[0] >= _SAY_SECONDS:
            self._said[0] = now
            await self.say(text)

    async def agree(self, question: str) -> bool | None:
        """Whether the user says yes to something that cannot be undone; None where nobody can be asked."""
        try:
            answer = await self.ask(question, _AGREEMENT)
        except CannotAsk:
            return None
        # Only true itself: the text "true" may be what stood in a form, and not what a person chose.
        return answer is not None and answer.get("agree") is True

    async def approve(self, question: str, way_out: str | None = None) -> None:
        """Ask the user whether something may be paid for. `way_out` is the hint where nobody can be asked.

        Raises:
            BudgetExceeded: the answer is no, or none came, or nobody can be asked.
        """
        try:
            answer = await self.ask(question, _APPROVAL)
        except CannotAsk as error:
            raise BudgetExceeded(
                f"{question} This needs the user's approval, and this client cannot ask.",
                hint=way_out
                or "Nothing was sent. Ask the user to raise the server's --approve-over, or choose a cheaper one.",
            ) from error
        # No answer is no: whoever is away must not be charged.
        if answer is None or answer.get("approve") is not True:
            hint = "Nothing was sent. Do not ask again unless told to."
            raise BudgetExceeded(f"{question} The user did not approve it.", hint=hint)
