"""`fal-mcp run`: a model at the command line, the same way as a tool call: checked, written down, saved."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

from fal_mcp.config import Settings
from fal_mcp.engine import Engine
from fal_mcp.errors import FalError
from fal_mcp.jobs.progress import Report
from fal_mcp.outputs.outcome import Outcome
from fal_mcp.text import one_line
from fal_mcp.tools.tool import Tool

FAILED, WRONG = 1, 2
_AS_LONG_AS_IT_TAKES = 24 * 3600.0
_LONGEST_LINE = 60


def arguments_of(pairs: list[str]) -> dict[str, Any]:
    """`key=value` pairs as arguments; `key:=JSON` where text would not do. What is certain is put right later.

    Raises:
        ValueError: a pair is none, or its JSON is none.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.rstrip(":"):
            raise ValueError(f"{pair!r} is not of the form key=value.")
        arguments[name.rstrip(":")] = json.loads(value) if name.endswith(":") else value
    return arguments


def batch_of(file: Path, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One set of arguments a line of `file`, over the common ones.

    Raises:
        ValueError: a line is no JSON object.
    """
    found = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    if not found or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"{str(file)!r} has lines that are no JSON objects.")
    return [{**common, **one} for one in found]


async def run(settings: Settings, endpoint_id: str, runs: list[dict[str, Any]], *, mode: str, as_json: bool) -> int:
    """Run the model once or several times and show what comes out. Returns the exit code."""
    console = Console(highlight=False, stderr=True, soft_wrap=True)

    async def nobody() -> None:
        return

    async with Engine(settings, None, nobody) as engine:
        name = "run_model" if len(runs) == 1 else "run_batch"
        tool = engine.tools.get(name)
        assert tool is not None
        given: dict[str, Any] = {"endpoint_id": endpoint_id}
        given |= {"arguments": runs[0], "mode": mode} if len(runs) == 1 else {"arguments": runs}
        try:
            outcome = await _watched(engine, tool, given, console, endpoint_id)
        except FalError as error:
            faults = [f"  {fault}" for fault in error.faults if str(fault) not in error.message]
            console.print("\n".join([error.message, *faults, error.hint]), style="red", markup=False)
            return WRONG if error.faults else FAILED
        if outcome.data.get("output_parts"):
            # Nobody's context is at stake here: the whole of it.
            job = await engine.jobs.get(str(outcome.data["job_id"]), engine.owner)
            outcome = replace(outcome, data={**outcome.data, "output": await engine.jobs.output(job)})
    _show(outcome, as_json)
    return FAILED if outcome.data.get("status") not in ("completed", "in_progress") else 0


async def _watched(engine: Engine, tool: Tool, given: dict[str, Any], console: Console, title: str) -> Outcome:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, said="")

        async def tell(report: Report) -> None:
            bar.update(
                task, completed=report.progress, total=report.total, said=one_line(report.message, _LONGEST_LINE)
            )

        async def ask(question: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
            bar.stop()
            said = await anyio.to_thread.run_sync(lambda: Confirm.ask(question, console=console, default=False))
            bar.start()
            return dict.fromkeys(schema["properties"], True) if said else None

        call = engine.call(tell=tell, ask=ask, wait=_AS_LONG_AS_IT_TAKES, shows_previews=False)
        prepared = tool.prepare(given)
        if prepared.faults:
            raise FalError("The arguments were refused here, before anything was sent or paid:", faults=prepared.faults)
        outcome = await tool.run(prepared.arguments, call)
        # It is on its way to the screen: the same command again is a wish for another.
        engine.jobs.answering(call.asked_for, call.call_id)
        return outcome


def _show(outcome: Outcome, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        console.print(json.dumps(outcome.data, ensure_ascii=False, indent=1), markup=False)
        return
    console.print(outcome.note, markup=False)
    for item in outcome.media:
        console.print(item.url, markup=False)
    output: Any = outcome.data.get("output")
    for name in ("output", "text"):
        if isinstance(output, dict) and isinstance(text := cast(dict[str, Any], output).get(name), str):
            console.print(text, markup=False)
