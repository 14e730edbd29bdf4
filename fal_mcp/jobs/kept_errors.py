"""An error as the ledger keeps it, and back."""

from fal_mcp.errors import FalError, GenerationFailed, NotFound
from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonObject


def said(error: FalError) -> JsonObject:
    """An error as the ledger keeps it."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "status": error.status,
        "error_type": error.error_type,
        "retryable": error.retryable,
    }


def of(job: Job) -> FalError:
    """What went wrong with a job that ended without a result."""
    # Without a word of why it is not known that it failed, and whoever believes that it did pays again.
    if job.state == "lost" and job.error is None:
        return NotFound(
            f"What became of job {job.job_id!r} is not known: fal has no request of it, or none that could be found.",
            hint="It counts as estimated. To run it again is to pay again: run_model with fresh: true does.",
        )
    return read(job.error, job.request.request_id if job.request else None)


def read(row: JsonObject | None, request_id: str | None) -> FalError:
    """An error as it was kept."""
    about = row or {}
    # By name and not pickled: a ledger outlives versions, and one that is shared must not be able to run code.
    kinds: dict[str, type[FalError]] = {kind.__name__: kind for kind in _kinds(FalError)}
    # A kind that a later version wrote is not known here; that the job failed is.
    return kinds.get(str(about.get("kind")), GenerationFailed)(
        str(about.get("message") or "The job failed."),
        hint=about.get("hint"),
        status=about.get("status"),
        error_type=about.get("error_type"),
        retryable=about.get("retryable"),
        request_id=request_id,
    )


def _kinds(kind: type[FalError]) -> list[type[FalError]]:
    return [kind, *(below for inner in kind.__subclasses__() for below in _kinds(inner))]
