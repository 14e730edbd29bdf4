"""What fal's answers mean: its four error envelopes and status codes as one error tree. Pure.

Fact sheet §12; the envelopes of §12.3, the gateway's own texts of §1.4.
"""

import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

from fal_mcp.errors import (
    FalError,
    Fault,
    GenerationFailed,
    InvalidInput,
    NotAuthorised,
    NotFound,
    OutOfCredit,
    RateLimited,
    RequestRejected,
    ServiceFailed,
)
from fal_mcp.text import clean, one_line

_LONGEST_MESSAGE = 600
_LONGEST_WAIT = 120.0
_CREDIT = ("exhausted balance", "user is locked", "insufficient balance", "top up your balance")
_TRANSIENT = frozenset({408, 409, 425, 429, 502, 503, 504})
_NOT_OF_THE_ARGUMENTS = {
    "client_cancelled": "It was cancelled. Run it again only if it is wanted after all.",
    "content_policy_violation": "The model refused the content. Word the prompt differently.",
    "no_media_generated": "The model produced nothing. Word the prompt differently, or set another seed.",
    "file_download_error": "fal could not fetch a file. Give a public https URL that needs no login.",
    "image_load_error": "A file is not a picture the model can read. Give a JPEG, PNG or WebP.",
}


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None where it is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def rejection(status: int, headers: Mapping[str, str], body: bytes) -> FalError:
    """The error that an answer with a status outside 2xx stands for; `headers` are looked up in lower case."""
    value = json_object(body) or {}
    error_type = _error_type(value, headers)
    faults = tuple(_faults(value.get("detail")))
    kind = _kind(status, _message(value, body, status), error_type, bool(faults))
    message = "; ".join(map(str, faults)) if faults else _message(value, body, status)
    return kind(
        message,
        status=status,
        request_id=_request_id(value, headers),
        error_type=error_type,
        retryable=_retryable(status, headers, kind),
        retry_after=retry_after(headers),
        hint=_NOT_OF_THE_ARGUMENTS.get(error_type or ""),
        faults=faults,
    )


def failure(status: Mapping[str, Any]) -> GenerationFailed | None:
    """What a COMPLETED status says went wrong, or None; fal has no status word for failure (fact sheet §2.5)."""
    if not status.get("error"):
        return None
    error_type = status.get("error_type")
    return GenerationFailed(
        clean(str(status["error"]), _LONGEST_MESSAGE),
        request_id=status.get("request_id"),
        error_type=error_type if isinstance(error_type, str) else None,
    )


def is_transient(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the same GET may well succeed in a moment.

    A 502, 503 or 504 that names its request is the model's own answer, and final; without one it is the ingress's
    (fact sheet §2.8).
    """
    return status in _TRANSIENT and (status < 500 or "x-fal-request-id" not in headers)


def was_not_taken(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer to a submit proves that nothing was started, so that it may be sent again.

    True for 429, and for an ingress error: no `x-fal-request-id`, and the proxy's own page (fact sheet §2.8). A 502
    or 504 from the ingress may come after the request went through; only 503 says that it did not.
    """
    if status == 429:
        return True
    return status == 503 and "x-fal-request-id" not in headers and b"nginx" in body


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """The seconds that `Retry-After` asks for, 0 to 120; None where there is none or it cannot be read."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None


def _kind(status: int, message: str, error_type: str | None, has_faults: bool) -> type[FalError]:
    if status == 402 or (status in {401, 403} and any(words in message.casefold() for words in _CREDIT)):
        return OutOfCredit
    match status:
        case 401 | 403:
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
        case 500 | 504 if error_type or has_faults:
            return GenerationFailed
        case _:
            return RequestRejected if 400 <= status < 500 else ServiceFailed


def _message(value: Mapping[str, Any], body: bytes, status: int) -> str:
    envelope = value.get("error")
    nested = cast(dict[str, Any], envelope).get("message") if isinstance(envelope, dict) else envelope
    for text in (value.get("detail"), nested, value.get("message"), value.get("status")):
        if isinstance(text, str) and text.strip():
            return clean(text, _LONGEST_MESSAGE)
    text = one_line(body.decode("utf-8", "replace"), 200)
    # A page of a proxy says nothing to a reader.
    return f"fal answered {status}" + (f": {text}" if text and not text.startswith("<") else ".")


def _faults(detail: Any) -> Iterator[Fault]:
    for entry in cast(list[Any], detail) if isinstance(detail, list) else []:
        if isinstance(entry, dict):
            item = cast(dict[str, Any], entry)
            yield Fault(_path(item.get("loc")), _fault_message(item))
        elif isinstance(entry, str):
            yield Fault("$", clean(entry, 300))


def _fault_message(item: Mapping[str, Any]) -> str:
    message = clean(str(item.get("msg") or item.get("type") or "refused"), 300)
    context = item.get("ctx")
    if not isinstance(context, dict):
        return message
    facts = [f"{key}: {value}" for key, value in cast(dict[str, Any], context).items() if _is_plain(value)]
    return f"{message} ({one_line(', '.join(facts), 200)})" if facts else message


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in cast(list[Any], value))
    return isinstance(value, (str, int, float))


def _path(location: Any) -> str:
    steps = cast(list[Any], location) if isinstance(location, list) else []
    inner = steps[1:] if steps[:1] in (["body"], ["query"], ["path"]) else steps
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{one_line(str(step), 80)}" for step in inner)


def _error_type(value: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    envelope, detail = value.get("error"), value.get("detail")
    nested = cast(dict[str, Any], envelope).get("type") if isinstance(envelope, dict) else None
    first = cast(list[Any], detail)[0] if isinstance(detail, list) and detail else None
    of_fault = cast(dict[str, Any], first).get("type") if isinstance(first, dict) else None
    for found in (value.get("error_type"), headers.get("x-fal-error-type"), nested, of_fault):
        if isinstance(found, str):
            return one_line(found, 80)
    return None


def _request_id(value: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    found = value.get("request_id") or headers.get("x-fal-request-id")
    return one_line(found, 80) if isinstance(found, str) else None


def _retryable(status: int, headers: Mapping[str, str], kind: type[FalError]) -> bool:
    told = headers.get("x-fal-retryable") or headers.get("x-fal-needs-retry")
    if told is not None:
        return told.strip().casefold() in {"true", "1"}
    return kind.retryable or is_transient(status, headers)
