"""All of fal's error envelopes as one tree. Fact F1.4 and F12."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_mcp import errors
from fal_mcp.client import answers

CASES: list[tuple[int, Any, type[errors.FalError], str]] = [
    (401, {"detail": "No user found for Key ID and Secret"}, errors.NotAuthorised, "No user found"),
    (403, {"detail": "User is locked. Reason: Exhausted balance. Top up."}, errors.OutOfCredit, "Exhausted"),
    (402, {"detail": "Payment required"}, errors.OutOfCredit, "Payment"),
    (403, {"error": {"type": "authorization_error", "message": "Access denied"}}, errors.NotAuthorised, "Access"),
    (404, {"status": "NOT_FOUND"}, errors.NotFound, "NOT_FOUND"),
    (404, {"detail": "Application not found"}, errors.NotFound, "Application"),
    (422, {"detail": [{"loc": ["body", "prompt"], "msg": "Field required"}]}, errors.InvalidInput, "$.prompt: Field"),
    (429, {"error": {"type": "rate_limited", "message": "Rate limit exceeded"}}, errors.RateLimited, "Rate limit"),
    (499, {"detail": "Request cancelled", "error_type": "client_cancelled"}, errors.GenerationFailed, "cancelled"),
    (504, {"detail": "Request timed out", "error_type": "request_timeout"}, errors.GenerationFailed, "timed out"),
    (500, {"detail": "Internal Server Error"}, errors.ServiceFailed, "Internal"),
    (503, b"<html>nginx</html>", errors.ServiceFailed, "fal answered 503."),
    (400, {"status": "ALREADY_COMPLETED"}, errors.RequestRejected, "ALREADY_COMPLETED"),
    (500, {"error": "no such key"}, errors.ServiceFailed, "no such key"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), CASES)
def test_each_envelope_becomes_the_right_error(status: int, body: Any, kind: type[errors.FalError], words: str):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = answers.rejection(status, {"x-fal-request-id": "R"}, raw)
    assert type(error) is kind
    assert words in error.message
    assert (error.status, error.request_id) == (status, "R")
    assert error.hint


@given(
    st.integers(300, 599),
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["detail", "error", "loc", "msg", "ctx", "type", "message", "status", "request_id"]),
                inner,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_body_is_too_strange_to_be_an_error(status: int, body: bytes):
    error = answers.rejection(status, {}, body)
    assert isinstance(error, errors.FalError) and error.message is not None


def test_retry_after_is_read_in_both_forms_and_bounded():
    assert answers.retry_after({"retry-after": "3"}) == 3
    assert answers.retry_after({"retry-after": "99999"}) == 120
    assert answers.retry_after({"retry-after": "-4"}) == 0
    assert answers.retry_after({"retry-after": "nan"}) is None
    assert answers.retry_after({"retry-after": "soon"}) is None
    until = {"retry-after": "Thu, 01 Jan 1970 00:01:10 GMT"}
    assert answers.retry_after(until, now=60.0) == 10
    assert answers.retry_after({**until, "date": "Thu, 01 Jan 1970 00:01:05 GMT"}, now=1e9) == 5


def test_a_submit_goes_again_only_when_it_cannot_have_been_taken():
    assert answers.was_not_taken(429, {}, b'{"detail": "Too many requests"}')
    assert not answers.was_not_taken(429, {}, b""), "anything between here and fal may have said it"
    assert answers.was_not_taken(503, {}, b"<center>nginx</center>")
    assert not answers.was_not_taken(503, {"x-fal-request-id": "R"}, b"nginx")
    assert not answers.was_not_taken(502, {}, b"nginx")
    assert not answers.was_not_taken(500, {}, b"")
