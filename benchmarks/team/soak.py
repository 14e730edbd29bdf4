"""A team at a moderate rate for long, with all that goes wrong in one: what the servers hold at its end that they did
not at its beginning.

Callers hang up, open sessions and leave them, run what fails and what is too large to keep. Rows are made older than
they are, so that there is something to tidy up.
"""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import anyio

from benchmarks.team import fal
from benchmarks.team.deployment import TOOL, Deployment, deployed
from benchmarks.team.people import Person, result
from benchmarks.team.wire import Broken
from fal_mcp.catalog.endpoint import tool_name
from fal_mcp.server.web.limits import WebLimits
from tests import postgres

JOB_SECONDS = 1.0
MOST_GROWN = 0.05
_SAMPLED_EVERY = 5.0
_QUIET = 70.0
"""Seconds after which the proxy has let go of its connections."""
_MINUTE = 60.0
_LONG_AGO = 40 * 86_400.0
_SESSIONS_KEPT = WebLimits().session_idle_seconds
_IN_FLIGHT = 64


@dataclass(slots=True)
class Soak:
    """What is going on, and what was seen of it."""

    team: Deployment
    is_over: bool = False
    wrong: list[str] = field(default_factory=list[str])
    done: int = 0
    sessions: list[Person] = field(default_factory=list[Person])
    """Those that were opened and left, the oldest first."""
    megabytes: list[list[float]] = field(default_factory=list[list[float]])
    """Of each server, each time."""
    _numbers: count = field(default_factory=count)

    async def live(self, seconds: float) -> None:
        """All of it, for so long."""
        self.is_over = False
        works = {
            **{self.run: 0.4, self.search: 0.25, self.fail: 2.0, self.large: 2.0, self.hang_up: 2.0},
            **{self.leave_session: 2.0, self.listen: 5.0, self.age: 20.0, self.sample: _SAMPLED_EVERY},
        }
        async with anyio.create_task_group() as tasks:
            for work, pause in works.items():
                tasks.start_soon(self._again_and_again, work, pause)
            await anyio.sleep(seconds)
            self.is_over = True

    async def run(self) -> None:
        """A picture."""
        await self._call(TOOL, {"prompt": "a red bicycle"}, "completed")

    async def search(self) -> None:
        """A search."""
        await self._call("search_models", {"query": "image to video"}, None)

    async def fail(self) -> None:
        """A model that fails."""
        await self._call(tool_name(fal.FAILING), {"prompt": "x"}, "failed")

    async def large(self) -> None:
        """A model whose answer is too large to be kept."""
        await self._call(tool_name(fal.LARGE), {"prompt": "x"}, "completed")

    async def hang_up(self) -> None:
        """A picture that nobody waits for."""
        arguments = {"prompt": "x", "seed": next(self._numbers)}
        request = self._person().called(TOOL, arguments, hears=True)
        connection = await self.team.wire.connected()
        with anyio.move_on_after(JOB_SECONDS / 3):
            await connection.ask(request)
        connection.abort()

    async def leave_session(self) -> None:
        """A session that nobody ends."""
        person = Person(self._person().token, False)
        await person.begin(self.team.wire)
        self.sessions.append(person)

    async def listen(self) -> None:
        """A stream of a session, which breaks off."""
        person = Person(self._person().token, False)
        await person.begin(self.team.wire)
        connection = await self.team.wire.connected()
        with anyio.move_on_after(2):
            await connection.ask(person.listening())
        connection.abort()

    async def age(self) -> None:
        """As if what is over had been so for long."""
        statement = "UPDATE job SET created = created - ? WHERE state IN ('completed', 'failed', 'cancelled')"
        await self.team.ledger.store.run(lambda database: database.execute(statement, (_LONG_AGO,)))

    async def sample(self) -> None:
        """What the servers hold now."""
        self.megabytes.append([one.resident for one in self.team.processes[: len(self.team.servers)]])

    def _person(self) -> Person:
        return self.team.people[next(self._numbers) % len(self.team.people)]

    async def _call(self, tool: str, arguments: dict[str, object], status: str | None) -> None:
        seed = {} if status is None else {"seed": next(self._numbers)}
        answer = result(await self.team.wire.ask(self._person().called(tool, {**arguments, **seed}, hears=True)))
        self.done += 1
        if status is not None and answer.get("structuredContent", {}).get("status") != status:
            self.wrong.append(f"{tool}: {str(answer)[:500]}")

    async def _again_and_again(self, work: Callable[[], Awaitable[None]], pause: float) -> None:
        limiter = anyio.CapacityLimiter(_IN_FLIGHT)

        async def once() -> None:
            async with limiter:
                try:
                    await work()
                except (Broken, TimeoutError, OSError, AssertionError) as error:
                    self.wrong.append(f"{work.__name__}: {error!r}")

        async with anyio.create_task_group() as tasks:
            for _ in iter(lambda: self.is_over, True):
                tasks.start_soon(once)
                await anyio.sleep(pause)


async def show(cluster: postgres.Cluster, seconds: float) -> tuple[str, bool]:
    """The soak for so long, once as many sessions end as begin."""
    async with deployed(cluster, seconds=JOB_SECONDS) as team:
        soak, servers = Soak(team), team.processes[: len(team.servers)]
        await soak.live(_SESSIONS_KEPT + _MINUTE / 2)
        opened = await _quiet_descriptors(team)
        soak.megabytes.clear()
        await soak.live(seconds)
        samples = int(_MINUTE / _SAMPLED_EVERY)
        begun, ended = (_each(part) for part in (soak.megabytes[:samples], soak.megabytes[-samples:]))
        left = await _quiet_descriptors(team)
        rows, (old, new) = len(await team.jobs()), await _sessions(soak)
    grown = max(after / before - 1 for before, after in zip(begun, ended, strict=True))
    is_tidy = rows < soak.done / 2
    line = (
        f"a soak of {seconds:g} s, {soak.done} calls, {len(soak.wrong)} errors: MB in its first minute "
        f"{_said(begun)}, in its last {_said(ended)}, {100 * grown:+.1f} %; descriptors before {opened}, after {left}; "
        f"{rows} rows left; of {len(soak.sessions)} sessions that were left the oldest answer {old}, the newest {new}"
    )
    if soak.wrong:
        line += f"; such as {soak.wrong[0]}"
    is_equal = all(after <= before for before, after in zip(opened, left, strict=True)) and len(servers) == len(left)
    return line, not soak.wrong and grown <= MOST_GROWN and is_equal and is_tidy and (old, new) == (404, 200)


def _each(samples: list[list[float]]) -> list[float]:
    return [statistics.mean(column) for column in zip(*samples, strict=True)]


def _said(figures: list[float]) -> str:
    return " and ".join(f"{figure:.1f}" for figure in figures)


async def _quiet_descriptors(team: Deployment) -> list[int]:
    team.wire.close()
    await anyio.sleep(_QUIET)
    return [one.descriptors for one in team.processes[: len(team.servers)]]


async def _sessions(soak: Soak) -> tuple[int, int]:
    """What sessions answer that were left long ago, and just now."""
    await soak.leave_session()
    answers = [await soak.team.wire.ask(person.called("search_models", {})) for person in _ends(soak.sessions)]
    return answers[0].status, answers[1].status


def _ends(people: list[Person]) -> tuple[Person, Person]:
    return people[0], people[-1]
