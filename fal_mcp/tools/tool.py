"""What a tool is, what one call of it may use, and what comes of it. Knows nothing of MCP."""

import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fal_mcp.catalog.catalog import Catalog
from fal_mcp.client.fal import Fal
from fal_mcp.errors import BudgetExceeded, Fault, RequestRejected
from fal_mcp.jobs.jobs import Jobs
from fal_mcp.jobs.progress import Report
from fal_mcp.jobs.sessions import Sessions
from fal_mcp.local_files import Readable
from fal_mcp.openapi import faults
from fal_mcp.openapi.lean import brief, lean
from fal_mcp.openapi.repair import repair
from fal_mcp.openapi.schema import Schema
from fal_mcp.output_files import OutputFolder
from fal_mcp.tools.pricing import Prices
from fal_mcp.variables import Variables

_SAY_SECONDS = 0.5
Effect = Literal["reads", "writes", "destroys", "spends"]
KeyKind = Literal["none", "user", "admin"]
_APPROVAL: Mapping[str, Any] = {
    "type": "object",
    "properties": {"approve": {"type": "boolean", "title": "Approve", "description": "Whether it may be paid for."}},
    "required": ["approve"],
}
_AGREEMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"agree": {"type": "boolean", "title": "Agree", "description": "Whether it may be done."}},
    "required": ["agree"],
}
Kind = Literal["image", "video", "audio", "3d", "text", "archive", "file"]


@dataclass(frozen=True, slots=True)
class Media:
    """One file that came out. `url` may be a `data:` URI where the model was asked for one."""

    url: str
    kind: Kind
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    size: int | None = None
    """Bytes, where fal says."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture that the model sees."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, before anyone decides how MCP should say it."""

    data: Mapping[str, Any]
    media: tuple[Media, ...] = ()
    note: str = ""
    """A short text that a model can use as it stands."""
    previews: tuple[Preview, ...] = ()
    is_plain: bool = False
    """Whether `note` is the whole text; else what `data["output"]` holds is told after it."""

    def with_notes(self, notes: tuple[str, ...]) -> "Outcome":
        """The same, with what was put right in the arguments said first."""
        if not notes:
            return self
        said = f"Arguments were put right: {'; '.join(notes)}."
        return replace(self, note=f"{said}\n{self.note}", data={**self.data, "repaired": list(notes)})


class CannotAsk(Exception):
    """The client has no way to ask its user anything."""


async def _nobody(question: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
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
    ask: Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, Mapping[str, Any] | None]] = field(default=_nobody)
    """Asks the user for the properties of a schema; None where they decline. Raises `CannotAsk`."""
    ask_secret: Callable[[str, str], Coroutine[Any, Any, str | None]] = field(default=_no_page)
    """Asks the user for the secret of a name, past the client and the model, with a sentence on where it goes; None
    where they decline. Raises `CannotAsk`, and `TimeoutError` where no answer comes."""
    wait: float = 50.0
    """Seconds for which this call may hold the line."""
    owner: str = "local"
    prices: Prices = field(default_factory=Prices)
    readable: Readable = field(default_factory=Readable)
    variables: Variables = field(default_factory=Variables)
    """The environment variables that may become secrets."""
    shows_previews: bool = False
    output: OutputFolder | None = None
    """Where what comes out is saved; nowhere where there is none."""
    kept: OutputFolder = field(default_factory=lambda: OutputFolder(Path(tempfile.gettempdir(), "fal-mcp")))
    """Where bytes that came inside an answer are put, which no address leads to."""
    secrets: Path = field(default_factory=lambda: Path(tempfile.gettempdir(), "fal-mcp", "keys"))
    """Where a new key is written."""
    sessions: Callable[[], Sessions] = field(default=_no_sessions)
    """The realtime connections that are kept between calls."""
    began: Callable[[str], None] = lambda job_id: None
    """Told the id of the paid job that this call began."""
    _said: list[float] = field(default_factory=lambda: [float("-inf")])
    """When a line was last reported."""

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
        if answer is None or answer.get("approve") is not True:
            hint = "Nothing was sent. Do not ask again unless told to."
            raise BudgetExceeded(f"{question} The user did not approve it.", hint=hint)


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing an assistant can do. `effect` and `key` decide its annotations and when it is offered."""

    name: str
    title: str
    description: str
    input_schema: Schema
    """What arguments are checked against."""
    effect: Effect
    key: KeyKind
    run: Callable[[Mapping[str, Any], Call], Awaitable[Outcome]]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs_task: bool = False
    """Whether it can only be answered with an MCP task."""
    is_lean: bool = True
    """Whether it is listed with a short form of its input schema; else only what stops nonsense is left out."""
    listed_as: Schema | None = None
    """The input schema as it is listed, where that is neither."""
    shows_media: bool = False
    """Whether it answers with a run: what came out, or how the run stands."""

    @property
    def listed_schema(self) -> Schema:
        """The input schema as a model reads it."""
        if self.listed_as is not None:
            return self.listed_as
        return lean(self.input_schema) if self.is_lean else brief(self.input_schema)

    def prepare(self, arguments: Mapping[str, Any]) -> "Prepared":
        """`arguments` put right where that is certain, and everything still wrong with them. Asks nobody."""
        given = dict(arguments)
        if not faults.find(self.input_schema, given):
            return Prepared(given, (), ())
        repaired, notes = repair(self.input_schema, given)
        return Prepared(repaired, notes, faults.find(self.input_schema, repaired))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Arguments as they will be sent, what was put right, and what is wrong with them."""

    arguments: dict[str, Any]
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]
