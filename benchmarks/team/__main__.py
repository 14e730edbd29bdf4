"""`python -m benchmarks.team [--seconds 300] [--every 20] [--rounds 50]`: each show with its figures.

Needs PostgreSQL's programs on this machine; the server is this run's own.
"""

import argparse
import sys

import anyio

from benchmarks.team import budgets, kills, outage
from tests import postgres


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
        if "kills" in given.show:
            failed += _say(anyio.run(kills.show, cluster.database(), given.seconds, given.every))
        if "budgets" in given.show:
            failed += _say(budgets.show(cluster, given.rounds))
        if "outage" in given.show:
            failed += _say(anyio.run(outage.show, cluster))
    return failed


def _say(result: tuple[str, bool]) -> int:
    line, holds = result
    sys.stdout.write(f"{'ok  ' if holds else 'FAIL'} {line}\n")
    sys.stdout.flush()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
