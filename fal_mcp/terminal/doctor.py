"""`fal-mcp doctor`: everything that this server needs, examined; each line with what to do where something is amiss.

Survives everything it is there to find: each examination is alone, and what breaks one is its finding.
"""

import inspect
import time
from collections.abc import Iterable, Mapping

import anyio

from fal_mcp.json_values import dumped
from fal_mcp.terminal import screen, troubles
from fal_mcp.terminal.examinations import EXAMINATIONS
from fal_mcp.terminal.finding import Examination, Examined, Finding, State
from fal_mcp.terminal.session import DONE, FAILED
from fal_mcp.text import visible

_MARKS: Mapping[State, tuple[str, str]] = {"good": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}
_PATIENCE = 3.3
"""Seconds in which an examination must end."""


async def run(examined: Examined, as_json: bool) -> int:
    """Examine all of it. The exit code says whether anything is amiss."""
    findings = await found(examined)
    if as_json:
        rows = [
            {"about": each.about, "state": each.state, "text": each.text, "advice": each.advice} for each in findings
        ]
        screen.out().print(dumped(rows, indent=1))
    else:
        _shown(findings)
    return FAILED if any(each.state == "bad" for each in findings) else DONE


async def found(examined: Examined) -> list[Finding]:
    """What every examination finds, in order; those that ask the network at the same time."""
    results: dict[str, list[Finding]] = {}

    async def one(name: str, examination: Examination) -> None:
        results[name] = await _of(name, examination, examined)

    async with anyio.create_task_group() as tasks:
        for name, examination in EXAMINATIONS.items():
            tasks.start_soon(one, name, examination)
    return [finding for name in EXAMINATIONS for finding in results[name]]


async def _of(name: str, examination: Examination, examined: Examined) -> list[Finding]:
    began = time.monotonic()
    try:
        with anyio.fail_after(_PATIENCE):
            given = examination(examined)
            return list(_several(await given if inspect.isawaitable(given) else given))
    except TimeoutError:
        waited = time.monotonic() - began
        return [Finding(name, "bad", f"no answer within {waited:.0f} seconds", "Check the network and its proxy.")]
    except Exception as error:
        # Whatever it is, it is what was looked for.
        text, *more = troubles.sentences(error, examined.env)
        return [Finding(name, "bad", text, " ".join(more))]


def _several(given: "Finding | Iterable[Finding] | None") -> Iterable[Finding]:
    if given is None:
        return ()
    return (given,) if isinstance(given, Finding) else given


def _shown(findings: list[Finding]) -> None:
    console = screen.out()
    for finding in findings:
        mark, color = _MARKS[finding.state]
        style = color if finding.state != "good" else ""
        screen.say(console, visible(f"{mark} {finding.about}: {finding.text}"), style)
        if finding.advice:
            screen.say(console, visible(f"    {finding.advice}"), "dim" if console.is_terminal else "")
    bad = sum(each.state == "bad" for each in findings)
    screen.say(
        console, "Nothing is amiss." if not bad else f"{bad} to put right.", "bold" if console.is_terminal else ""
    )
