"""What one exchange says of the next: is it answered, what does a lost answer mean, and is it sent again."""

import httpx

from fal_mcp.client import answers
from fal_mcp.client.retry import Retry
from fal_mcp.errors import FalError, MaybeReceived, Unreachable


def is_good(response: httpx.Response) -> bool:
    """Whether it is an answer to what was asked; "not modified" is one where that was asked."""
    return response.is_success or (response.status_code == 304 and "if-none-match" in response.request.headers)


def lost(error: Unreachable, is_open: bool) -> FalError:
    """What a lost answer means: where nothing was changed, no more than that there was none."""
    # To a question that changes nothing, an answer lost after sending is the same as none: it may simply be asked
    # again.
    kind = MaybeReceived if is_open else Unreachable
    if type(error) is kind:
        return error
    # The hint of the kind goes with the kind; one that names a variable of this machine stays right whatever the kind.
    hint = error.hint if error.hint != type(error).hint else None
    return kind(error.message, status=error.status, request_id=error.request_id, hint=hint)


def is_final(error: Unreachable, retry: Retry) -> bool:
    """Whether a lost answer is not to be asked for again."""
    # Nothing has left: even what costs money may be tried again, unless this machine's surroundings are at fault.
    if not isinstance(error, MaybeReceived):
        return not error.retryable
    return retry.when != "always"


def is_worth_another(response: httpx.Response, retry: Retry) -> bool:
    """Whether the same request may be sent again after this answer."""
    status, headers = response.status_code, response.headers
    # With fal's request id on it, a 5xx is the model's own answer, which it would give again.
    if retry.when == "always":
        return status in retry.statuses and (status < 500 or "x-fal-request-id" not in headers)
    return answers.was_not_taken(status, headers, response.content)
