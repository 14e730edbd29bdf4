"""The store is stopped for ten seconds and started again, while two servers work."""

import time

import anyio

from benchmarks.team.replicas import two
from tests import postgres

_STOPPED = 10.0
MOST = 15.0


async def show(cluster: postgres.Cluster) -> tuple[str, bool]:
    """Nothing is submitted without a row, and soon after the restart calls are taken again."""
    async with two(cluster.database()) as replicas:
        await anyio.sleep(10)
        await anyio.to_thread.run_sync(cluster.stop)
        before = len(replicas.fal.jobs)
        await anyio.sleep(_STOPPED)
        meanwhile = len(replicas.fal.jobs) - before
        await anyio.to_thread.run_sync(cluster.start)
        began, known = time.monotonic(), len(replicas.fal.jobs)
        with anyio.move_on_after(2 * MOST):
            await replicas.fal.until(lambda: len(replicas.fal.jobs) > known)
        well = time.monotonic() - began
        await anyio.sleep(10)
        replicas.is_quiet = True
        await replicas.all_over(60)
        line, holds = await replicas.verdict()
    return (
        f"the store away for {_STOPPED:g} s: {meanwhile} submits meanwhile, taken again {well:.1f} s after (at most "
        f"{MOST:g}); {line}"
    ), holds and well <= MOST
