"""`python -m benchmarks.team [--seconds 300] [--every 20] [--rounds 50] [SHOW …]`: each show with its figures.

Needs PostgreSQL's programs on this machine; the server is this run's own. `load` and `burst` need nginx.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import anyio

from benchmarks.team import budgets, burst, kills, load, outage, soak, windows
from tests import postgres

Shows = dict[str, Callable[[], tuple[str, bool]]]


def main() -> int:
    """Run the shows; 1 where one did not hold."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--every", type=float, default=20.0)
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("show", nargs="*", default=["kills", "budgets", "outage"])
    given = options.parse_args()
    failed = 0
    with postgres.cluster(fsync="on") as cluster:
        shows = _shows(cluster, given)
        for name in given.show:
            failed += _say(shows[name]())
    return failed


def _shows(cluster: postgres.Cluster, given: argparse.Namespace) -> Shows:
    return {
        "kills": lambda: anyio.run(kills.show, cluster.database(), given.seconds, given.every),
        "budgets": partial(budgets.show, cluster, given.rounds),
        "outage": partial(anyio.run, outage.show, cluster),
        "burst": partial(anyio.run, burst.show, cluster),
        "windows": lambda: anyio.run(partial(windows.show, is_killed=True), cluster.database(), given.rounds),
        "paused": lambda: anyio.run(partial(windows.show, is_killed=False), cluster.database(), given.rounds),
        "soak": partial(anyio.run, soak.show, cluster, given.seconds),
        "load": partial(anyio.run, load.show, cluster, given.seconds),
    }


def _say(result: tuple[str, bool]) -> int:
    line, holds = result
    sys.stdout.write(f"{'ok  ' if holds else 'FAIL'} {line}\n")
    sys.stdout.flush()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
