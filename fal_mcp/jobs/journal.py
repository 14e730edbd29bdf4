"""The life of a job, as the log tells it: one line for each step that is in the ledger, of ids and states alone."""

import logging

from fal_mcp import logs
from fal_mcp.jobs.job import Job, principal_of
from fal_mcp.jobs.records import Change

_STEPS = {"intent": "about to be submitted", "waiting": "waiting for its turn", "queued": "submitted"}

logger = logging.getLogger("fal_mcp.jobs")


def begun(job: Job) -> None:
    """A new job is written down."""
    _tell("begun", job.job_id, job.endpoint_id, job.owner, state=job.state)


def changed(change: Change) -> None:
    """A job was written anew."""
    about = (change.job_id, change.endpoint_id, change.owner)
    if change.state != change.before:
        _tell(_STEPS.get(change.state, change.state), *about, fal_request_id=change.request_id)
    if change.is_saved:
        _tell("saved", *about)


def taken_up(jobs: list[Job]) -> list[Job]:
    """These jobs are followed by this server from here on, in place of one that is gone."""
    for job in jobs:
        _tell("taken up", job.job_id, job.endpoint_id, job.owner, state=job.state)
    return jobs


def withdrawn(job_id: str) -> None:
    """A job was ended while it waited for its turn."""
    logger.info("Job cancelled.", extra=logs.fields(job_id=job_id))


def _tell(step: str, job_id: str, endpoint_id: str, owner: str, **more: str | None) -> None:
    # Whose it is, and not who looked at it last: a line may be written in the course of another's call.
    about = logs.fields(job_id=job_id, endpoint_id=endpoint_id, principal=principal_of(owner), **more)
    logger.info("Job %s.", step, extra=about)
