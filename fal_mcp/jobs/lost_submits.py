"""Submits whose answer was lost: never sent again, and looked for in fal's own records of this account's requests."""

from collections.abc import Iterable
from datetime import datetime

import anyio

from fal_mcp.client.requests import Past, Requests
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger

# fal's records are asked for from a time on, by fal's clock.
_CLOCK_SKEW = 120.0
"""Seconds by which fal's clock may differ from what is known of it."""
_A_DAY = 24 * 3600.0
MOST = 1000
"""How many such jobs are looked for at once."""


class Records:
    """fal's records of several endpoints, each read once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._past: dict[str, tuple[float, list[Past]]] = {}
        self._lock = anyio.Lock()

    async def look_for(self, job: Job, ledger: Ledger) -> Job:
        """As `look_for`, asking fal once for all jobs of an endpoint."""
        # One after the other: fal's records are read once, however many are looked for.
        async with self._lock:
            since, past = self._past.get(job.endpoint_id, (float("inf"), []))
            if begin(job, self._requests, ledger) < since:
                since, past = await _past(job, self._requests, ledger)
                self._past[job.endpoint_id] = (since, past)
            return await _matched(job, past, ledger, _ahead(self._requests, ledger))


async def look_for(job: Job, requests: Requests, ledger: Ledger, request_id: str | None = None) -> Job:
    """The job with its request, written down, where fal's records have it.

    It is the one request of that endpoint, since then, with these arguments, which no other row claims. Told by the
    arguments' digest, because the ledger may be kept without the arguments themselves; or by the id, where a part of
    fal's answer named it.

    Raises:
        FalError: fal's records could not be read.
    """
    _, past = await _past(job, requests, ledger)
    return await _matched(job, past, ledger, _ahead(requests, ledger), request_id)


def begin(job: Job, requests: Requests, ledger: Ledger) -> float:
    """From when on, by fal's clock, it can have had this job."""
    ahead = _ahead(requests, ledger)
    # A row of the future: the clock was set back since, and nobody knows by how much.
    if job.created > ledger.now() + _CLOCK_SKEW:
        return ledger.now() + ahead - _A_DAY
    # Not later where fal's clock is ahead now: it may be ours that was set back in between.
    return job.created + min(ahead, 0.0) - _CLOCK_SKEW


def _ahead(requests: Requests, ledger: Ledger) -> float:
    """Seconds by which fal's clock is ahead of the ledger's, as far as is known."""
    now = requests.now()
    return 0.0 if now is None else now - ledger.now()


async def _past(job: Job, requests: Requests, ledger: Ledger) -> tuple[float, list[Past]]:
    """fal's requests of the job's endpoint since it can have had it, and since when that is."""
    start = begin(job, requests, ledger)
    past = await requests.since(job.endpoint_id, start)
    # That answer told what time it is at fal, which may never have been heard before.
    if (again := begin(job, requests, ledger)) < start - 1:
        start, past = again, await requests.since(job.endpoint_id, again)
    return start, past


async def _matched(job: Job, past: Iterable[Past], ledger: Ledger, ahead: float, request_id: str | None = None) -> Job:
    fits = [one for one in past if _fits(one, job, request_id)]
    if not fits:
        return job

    def likelihood(one: Past) -> tuple[bool, float]:
        # The nearest in time: of the same call made by hand on fal's page an hour later, only the first is ours.
        is_named = one.request.request_id == request_id
        return not is_named, abs(_moment(one.started, job.created + ahead) - job.created - ahead)

    return await ledger.found(job, [one.request for one in sorted(fits, key=likelihood)])


def _moment(text: str, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return otherwise


def _fits(past: Past, job: Job, request_id: str | None) -> bool:
    if request_id is not None and past.request.request_id == request_id:
        return True
    # By the digest, which is the same whatever the order of keys: fal need not give arguments back in ours.
    return past.arguments is not None and (Order(job.endpoint_id, past.arguments, way=job.way).digest == job.digest)
