"""Submits whose answers were lost, several with the same arguments: of fal's requests each is one job's, and none is
left over.
"""

import json
from typing import Any

import anyio
import httpx
import pytest

from fal_mcp.client.http import Http
from fal_mcp.client.requests import Requests
from fal_mcp.config import Hosts
from fal_mcp.jobs import lost_submits
from fal_mcp.jobs.job import Job, Order
from fal_mcp.jobs.ledger import Ledger, Limits
from tests.jobs.conftest import Where

HOSTS = Hosts.at("http://fal.test")
BOUND = 60
GIVEN = {"prompt": "x"}


def records(count: int) -> Requests:
    """fal's records of so many requests with the same arguments, begun in the same moment."""
    items = [
        {"endpoint_id": "a/b", "request_id": f"request-{number}", "started_at": "2026-01-01T00:00:00Z"}
        for number in range(count)
    ]
    body = json.dumps({"items": [{**item, "json_input": GIVEN} for item in items], "has_more": False})

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    return Requests(Http(HOSTS, "id:secret", transport=httpx.MockTransport(answer)), HOSTS)


async def begun(ledger: Ledger, count: int) -> list[Job]:
    order = Order("a/b", GIVEN, "me", 0.1, is_fresh=True)
    jobs = [await ledger.begin(order, Limits()) for _ in range(count)]
    for job in jobs:
        await ledger.record(job.job_id, state="unknown")
    return jobs


@pytest.mark.parametrize(("jobs", "requests"), [(2, 1), (3, 1), (3, 2), (3, 3), (2, 4)])
async def test_of_jobs_that_are_looked_for_at_once_each_gets_a_request_of_its_own(
    where: Where, jobs: int, requests: int
):
    ledgers = [Ledger(where), Ledger(where)]
    fal = records(requests)
    lost = await begun(ledgers[0], jobs)
    seen: list[Job] = []

    async def look(job: Job, ledger: Ledger) -> None:
        seen.append(await lost_submits.look_for(job, fal, ledger))

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            for job in lost:
                # By two servers at once, as where one that waits for it joins the one that tidies up.
                for ledger in ledgers:
                    tasks.start_soon(look, job, ledger)
        rows: list[Any] = [await ledgers[0].get(job.job_id, "me") for job in lost]
        for ledger in ledgers:
            await ledger.aclose()
    kept = {row.job_id: row.request.request_id for row in rows if row.request}
    told = {job.job_id: job.request.request_id for job in seen if job.request}
    assert len(kept) == len(set(kept.values())) == min(jobs, requests)
    assert told == kept, "whoever waits is told of the request that is written down"


async def test_the_request_that_fal_named_comes_before_one_that_is_alike(where: Where):
    ledger = Ledger(where)
    (job,) = await begun(ledger, 1)
    with anyio.fail_after(BOUND):
        found = await lost_submits.look_for(job, records(3), ledger, "request-2")
        await ledger.aclose()
    assert found.request is not None and found.request.request_id == "request-2"
