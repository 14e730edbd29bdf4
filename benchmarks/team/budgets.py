"""Eight processes spend one budget: exactly as many calls as fit, in every round."""

from multiprocessing import get_context

from tests import postgres
from tests.jobs.test_team import spend

PROCESSES, CALLS, FIT = 8, 20, 50


def show(cluster: postgres.Cluster, rounds: int) -> tuple[str, bool]:
    """How many calls were let through in each round."""
    context = get_context("spawn")
    counts: list[int] = []
    for _ in range(rounds):
        address = cluster.database()
        barrier, results = context.Barrier(PROCESSES), context.Queue()
        processes = [context.Process(target=spend, args=(address, CALLS, barrier, results)) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        counts.append(sum(results.get(timeout=120) for _ in processes))
        for process in processes:
            process.join()
    right = counts.count(FIT)
    return f"{FIT} of {PROCESSES * CALLS} calls fit a budget over {PROCESSES} processes: exactly so in {right} of " + (
        f"{rounds} rounds"
    ), right == rounds
