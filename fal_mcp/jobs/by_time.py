"""What a job comes to that is billed by how long it runs. Pure."""

from fal_mcp.jobs.job import Job
from fal_mcp.json_values import JsonObject

_CLOCK_SKEW = 60.0


def settled(job: Job, seconds: float, now: float) -> JsonObject:
    """The columns of what so many seconds of running come to; none where it is not billed by them, or where they are
    no time that it can have run for. `now` is in seconds since 1970."""
    # Written so that NaN settles nothing: every comparison with it is false.
    if not job.per_second or not 0 < seconds <= now - job.created + _CLOCK_SKEW:
        return {}
    # The hair that products have in binary would be booked as a millionth.
    price = round(job.per_second * seconds, 9)
    return {"price": price, "price_note": f"estimated: it ran {seconds:.3g} s; {job.rate_note}"}
