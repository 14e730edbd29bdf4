"""What is said of a job that is out of sight: its submit was lost, fal does not know it, or its result cannot be had.

Pure. Each says what is known of the money, and what to call next.
"""

from fal_mcp.errors import FalError, MaybeReceived, NotFound, RequestRejected, ResultNotReady, Unreachable


def is_refusal(error: FalError) -> bool:
    """Whether it is proven that fal runs nothing: it refused, or nothing reached it. `MaybeReceived` is `Unreachable`
    too, and proves nothing."""
    return isinstance(error, RequestRejected) or type(error) is Unreachable


def lost(error: Exception, job_id: str) -> MaybeReceived:
    what = error.message if isinstance(error, FalError) else "This server could not read fal's answer."
    return MaybeReceived(
        f"{what} The job may be running and paid for; it was not sent again.",
        request_id=error.request_id if isinstance(error, FalError) else None,
        status=error.status if isinstance(error, FalError) else None,
        retryable=False,
        hint=f"It is looked for in fal's records: call wait_for_job with job_id {job_id!r}. The same call again does "
        "not pay twice; run_model with fresh: true does.",
    )


def not_known(error: FalError, job_id: str) -> NotFound:
    return NotFound(
        f"fal does not know the request of job {job_id!r} any more: {error.message}",
        status=error.status,
        request_id=error.request_id,
        hint="Whether it was billed is not known here; it counts as estimated. wait_for_job asks fal once more; to run "
        "it again is to pay again: run_model with fresh: true does.",
    )


def not_fetched(error: Exception, job_id: str) -> ResultNotReady:
    what = error.message if isinstance(error, FalError) else "This server could not read it."
    return ResultNotReady(
        f"The job is completed at fal, and its result could not be fetched yet: {what}",
        status=error.status if isinstance(error, FalError) else None,
        hint=f"Nothing is lost: call wait_for_job with job_id {job_id!r} in a moment. It is not to be run again.",
    )


def out_of_sight(job_id: str) -> ResultNotReady:
    return ResultNotReady(
        "This server lost sight of the job, and its log has the details. The job is not lost.",
        hint=f"Call wait_for_job with job_id {job_id!r}; do not run it again.",
    )
