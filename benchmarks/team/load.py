"""Two servers behind the proxy under a team's load: what a call takes beyond its job, and what the servers need for it.

Calls are begun when they are due, whatever became of those before, and timed from then.
"""

import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from benchmarks.team.deployment import TOOL, Deployment, deployed
from benchmarks.team.people import is_good, result
from benchmarks.team.wire import Broken
from tests import postgres

TYPED, SEARCHES = 20.0, 60.0
"""Calls a second."""
JOB_SECONDS = 5.0
MOST_OVERHEAD = 0.150
MOST_MEGABYTES = 300.0
_WARM_UP = 8.0
_QUERIES = (
    *("image to video", "remove background", "text to speech", "upscale a photo", "music with vocals", "lip sync"),
    *(
        "transcribe a meeting",
        "3d model from an image",
        "edit an image with text",
        "fast text to image",
        "flux",
        "kling",
    ),
)


@dataclass(slots=True)
class Times:
    """How long calls of one kind took, in seconds, and those that went wrong."""

    name: str
    took: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        return (
            f"{len(self.took)} {self.name}: p50 {1000 * self.at(0.5):.0f} ms, p99 {1000 * self.at(0.99):.0f} ms, most "
            f"{1000 * max(self.took, default=0):.0f} ms"
        )

    def at(self, share: float) -> float:
        """The time that this share of them took at most."""
        ordered = sorted(self.took)
        return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.inf


async def show(cluster: postgres.Cluster, seconds: float, *options: str) -> tuple[str, bool]:
    """The load for so long, after a warm-up that is not counted."""
    async with deployed(cluster, "--daily-budget", "1000000", *options, seconds=JOB_SECONDS) as team:
        await _under_load(team, _WARM_UP)
        before = {one.name: one.seconds for one in team.processes}
        own, began = time.process_time(), time.monotonic()
        typed, searches = await _under_load(team, seconds)
        lasted = time.monotonic() - began
        shares = {one.name: (one.seconds - before[one.name]) / lasted for one in team.processes}
        shares["callers"] = (time.process_time() - own) / lasted
        memory = [one.most_resident for one in team.processes[: len(team.servers)]]
        standing = await team.standing()
    wrong = typed.wrong + searches.wrong
    line = (
        f"{TYPED:g} typed calls of {JOB_SECONDS:g} s and {SEARCHES:g} searches a second for {seconds:g} s: beyond the "
        f"job, {typed}; {searches}; {len(wrong)} errors; at most {max(memory):.0f} MB a server; {standing['submits']} "
        f"submits, {standing['twice']} twice; cores: "
        f"{', '.join(f'{name} {share:.2f}' for name, share in shares.items())}"
    )
    if wrong:
        line += f"; such as {wrong[0][:800]}"
    holds = not wrong and not standing["twice"] and max(memory) <= MOST_MEGABYTES
    return line, holds and max(typed.at(0.99), searches.at(0.99)) <= MOST_OVERHEAD


async def _under_load(team: Deployment, seconds: float) -> tuple[Times, Times]:
    typed, searches = Times("typed calls"), Times("searches")

    async def call(due: float, number: int) -> None:
        person = team.people[number % len(team.people)]
        # A number of its own, by which the stand-in tells what was submitted twice.
        arguments = {"prompt": "a red bicycle", "seed": random.getrandbits(31), "output_format": "jpeg"}
        await _timed(team, typed, due, JOB_SECONDS, person.called(TOOL, arguments, hears=True))

    async def search(due: float, number: int) -> None:
        person = team.people[(number * 7) % len(team.people)]
        query = {"query": _QUERIES[number % len(_QUERIES)]}
        await _timed(team, searches, due, 0.0, person.called("search_models", query))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_at_rate, TYPED, seconds, call)
        tasks.start_soon(_at_rate, SEARCHES, seconds, search)
    return typed, searches


async def _at_rate(rate: float, seconds: float, work: Callable[[float, int], Awaitable[None]]) -> None:
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await anyio.sleep(max(due - time.monotonic(), 0.0))
            tasks.start_soon(work, due, number)


async def _timed(team: Deployment, times: Times, due: float, less: float, request: bytes) -> None:
    try:
        answer = await team.wire.ask(request)
    except (Broken, TimeoutError, OSError) as error:
        times.wrong.append(repr(error))
        return
    times.took.append(time.monotonic() - due - less)
    if not is_good(answer):
        times.wrong.append(f"{answer.status} {result(answer)}")
