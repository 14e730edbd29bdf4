"""One command's engine: the tools of this server, used from a terminal by somebody who can be asked."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.lowlevel
import anyio.to_thread

from fal_mcp.config import Settings
from fal_mcp.engine import Engine
from fal_mcp.errors import FalError, InvalidInput, RequestRejected
from fal_mcp.json_values import JsonMapping
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.runs.call import CannotAsk
from fal_mcp.terminal import folders
from fal_mcp.terminal.progress import Shown

DONE, FAILED, WRONG, UNFINISHED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: what was asked for is there; it failed; it was asked for wrongly; it still runs; Ctrl-C."""
_AT_ONCE = 50.0


@dataclass(slots=True)
class Session:
    """The tools, and what was begun with them."""

    settings: Settings
    engine: Engine
    shown: Shown
    says_yes: bool = False
    began: list[str] = field(default_factory=list[str])

    async def use(self, name: str, given: JsonMapping, *, wait: float = _AT_ONCE) -> Outcome:
        """What a tool answers.

        Raises:
            FalError: it refused, or failed.
        """
        tool = self.engine.tools.get(name)
        if tool is None:
            toolset = self.engine.tools.toolset_of(name)
            raise InvalidInput(f"This needs the toolset {toolset!r}, which is not among --toolsets here.", hint="")
        if self.settings.read_only and tool.effect != "reads":
            raise RequestRejected("This does more than read, and --read-only is on.", hint="Nothing was sent.")
        call = self.engine.call(
            tell=self.shown.tell, ask=self._ask, wait=wait, shows_previews=False, began=self.began.append
        )
        prepared = tool.prepare(given)
        if prepared.faults:
            about = "The arguments were refused here, before anything was sent or paid:"
            raise InvalidInput(about, faults=prepared.faults, hint="")
        outcome = await tool.run(prepared.arguments, call)
        # It is on its way to the screen: the same command again is a wish for another.
        self.engine.jobs.answering([*call.asked_for, *call.looked_at], call.call_id)
        return outcome

    async def _ask(self, question: str, schema: JsonMapping) -> JsonMapping | None:
        # In a script there is nobody to answer, and no answer is no yes.
        if not self.says_yes and not self.shown.can_ask:
            raise CannotAsk
        agreed = self.says_yes or await anyio.to_thread.run_sync(self.shown.ask, question)
        return dict.fromkeys(schema["properties"], True) if agreed else None


@asynccontextmanager
async def opened(settings: Settings, *, says_yes: bool = False, title: str = "") -> AsyncGenerator[Session]:
    """A session for one command, its folders tried first.

    Raises:
        FalError: a folder that would be needed cannot be written.
    """
    check_folders(settings)

    async def nobody() -> None:
        await anyio.lowlevel.checkpoint()

    async with Engine(settings, None, nobody) as engine:
        await engine.account.know()
        with Shown(title) as shown:
            yield Session(settings, engine, shown, says_yes)


def check_folders(settings: Settings) -> None:
    """Try the folders that a run needs, before anything is paid.

    Raises:
        FalError: one cannot be written; the message names it and the setting.
    """
    for folder, option in ((settings.data, "--data-dir"), (settings.output_dir, "--output-dir")):
        if folder is not None and (trouble := folders.fault(Path(folder))):
            raise FalError(trouble, hint=f"Nothing was sent. {option} names another folder.")


Work = Callable[[Session], Any]
