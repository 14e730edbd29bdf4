"""fal's callbacks, as the ledger takes them."""

from fal_mcp.client.webhooks import Delivery
from fal_mcp.errors import GenerationFailed
from fal_mcp.jobs import kept_errors
from fal_mcp.jobs.ledger import Ledger
from fal_mcp.json_values import JsonObject

_A_REFUSAL = "status code: 4"


async def taken(delivery: Delivery, ledger: Ledger, owner: str) -> bool:
    """Write down what a verified callback says of its job. False where no such job is known here."""
    job = await ledger.by_request(delivery.request_id, owner)
    if job is None:
        return False
    if delivery.is_ok and delivery.payload is not None:
        # A callback that comes after the result adds nothing, and one that comes twice must change nothing.
        if job.state != "completed" or job.output is None:
            await ledger.record(job.job_id, state="completed", output=delivery.payload, position=None)
    # What was fetched is believed before a callback that calls it failed: fal sends those late and again.
    elif not delivery.is_ok and not job.is_over:
        error = GenerationFailed(delivery.error or "The job failed.", request_id=delivery.request_id)
        # All that a callback tells of the status is in its words.
        has_run = job.has_run and _A_REFUSAL in (delivery.error or "").casefold()
        columns: JsonObject = {"error": kept_errors.said(error), "position": None}
        await ledger.record(job.job_id, state="failed", has_run=has_run, **columns)
    return True
