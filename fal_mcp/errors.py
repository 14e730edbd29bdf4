"""Everything that can go wrong on the way to fal and back, as one tree.

FalError
  x RequestRejected    the caller can change something
    + InvalidInput       the arguments are wrong
    + NotAuthorised      no key, a wrong key, or a key without the scope
    + NotFound           no such endpoint, request or file
    + OutOfCredit        the account cannot pay
    + RateLimited        too fast, or too many at once
    + NotReadable        a file of this machine cannot or may not be read
    + NotWritable        a file cannot or may not be written here
    + BudgetExceeded     a limit of this server's is in the way
    + NotAuthentic       a callback that is not fal's
    + UploadClosed       an upload in parts that fal no longer goes on with
  x GenerationFailed   fal says that the model ran and failed, or was cancelled
    + InputRefused       the model refused its arguments after it was given them; InvalidInput too
  x ServiceFailed      fal's side
    + ResultNotReady     the job is completed and its result could not be fetched yet
  x Unreachable        no answer; where it is this very kind, nothing was sent
    + MaybeReceived      nothing proves that the request was refused, so it may have been acted upon
  x NotRecorded        it cannot be written down, so nothing was sent
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one argument; `path` is a JSON path such as `$.loras[0].scale`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class FalError(Exception):
    """What fal, or the way to it, had against a request.

    `status` is the HTTP status where there was one; `retryable` says whether the same request may succeed later;
    `hint` is a sentence on what to do next; `retry_after` is in seconds.
    """

    hint = ""
    retryable = False
    is_fals_own = False
    """Whether fal said it itself, in one of its own forms, and not something between here and fal."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        error_type: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id
        self.error_type = error_type
        self.retry_after = retry_after
        self.faults = faults
        if retryable is not None:
            # On the error itself only where it differs: the kind's own word stays the default for all others.
            self.retryable = retryable
        if hint is not None:
            self.hint = hint


class RequestRejected(FalError):
    """fal refused the request, and the caller can change something about it."""

    hint = "Change the request as the message says; sent again unchanged it fails again."


class InvalidInput(RequestRejected):
    """The arguments were refused."""

    hint = "Correct the arguments named here and call the tool again."


class NotAuthorised(RequestRejected):
    """The key is missing, unknown, or may not do this."""

    hint = "Create a key at https://fal.ai/dashboard/keys and set it as FAL_KEY where this server is configured."


class NotFound(RequestRejected):
    """There is no such endpoint, request or file."""

    hint = "Check the id. fal keeps results for a limited time, and retired models disappear."


class OutOfCredit(RequestRejected):
    """The account's balance does not cover the request."""

    hint = "Nothing was run. Add credit at https://fal.ai/dashboard/billing, then call the tool again."


class RateLimited(RequestRejected):
    """Too many requests at once or in a row."""

    hint = "Wait a little, then call again with fewer calls at once."
    retryable = True


class NotReadable(RequestRejected):
    """A file of this machine cannot or may not be read."""

    hint = "Give an https URL of the file, or a path in a folder that the server's --allow-dir names."


class NotWritable(RequestRejected):
    """A file cannot or may not be written here."""

    hint = "The result is there all the same, at its URL. --output-dir names the folder that files are saved in."


class NotAuthentic(RequestRejected):
    """A callback that is not fal's, or not of now."""

    hint = "Nothing was done with it."


class BudgetExceeded(RequestRejected):
    """It would cost more than this server's settings, or its user, allow."""

    hint = "Nothing was sent. Choose a cheaper model or smaller arguments, or ask the user to raise the limit."


class UploadClosed(RequestRejected):
    """fal does not go on with an upload in parts: it is over, too old, or was never there."""

    hint = "Forget its parts and begin the upload anew."
    retryable = True


class NotRecorded(FalError):
    """Paid work cannot be written down, so none is begun."""

    hint = "Nothing was sent. Free some disk space, or point --data-dir at a place that can be written."


class GenerationFailed(FalError):
    """The model ran and did not produce a result. Raised only where fal says so itself, in its own form."""

    hint = "Change the arguments or try another model; fal does not bill failures on its own side."


class InputRefused(InvalidInput, GenerationFailed):
    """The model refused its arguments when the job ran: the job has failed, and the arguments are why."""


class ServiceFailed(FalError):
    """Something failed on fal's side."""

    hint = "This is fal's side; try again in a moment. https://status.fal.ai shows outages."
    retryable = True


class ResultNotReady(ServiceFailed):
    """A job is completed and its result could not be fetched yet. Nothing is lost: fal keeps it and gives it later.

    `status` is that of the last answer, where there was one.
    """

    hint = "Nothing is lost: the result is at fal. Ask for it again in a moment; that costs nothing."


class Unreachable(FalError):
    """There was no answer from fal. Of this very kind, and none below it, it says that nothing was sent."""

    hint = "Check this machine's network and proxy settings, then try again."
    retryable = True


class MaybeReceived(Unreachable):
    """A request was sent and nothing proves that fal refused it, so it may be running and paid for.

    `request_id` is fal's, where a part of the answer named one; `partial` is what had come of a stream when it broke
    off, in the form that its result would have had, or None.
    """

    partial: Any = None

    hint = (
        "It was not sent again, because it may be running and paid for. "
        "Look at https://fal.ai/dashboard/requests before you repeat it."
    )
    retryable = False
