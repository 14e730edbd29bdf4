"""One of two servers is killed every so often: each job is submitted once and ends once, soon at the other server."""

import time

import anyio

from benchmarks.team.replicas import Replicas, two

_LOOK_AGAIN_AFTER = 0.1
MOST = 15.0


async def show(store: str, seconds: float, every: float) -> tuple[str, bool]:
    """Kill by turns for so long; the longest that a job was without a server."""
    waits: list[float] = []
    async with two(store) as replicas:
        end, number = time.monotonic() + seconds, 0
        async with anyio.create_task_group() as tasks:
            while time.monotonic() + every < end:
                await anyio.sleep(every)
                if (victim := replicas.running.get(number % 2)) is not None:
                    held = {job.job_id: job.session for job in await replicas.jobs() if not job.is_over}
                    victim.kill()
                    tasks.start_soon(_watch, replicas, held, waits)
                number += 1
        replicas.is_quiet = True
        await replicas.all_over(90)
        line, holds = await replicas.verdict()
    longest = max(waits, default=0.0)
    return (
        f"a kill every {every:g} s for {seconds:g} s ({len(waits)} kills): {line}; longest without a server "
        f"{longest:.1f} s (at most {MOST:g})"
    ), holds and longest <= MOST


async def _watch(replicas: Replicas, held: dict[str, str], waits: list[float]) -> None:
    began = time.monotonic()
    sessions = set(held.values())
    while time.monotonic() - began < 2 * MOST:
        rows = {job.job_id: job for job in await replicas.jobs()}
        # The dead one's are those that change hands; whose they were is not known here but by that.
        if any(not rows[job].is_over and rows[job].session != held[job] for job in held) and not [
            job for job in held if not rows[job].is_over and rows[job].session in _dead(rows, sessions, held)
        ]:
            waits.append(time.monotonic() - began)
            return
        if all(rows[job].is_over for job in held):
            waits.append(0.0)
            return
        await anyio.sleep(_LOOK_AGAIN_AFTER)
    waits.append(time.monotonic() - began)


def _dead(rows: "dict[str, object]", sessions: set[str], held: dict[str, str]) -> set[str]:
    moved = {held[job] for job in held if getattr(rows[job], "session", "") != held[job]}
    return moved & sessions
