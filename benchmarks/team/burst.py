"""Five hundred typed calls in one moment, of which a hundred may run or wait: those finish, all others hear at once."""

import gc
import time
from collections import Counter

import anyio

from benchmarks.team.deployment import TOOL, Deployment, deployed
from benchmarks.team.load import Times
from benchmarks.team.people import MODERN, result
from tests import postgres
from tests.team.proxy import NAME

AT_ONCE = 500
RUNNING, WAITING = 40, 60
JOB_SECONDS = 5.0
MOST = 0.200
MOST_MEGABYTES = 300.0
_HEALTH = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
_HEALTH_BY_NAME = tuple(
    f"GET /health HTTP/1.1\r\nhost: {NAME}\r\nmcp-protocol-version: {revision}\r\n\r\n".encode()
    for revision in (MODERN, "2025-11-25")
)
"""By both ways that the proxy knows to the servers."""
_ASKED_EVERY = 0.05


async def show(cluster: postgres.Cluster) -> tuple[str, bool]:
    """The burst, and what became of each call."""
    options = ("--max-running", str(RUNNING), "--max-waiting", str(WAITING), "--daily-budget", "1000000")
    async with deployed(cluster, *options, seconds=JOB_SECONDS) as team:
        await _warmed(team)
        await _connected(team)
        refused, finished, health = Times("refused"), Times("finished"), Times("answers of /health")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch_health, team, health)
            async with anyio.create_task_group() as calls:
                requests = [_request(team, number) for number in range(AT_ONCE)]
                began = time.monotonic()
                for number, request in enumerate(requests):
                    calls.start_soon(_call, team, number, request, began, refused, finished)
            tasks.cancel_scope.cancel()
        memory = max(one.most_resident for one in team.processes[: len(team.servers)])
        standing = await team.standing()
        states = Counter(job.state for job in await team.jobs())
    wrong = refused.wrong + finished.wrong + health.wrong
    line = (
        f"{AT_ONCE} typed calls at once, of which {RUNNING} may run and {WAITING} wait: {finished}; {refused}; "
        f"{health}; {len(wrong)} errors; {memory:.0f} MB a server at the most; {standing['submits']} submits, "
        f"{standing['twice']} twice; rows {dict(states)}"
    )
    if wrong:
        line += f"; such as {wrong[0][:300]}"
    is_whole = (
        not wrong and not standing["twice"] and states["completed"] == standing["submits"] == sum(states.values())
    )
    holds = is_whole and len(finished.took) >= RUNNING + WAITING and memory <= MOST_MEGABYTES
    return line, holds and max(refused.at(0.99), health.at(0.99)) <= MOST


async def _warmed(team: Deployment) -> None:
    """What the first calls import is no part of it either."""
    async with anyio.create_task_group() as tasks:
        for number, person in enumerate(team.people[:16]):
            tasks.start_soon(team.wire.ask, person.called(TOOL, {"prompt": "warm", "seed": 10_000 + number}))


async def _connected(team: Deployment) -> None:
    """Shaking hands is no part of it either, nor what the first request over a connection takes: the callers are there
    already. Neither is what the callers' own collector does; all five hundred are one process here."""
    await team.wire.open(AT_ONCE)
    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(team.wire.ask, _HEALTH_BY_NAME[number % 2])
    gc.collect()
    gc.freeze()


def _request(team: Deployment, number: int) -> bytes:
    arguments = {"prompt": "a red bicycle", "seed": number, "output_format": "jpeg"}
    return team.people[number % len(team.people)].called(TOOL, arguments)


async def _call(team: Deployment, number: int, request: bytes, began: float, refused: Times, finished: Times) -> None:
    answer = await team.wire.ask(request)
    took = time.monotonic() - began
    said = result(answer)
    if answer.status == 200 and not said.get("isError") and said["structuredContent"].get("status") == "completed":
        finished.took.append(took)
    elif answer.status == 429 or said.get("structuredContent", {}).get("error", {}).get("retry_after_s"):
        refused.took.append(took)
    elif said.get("structuredContent", {}).get("status") == "in_progress":
        # It waits in the store: whoever asks again gets its result.
        await _waited(team, number, said["structuredContent"]["job_id"], began, finished)
    else:
        finished.wrong.append(f"{answer.status} {str(said)[:300]}")


async def _waited(team: Deployment, number: int, job_id: str, began: float, finished: Times) -> None:
    person = team.people[number % len(team.people)]
    answer = await team.wire.ask(person.called("wait_for_job", {"job_id": job_id, "seconds": 40}))
    said = result(answer)
    if said.get("structuredContent", {}).get("status") == "completed":
        finished.took.append(time.monotonic() - began)
    else:
        finished.wrong.append(f"{answer.status} {str(said)[:300]}")


async def _watch_health(team: Deployment, times: Times) -> None:
    """What an orchestrator sees, which asks each server by itself."""
    while True:
        for wire in team.direct:
            began = time.monotonic()
            answer = await wire.ask(_HEALTH)
            times.took.append(time.monotonic() - began)
            if answer.status != 200:
                times.wrong.append(f"/health {answer.status}")
        await anyio.sleep(_ASKED_EVERY)
