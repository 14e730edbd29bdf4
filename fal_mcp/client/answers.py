"""What fal's answers mean: its four error envelopes and status codes as one error tree. Pure.

The same answer means different things to different questions: to a submit, only a well-formed refusal proves that
nothing runs; to a result, only fal's own word that the job failed ends it. `refusal_of_paid`, `of_run` and `of_result`
say so; `rejection` is for everything else.
"""

import time
from collections.abc import Iterator, Mapping

from fal_mcp.client import hints
from fal_mcp.client.fals_clock import moment_of
from fal_mcp.client.retry import TRANSIENT
from fal_mcp.errors import (
    FalError,
    Fault,
    GenerationFailed,
    InputRefused,
    InvalidInput,
    MaybeReceived,
    NotAuthorised,
    NotFound,
    OutOfCredit,
    RateLimited,
    RequestRejected,
    ResultNotReady,
    ServiceFailed,
    Unreachable,
)
from fal_mcp.json_values import (
    JsonMapping,
    JsonObject,
    NotJson,
    dumped,
    is_list,
    is_object,
    list_of,
    object_of,
    parsed,
    text_of,
)
from fal_mcp.text import clean, one_line

_LONGEST_MESSAGE = 600
_LONGEST_WAIT = 120.0
_LONGEST_ID = 128
_WORDS = frozenset({"NOT_FOUND", "ALREADY_COMPLETED"})
"""What the queue says about a request in place of an envelope."""
_ABOUT_THE_QUESTION = frozenset({401, 402, 403, 405, 407, 408, 409, 425, 429})
"""Refusals of the question for a result; about the job they say nothing."""
_CANCELLED = 499
_STILL = "still in progress"
_OF_A_REQUEST = frozenset(
    {"detail", "request_id", "gateway_request_id", "response_url", "status_url", "cancel_url", "status"}
    | {"queue_position", "logs", "metrics"}
)


def json_object(body: bytes) -> JsonObject | None:
    """The body as a JSON object, or None where it is anything else."""
    try:
        # A byte order mark is no part of JSON, and is in front of it where a body was written by .NET.
        value = parsed(body.removeprefix(b"\xef\xbb\xbf"))
    except NotJson:
        return None
    return object_of(value) if is_object(value) else None


