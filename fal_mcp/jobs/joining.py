"""Which job a call repeats: the one decision on whether something is paid for twice. Pure.

A client that got no answer asks again, and is owed the answer to the first call; one that got it and asks again wants
another. Clients say neither, so it is told by what became of the first call.
"""

from collections.abc import Container

from fal_mcp.jobs.job import FOLLOWED, Job, Order

# Hosts that give a call up do so within minutes, one to five by what is reported, and their models ask again at once.
MOMENTS_AGO = 600.0
"""Seconds for which a call without an answer is the same as one that repeats it."""
_A_MOMENT = 1.0
"""Seconds: calls of one connection that begin closer together were wished for at once, by a model that calls tools in
parallel; one that begins later while the first has no answer is a client that gave up without a word."""
MAY_BE_OWED = (
    "state NOT IN ('failed', 'cancelled') AND "
    "(state <> 'completed' OR answered IS NULL OR NOT (answered >= updated AND answered < 1e15))"
)
"""In SQL: what `joins` says no to whatever is asked need not be read. A model that is called a hundred times with the
same words has a hundred such rows."""


def joins(job: Job, order: Order, came: float, alive: Container[str], answering: Container[str]) -> bool:
    """Whether `order` is the call again that `job` was begun for, rather than a wish for another. `came` is when that
    call reached its server, `alive` are the servers that live, `answering` the jobs whose answers are on their way."""
    if job.call_id and job.call_id == order.call_id:
        return False
    match job.state:
        case "failed" | "cancelled":
            # Nothing is owed: what fal bills for neither may be run again.
            return False
        case "unknown" | "lost":
            # It may be paid for, whatever was answered; only `fresh` pays again.
            return job.way in FOLLOWED
        case "completed":
            return _is_owed(job, order, came, alive, answering) or _is_unseen(job, order, answering)
        case _:
            # Without the queue there is nothing that a second call could wait for.
            return job.way in FOLLOWED and (order.is_repeatable or _is_owed(job, order, came, alive, answering))


def _is_unseen(job: Job, order: Order, answering: Container[str]) -> bool:
    """Whether all that was answered is that it went on: the same result is there to be had, and nobody has it."""
    # Answered before the end was written: the client heard "in progress", and never saw the result.
    is_open = job.answered is not None and job.answered < job.updated
    return order.is_repeatable and is_open and job.job_id not in answering


def _is_owed(job: Job, order: Order, came: float, alive: Container[str], answering: Container[str]) -> bool:
    if job.answered is not None or job.job_id in answering:
        return False
    if job.detached is not None or job.session not in alive:
        return True
    # Either may have got this far first: the other was held up by an import, a price, a file or a question.
    is_at_once = abs(came - job.asked) < _A_MOMENT
    return order.is_repeatable or (bool(order.connection) and job.connection == order.connection and not is_at_once)