def rejection(status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    """The error that an answer with a status outside 2xx stands for; `headers` are looked up in lower case."""
    value = json_object(body) or {}
    error_type = _error_type(value, headers)
    faults = tuple(_faults(value.get("detail")))
    # The message too decides: an empty balance comes as 401, 402 or 403, and only the words tell it from a wrong key.
    kind = _kind(status, _message(value, body, status), error_type, bool(faults))
    message = "; ".join(map(str, faults)) if faults else _message(value, body, status)
    error = kind(
        message,
        status=status,
        request_id=_request_id(value, headers),
        error_type=error_type,
        retryable=_retryable(status, headers, kind),
        retry_after=retry_after(headers),
        hint=hints.of(kind, status, error_type, message),
        faults=faults,
    )
    error.is_fals_own = is_fals_own(body)
    return error


def said(value: object) -> str:
    """What somebody else's value says, however it is made: nothing where it cannot be said."""
    if isinstance(value, str):
        return value
    try:
        return dumped(value)
    except (RecursionError, TypeError):
        return ""


def id_in(answer: JsonMapping) -> str | None:
    """The id in an answer, where it can be one: something that stands in an address."""
    request_id: object = answer.get("request_id")
    # An id that came as a number is taken as well: without it a paid job could be looked for by its arguments alone.
    if isinstance(request_id, int) and not isinstance(request_id, bool):
        return str(request_id)
    if not isinstance(request_id, str) or not 0 < len(request_id) <= _LONGEST_ID:
        return None
    return request_id if request_id.isprintable() and request_id.strip(". ") else None


def is_fals_own(body: bytes) -> bool:
    """Whether an error body has one of fal's forms, and is not the page or the JSON of something in between."""
    value = json_object(body) or {}
    detail, envelope = value.get("detail"), object_of(value.get("error"))
    if isinstance(detail, str) and detail.strip():
        return True
    is_list = bool(list_of(detail)) and all(isinstance(entry, (dict, str)) for entry in list_of(detail))
    return is_list or bool(text_of(envelope.get("message"))) or text_of(value.get("status")) in _WORDS


def refusal_of_paid(status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    """What an answer outside 2xx says of a request that costs money.

    A refusal only where it is proven: a status of 4xx in fal's own form, other than that of something that ran and
    was cancelled, or an ingress that says it let nothing through. Everything else may be running.
    """
    # A proxy may answer 4xx after it passed the request on; only fal's own form shows that fal itself refused.
    if 400 <= status < 500 and status != _CANCELLED and is_fals_own(body):
        return rejection(status, headers, body)
    if was_not_taken(status, headers, body):
        return Unreachable(f"fal's front door answered {status} and let nothing through.", status=status)
    return unproven(status, headers, body)


def of_run(status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    """The same for a run that fal holds open until the model is done: it may also say that the model failed."""
    # In this order: a failed model also answers in fal's form, and would pass for a request that was never taken.
    return _failure_of(status, headers, body) or refusal_of_paid(status, headers, body)


def of_result(status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    """What an answer outside 2xx says of the result of a completed job: that it failed, or nothing."""
    detail = object_of(json_object(body)).get("detail")
    # Whoever is refused for a wrong key or too many questions learns nothing of the job: taking it for the job's
    # failure would throw away a result that is paid for.
    is_told = status not in _ABOUT_THE_QUESTION and _STILL not in (text_of(detail) or "").casefold()
    if is_told and (failed := _failure_of(status, headers, body)):
        return failed
    # A 404 may be the app's own and may be the gateway's.
    if is_told and 400 <= status < 500 and status != 404 and detail and is_fals_own(body):
        return _as_failure(rejection(status, headers, body))
    return not_ready(rejection(status, headers, body))


def not_ready(error: FalError) -> ResultNotReady:
    """What stands in the way of a result, as what it is: for the moment."""
    return ResultNotReady(
        f"The job is completed and its result could not be fetched yet: {error.message}",
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )


def is_not_ready(value: JsonMapping | None) -> bool:
    """Whether a body is fal's "still in progress", and not an output that has such words in it.

    fal's has nothing else in it than what it says of a request.
    """
    if not value or not value.keys() <= _OF_A_REQUEST:
        return False
    detail = text_of(value.get("detail"))
    if detail is not None:
        return detail.strip().rstrip(".").casefold() == f"request is {_STILL}"
    return value.get("status") in ("IN_QUEUE", "IN_PROGRESS") and "status_url" in value


def unproven(status: int, headers: Mapping[str, str], body: bytes) -> MaybeReceived:
    """An answer to a request that costs money, from which nobody can tell whether it was acted upon."""
    return MaybeReceived(
        f"fal's answer, {status}, does not say whether the request was taken.",
        status=status,
        request_id=_request_id(json_object(body) or {}, headers),
        retry_after=retry_after(headers),
    )


def _failure_of(status: int, headers: Mapping[str, str], body: bytes) -> GenerationFailed | None:
    """fal's word that the model ran and failed: an error that it names, or one about each argument."""
    value = json_object(body) or {}
    has_faults = any(is_object(entry) for entry in list_of(value.get("detail")))
    is_named = bool(headers.get("x-fal-error-type")) or bool(_error_type(value, headers) and is_fals_own(body))
    # 422 is not here: to a run it is a refusal before anything was done, and to a result `of_result` has it.
    is_its_own = status >= 500 or status == _CANCELLED
    if not (is_its_own and (is_named or has_faults or (status == _CANCELLED and is_fals_own(body)))):
        return None
    return _as_failure(rejection(status, headers, body))


def _as_failure(error: FalError) -> GenerationFailed:
    if isinstance(error, GenerationFailed):
        return error
    kind = InputRefused if isinstance(error, InvalidInput) else GenerationFailed
    return kind(
        error.message,
        status=error.status,
        request_id=error.request_id,
        error_type=error.error_type,
        retryable=error.retryable,
        hint=error.hint,
        faults=error.faults,
    )


def failure(status: JsonMapping) -> GenerationFailed | None:
    """What a COMPLETED status says went wrong, or None; fal has no status word for failure."""
    # COMPLETED is what fal says of jobs that failed as well.
    if not status.get("error"):
        return None
    error_type = status.get("error_type")
    error_type = one_line(error_type, 80) if isinstance(error_type, str) else None
    message = clean(said(status["error"]), _LONGEST_MESSAGE)
    return GenerationFailed(
        message,
        request_id=text_of(status.get("request_id")),
        error_type=error_type,
        hint=hints.of(GenerationFailed, 200, error_type, message),
    )


def is_transient(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the same GET may well succeed in a moment.

     A 502, 503 or 504 that names its request is the model's own answer, and final; without one it is the ingress's
    .
    """
    return status in TRANSIENT and (status < 500 or "x-fal-request-id" not in headers)


def was_not_taken(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer to a submit proves that nothing was started, so that it may be sent again.

    True for fal's own 429, and for an ingress error: no `x-fal-request-id`, and the proxy's own page. A 502
    or 504 from the ingress may come after the request went through; only 503 says that it did not.
    """
    if status == 429:
        return is_fals_own(body)
    return status == 503 and "x-fal-request-id" not in headers and b"nginx" in body


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The seconds that `Retry-After` asks for, 0 to 120; None where there is none or it cannot be read."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        if (until := moment_of(value)) is None:
            return None
        # By the clock of whoever asked for it, where it told: this machine's may be wrong.
        here = time.time() if now is None else now
        told = moment_of(headers.get("date"))
        seconds = until - (here if told is None else told)
    # `float` also reads "nan", which no comparison would bound, and a date that is past gives less than nothing.
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None


def _kind(status: int, message: str, error_type: str | None, has_faults: bool) -> type[FalError]:
    if status in {401, 402, 403} and hints.is_about_credit(status, message):
        return OutOfCredit
    match status:
        case 401 | 402 | 403:
            return NotAuthorised
        case 404:
            return NotFound
        case 422:
            return InvalidInput
        case 400 if has_faults:
            return InvalidInput
        case 429:
            return RateLimited
        case 499:
            return GenerationFailed
        # fal names what failed in the model; a bare 500 is a fault of the service.
        case 500 | 504 if error_type or has_faults:
            return GenerationFailed
        case _:
            return RequestRejected if 400 <= status < 500 else ServiceFailed


def _message(value: JsonMapping, body: bytes, status: int) -> str:
    envelope = value.get("error")
    nested = object_of(envelope).get("message") if is_object(envelope) else envelope
    for text in (value.get("detail"), nested, value.get("message"), value.get("status")):
        if isinstance(text, str) and text.strip():
            return clean(text, _LONGEST_MESSAGE)
    text = one_line(body.decode("utf-8", "replace"), 200)
    # A page of a proxy says nothing to a reader.
    return f"fal answered {status}" + (f": {text}" if text and not text.startswith("<") else ".")


def _faults(detail: object) -> Iterator[Fault]:
    for entry in list_of(detail):
        if is_object(entry):
            item = object_of(entry)
            yield Fault(_path(item.get("loc")), _fault_message(item))
        elif isinstance(entry, str):
            yield Fault("$", clean(entry, 300))


def _fault_message(item: JsonMapping) -> str:
    message = clean(said(item.get("msg") or item.get("type") or "refused"), 300)
    context = object_of(item.get("ctx"))
    facts = [f"{key}: {value}" for key, value in context.items() if _is_plain(value)]
    return f"{message} ({one_line(', '.join(facts), 200)})" if facts else message


def _is_plain(value: object) -> bool:
    return all(isinstance(item, (str, int, float)) for item in (value if is_list(value) else [value]))


def _path(location: object) -> str:
    steps = list_of(location)
    # fal's documents are FastAPI's: where a value stands begins with the part of the request, which callers do not
    # know.
    inner = steps[1:] if steps[:1] in (["body"], ["query"], ["path"]) else steps
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{one_line(said(step), 80)}" for step in inner)


def _error_type(value: JsonMapping, headers: Mapping[str, str]) -> str | None:
    nested = object_of(value.get("error")).get("type")
    of_fault = next((object_of(entry).get("type") for entry in list_of(value.get("detail"))), None)
    for name in (value.get("error_type"), headers.get("x-fal-error-type"), nested, of_fault):
        if isinstance(name, str) and name.strip():
            return one_line(name, 80)
    return None


def _request_id(value: JsonMapping, headers: Mapping[str, str]) -> str | None:
    named = id_in(value) or headers.get("x-fal-request-id")
    return one_line(named, _LONGEST_ID) if named else None


def _retryable(status: int, headers: Mapping[str, str], kind: type[FalError]) -> bool:
    # fal's own word goes before anything that is concluded from the status.
    word = headers.get("x-fal-retryable") or headers.get("x-fal-needs-retry")
    if word is not None:
        return word.strip().casefold() in {"true", "1"}
    return kind.retryable or is_transient(status, headers)
