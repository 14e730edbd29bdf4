"""Whatever stands between here and fal answers, in whatever order: what the client says of it is true.

A submit is refused only where that is proven; following and fetching never end a job; only our own errors come out.
"""

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fal_mcp.client.fal import Fal
from fal_mcp.client.queue import Completed, Request, Status
from fal_mcp.errors import (
    FalError,
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
    Unreachable,
)
from tests.client.scripted import KEY, Bytes, FreeClock, network

BOUND = 60
MODEL = "fal-ai/flux/dev"
HERE = "https://queue.fal.run/fal-ai/flux/requests/R-1"
REQUEST = Request(MODEL, "R-1", f"{HERE}/status", HERE, f"{HERE}/cancel")
NAMES = {"request_id": "R-1", "status_url": f"{HERE}/status", "response_url": HERE, "cancel_url": f"{HERE}/cancel"}
PAGE = b"<html><head><title>502 Bad Gateway</title></head><center>nginx</center></html>"
OUTPUT = {"images": [{"url": "https://v3.fal.media/files/a.png"}], "seed": 7}
FAULTS = {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}

Answer = Callable[[httpx.Request], httpx.Response]
TROUBLES = (
    *(httpx.ReadError, httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError, httpx.DecodingError),
    *(httpx.CloseError, ConnectionResetError, TimeoutError, UnicodeError, EOFError, KeyError, RuntimeError),
)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


def answer(status: int, value: Any, **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    # As it comes over a wire: unpacked here, and not by what made it.
    return lambda request: httpx.Response(status, headers=named, stream=Bytes(body))


def raised(kind: type[Exception]) -> Answer:
    def fail(request: httpx.Request) -> httpx.Response:
        raise kind("lost")

    return fail


def cut_off(status: int, body: bytes, kind: type[Exception] = httpx.RemoteProtocolError) -> Answer:
    return lambda request: httpx.Response(status, stream=Bytes(body, error=kind("peer closed connection")))


async def told_nothing(status: Any) -> None:
    return


async def asked(answers: Answer | list[Answer], ask: Callable[[Fal], Awaitable[Any]]) -> Any:
    """What a question brings where fal answers so; the last answer comes again and again."""
    script: list[Answer] = [answers] if callable(answers) else answers
    count = 0

    def reply(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return script[min(count, len(script)) - 1](request)

    with anyio.fail_after(BOUND):
        async with Fal(KEY, transport=network(reply), clock=FreeClock().clock()) as fal:
            return await ask(fal)


def submit(fal: Fal) -> Awaitable[Any]:
    return fal.queue.submit(MODEL, {"prompt": "a pier"})


def run(fal: Fal) -> Awaitable[Any]:
    return fal.synchronous.run(MODEL, {"prompt": "a pier"})


def stream(fal: Fal) -> Awaitable[Any]:
    return fal.streaming.run(MODEL, {"prompt": "a pier"}, told_nothing)


def result(fal: Fal) -> Awaitable[Any]:
    return fal.queue.result(REQUEST)


REFUSED: list[tuple[int, Any, type[RequestRejected]]] = [
    (400, FAULTS, InvalidInput),
    (400, {"detail": "Malformed header"}, RequestRejected),
    (401, {"detail": "No user found for Key ID and Secret"}, NotAuthorised),
    (402, {"detail": "Payment required"}, OutOfCredit),
    (403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}, OutOfCredit),
    (403, {"detail": "User is locked. Reason: Admin lock. Please contact support@fal.ai"}, NotAuthorised),
    (404, {"detail": 'Application "x" not found'}, NotFound),
    (405, {"detail": "Method Not Allowed"}, RequestRejected),
    (413, {"detail": "Too large"}, RequestRejected),
    (422, FAULTS, InvalidInput),
    (429, {"detail": "Too many requests"}, RateLimited),
    (451, {"error": {"type": "x", "message": "Not here"}}, RequestRejected),
]


@pytest.mark.parametrize("ask", [submit, run, stream])
@pytest.mark.parametrize(("status", "value", "kind"), REFUSED)
async def test_a_refusal_in_fals_own_form_is_a_refusal(status: int, value: Any, kind: type[FalError], ask: Any):
    with pytest.raises(kind) as caught:
        await asked(answer(status, value), ask)
    assert type(caught.value) is kind and caught.value.status == status and caught.value.hint


UNPROVEN: dict[str, Answer] = {
    **{
        f"{status} page": answer(status, PAGE)
        for status in (400, 401, 403, 404, 409, 413, 422, 429, 451, 500, 502, 504)
    },
    **{f"{status} empty": answer(status, b"") for status in (400, 403, 404, 408, 429, 500, 502, 503, 504, 599)},
    **{f"{status} foreign": answer(status, {"message": "no Route matched"}) for status in (403, 404, 429, 500, 503)},
    **{f"{status} fal's": answer(status, {"detail": "Internal Server Error"}) for status in (500, 502, 503, 504)},
    **{f"{status} redirect": answer(status, b"", location="https://evil.example/") for status in (301, 302, 307, 308)},
    **{f"{kind.__name__}": raised(kind) for kind in TROUBLES},
    "broken redirect": answer(302, b"", location="https://[x"),
    "200 page": answer(200, PAGE),
    "200 empty": answer(200, b""),
    "204": answer(204, b""),
    # Whatever it is called: an answer that has begun is no proof that nothing was sent.
    **{
        f"cut off by {kind.__name__}": cut_off(200, b'{"request_id"', kind)
        for kind in (*NOT_SENT, httpx.InvalidURL, *TROUBLES)
    },
    "broken gzip": answer(200, b"\x1f\x8bnonsense", content_encoding="gzip"),
    "unknown packing": answer(200, json.dumps(NAMES).encode(), content_encoding="br"),
    "304": answer(304, b""),
}
UNREADABLE = {
    "null": b"null",
    "list": b"[]",
    "string": b'"taken"',
    "object": b"{}",
    "garbage": b"\xff\xfe not json",
    "id is a list": b'{"request_id": ["R"]}',
    "id is empty": b'{"request_id": ""}',
    "id leads up": b'{"request_id": ".."}',
    "id is true": b'{"request_id": true}',
    "deep": b"[" * 5000,
    "long number": b'{"request_id": null, "n": ' + b"9" * 6000 + b"}",
}


@pytest.mark.parametrize("ask", [submit, run, stream])
@pytest.mark.parametrize("name", UNPROVEN)
async def test_what_proves_no_refusal_may_have_been_received(name: str, ask: Any):
    with pytest.raises(MaybeReceived) as caught:
        await asked(UNPROVEN[name], ask)
    assert not caught.value.retryable and caught.value.hint


@pytest.mark.parametrize("name", UNREADABLE)
async def test_an_answer_that_names_no_request_may_have_been_received(name: str):
    with pytest.raises(MaybeReceived) as caught:
        await asked(answer(200, UNREADABLE[name], x_fal_request_id="R-9"), submit)
    assert caught.value.request_id == "R-9", "where it can be looked for"


@pytest.mark.parametrize("ask", [submit, run, stream])
@pytest.mark.parametrize("kind", NOT_SENT)
async def test_what_was_never_sent_is_told_as_that(kind: type[Exception], ask: Any):
    with pytest.raises(Unreachable) as caught:
        await asked(raised(kind), ask)
    assert type(caught.value) is Unreachable and caught.value.retryable


async def test_a_lost_request_is_never_sent_again_and_one_that_was_not_sent_is():
    lost = [raised(httpx.ConnectError), answer(503, PAGE), answer(429, {"detail": "slow"}), answer(200, NAMES)]
    assert await asked(lost, submit) == REQUEST
    with pytest.raises(MaybeReceived):
        await asked([raised(httpx.ReadError), answer(200, NAMES)], submit)
    for kind in NOT_SENT:
        with pytest.raises(MaybeReceived):
            await asked([cut_off(200, b"{", kind), answer(200, NAMES)], submit)


FOREIGN = [
    *(
        "https://evil.example/x",
        "http://queue.fal.run/x",
        "https://queue.fal.run.evil.example/",
        "https://[x",
        "",
        None,
    ),
    *("https://user:pass@queue.fal.run/x", "https://queue.fal.run:99999/x", "file:///etc/passwd", 7, ["x"], "//x"),
]


@pytest.mark.parametrize("url", FOREIGN)
@pytest.mark.parametrize("name", ["status_url", "response_url", "cancel_url"])
async def test_addresses_that_are_not_fals_are_built_instead(name: str, url: Any):
    assert await asked(answer(200, {**NAMES, name: url}), submit) == REQUEST
    assert await asked(answer(200, {key: item for key, item in NAMES.items() if key != name}), submit) == REQUEST


NOT_YET: dict[str, Answer] = {
    **{name: UNPROVEN[name] for name in UNPROVEN if name[:3] not in ("304", "204") and "unknown packing" != name},
    **{f"{kind.__name__}": raised(kind) for kind in NOT_SENT},
    "revoked key": answer(401, {"detail": "No user found for Key ID and Secret"}),
    "locked": answer(403, {"detail": "User is locked."}),
    "unknown": answer(404, {"status": "NOT_FOUND"}),
    "too fast": answer(429, {"detail": "Too many requests"}, retry_after="3600"),
    "not yet": answer(400, {"detail": "Request is still in progress", **NAMES}),
    "not yet with 200": answer(200, {"detail": "Request is still in progress", **NAMES}),
    "status": answer(202, {"status": "IN_PROGRESS", **NAMES}),
    "null": answer(200, b"null"),
}


@pytest.mark.parametrize("name", NOT_YET)
async def test_one_bad_reading_of_a_result_costs_nothing(name: str):
    """One 500 on the result of a completed job made a paid result unreachable."""
    assert await asked([NOT_YET[name], answer(200, OUTPUT)], result) == OUTPUT


@pytest.mark.parametrize("name", [name for name in NOT_YET if name != "null"])
async def test_a_result_that_cannot_be_had_is_not_ready_and_not_failed(name: str):
    with pytest.raises(ResultNotReady) as caught:
        await asked(NOT_YET[name], result)
    assert caught.value.retryable and not isinstance(caught.value, GenerationFailed)


FAILED: list[tuple[int, Any, dict[str, str], type[GenerationFailed]]] = [
    (422, FAULTS, {}, InputRefused),
    (400, {"detail": "The picture is empty."}, {}, GenerationFailed),
    (422, {"detail": "No."}, {}, InputRefused),
    (499, {"detail": "Request cancelled by the client.", "error_type": "client_cancelled"}, {}, GenerationFailed),
    (500, {"detail": [{"loc": ["body"], "msg": "x", "type": "internal_server_error"}]}, {}, GenerationFailed),
    (504, {"detail": "Request timed out", "error_type": "request_timeout"}, {}, GenerationFailed),
    (503, {"detail": "Runner gone"}, {"x_fal_error_type": "runner_disconnected"}, GenerationFailed),
]


@pytest.mark.parametrize(("status", "value", "headers", "kind"), FAILED)
async def test_fals_own_word_that_the_job_failed_is_believed(
    status: int, value: Any, headers: dict[str, str], kind: type[GenerationFailed]
):
    with pytest.raises(GenerationFailed) as caught:
        await asked(answer(status, value, **headers), result)
    assert type(caught.value) is kind and caught.value.status == status


async def test_a_bare_error_is_believed_where_the_status_says_the_same():
    """An app that ends with an exception answers 500 and a sentence, as anything between here and fal may."""

    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/status"):
            return httpx.Response(
                200, json={"status": "COMPLETED", "error": "It broke", "error_type": "runner_server_error"}
            )
        return httpx.Response(500, json={"detail": "Internal Server Error"})

    with pytest.raises(GenerationFailed, match="It broke"):
        await asked(reply, result)


OUTPUTS: list[Any] = [
    {"detail": "The bridge is still in progress.", "output": "x"},
    {"detail": "Request is still in progress", "images": []},
    {"status": "error", "error": "none", "request_id": "x", "response_url": "https://evil.example/"},
    {"status": "IN_PROGRESS", "text": "x"},
    {"error": {"message": "x"}},
    {},
    {"url": "https://[x"},
    {"n": 1e300, "deep": [[[[]]]]},
]


@pytest.mark.parametrize("output", OUTPUTS)
async def test_an_output_that_looks_like_a_refusal_is_an_output(output: Any):
    assert await asked(answer(200, output), result) == output
    assert await asked(answer(200, output), run) == output


@pytest.mark.parametrize("value", [[], [1, 2], "text", 7, False])
async def test_an_output_that_is_no_object_is_wrapped(value: Any):
    assert await asked(answer(200, value), result) == {"output": value}


RAW: list[tuple[bytes, str, str]] = [
    (b"plain text", "text/plain", "plain text"),
    (b"\xff\xfe not json", "application/octet-stream", "data:application/octet-stream;base64,//4gbm90IGpzb24="),
    (b"\x89PNG\r\n\x1a\n\xff", "image/png", "data:image/png;base64,iVBORw0KGgr/"),
    (b'{"cut": ', "application/json", '{"cut": '),
    (b"<svg/>", "image/svg+xml", "<svg/>"),
    (b"", "", ""),
]


@pytest.mark.parametrize(("content", "kind", "shown"), RAW)
async def test_a_result_that_is_no_json_is_kept_as_it_is_once_it_came_again(content: bytes, kind: str, shown: str):
    output = await asked(answer(200, content, content_type=kind, x_fal_request_id="R-1"), result)
    raw = output["_raw"]
    assert (raw if isinstance(raw, str) else raw["url"]) == shown and output["_raw_reason"]


async def test_a_result_that_is_too_large_is_told_with_how_to_have_it():
    many = [b" " * 1_000_000] * 70
    output = await asked(lambda request: httpx.Response(200, stream=Bytes(*many)), result)
    assert output["_raw"]["response_url"] == HERE and "curl" in output["_raw"]["how"] and KEY not in str(output)


async def test_a_result_that_would_fill_the_memory_with_values_stays_text():
    content = b"[" + b"[]," * 2_100_000 + b"1]"
    output = await asked(answer(200, gzip.compress(content, 1), content_encoding="gzip"), result)
    assert len(output["_raw"]) == len(content)


# ---- following


def followed(answers: list[Answer]) -> tuple[Callable[[Fal], Awaitable[Any]], list[Status], list[FalError]]:
    statuses: list[Status] = []
    troubles: list[FalError] = []

    async def seen(status: Status) -> None:
        statuses.append(status)

    async def trouble(error: FalError) -> None:
        troubles.append(error)

    return (lambda fal: fal.queue.follow(REQUEST, seen, trouble)), statuses, troubles


DONE = answer(200, {"status": "COMPLETED", "metrics": {"inference_time": 2.5}})
STATUS_TROUBLE: dict[str, Answer] = {
    **{name: UNPROVEN[name] for name in UNPROVEN},
    **{f"{status} {name}": answer(status, value) for status, value, _ in REFUSED for name in [str(value)[:30]]},
    **{kind.__name__: raised(kind) for kind in NOT_SENT},
    **{name: answer(200, body) for name, body in UNREADABLE.items()},
    "a word": answer(200, {"status": "PAUSED"}),
    "a final word that fal does not have": answer(200, {"status": "FAILED"}),
    "no word": answer(200, {"status": None}),
    "a list for a word": answer(200, {"status": [[]]}),
    "later": answer(429, {"detail": "slow"}, retry_after="100000"),
    "unknown": answer(404, {"status": "NOT_FOUND"}),
}


@pytest.mark.parametrize("name", STATUS_TROUBLE)
@pytest.mark.parametrize("times", [1, 3, 40])
async def test_no_trouble_with_a_status_ends_the_following(name: str, times: int):
    """A 5xx on a status read is no verdict on the job; taken for one it made users pay again."""
    if times == 40 and ("unknown" in name or name.startswith("404 {")):
        pytest.skip("fal may say for long enough that it does not know a request")
    ask, _, troubles = followed([])
    last = await asked([answer(404, PAGE), *[STATUS_TROUBLE[name]] * times, DONE], ask)
    assert isinstance(last, Completed) and troubles


async def test_an_hour_without_a_network_is_waited_out_ever_more_slowly():
    clock = FreeClock()

    def reply(request: httpx.Request) -> httpx.Response:
        if clock.seconds < 3600:
            raise httpx.ConnectError("down")
        return DONE(request)

    async with Fal(KEY, transport=network(reply), clock=clock.clock()) as fal:
        last = await fal.queue.follow(REQUEST, told_nothing)
    assert last == Completed(seconds=2.5)
    assert max(clock.slept) <= 45 and 80 <= len(clock.slept) <= 400, "not more often than a person would want"


async def test_a_request_that_fal_does_not_know_for_a_minute_is_told_as_that():
    clock = FreeClock()
    async with Fal(KEY, transport=network(answer(404, {"status": "NOT_FOUND"})), clock=clock.clock()) as fal:
        with pytest.raises(NotFound):
            await fal.queue.follow(REQUEST, told_nothing)
    assert 60 <= clock.seconds <= 120


async def test_a_page_that_says_404_for_an_hour_is_not_fals_word():
    clock = FreeClock()

    def reply(request: httpx.Request) -> httpx.Response:
        return answer(404, PAGE)(request) if clock.seconds < 3600 else DONE(request)

    async with Fal(KEY, transport=network(reply), clock=clock.clock()) as fal:
        assert await fal.queue.follow(REQUEST, told_nothing) == Completed(seconds=2.5)


async def test_a_word_that_nobody_knows_is_over_once_fal_hands_out_the_result():
    def reply(request: httpx.Request) -> httpx.Response:
        is_result = not request.url.path.endswith(("/status", "/stream"))
        return httpx.Response(200, json=OUTPUT if is_result else {"status": "SUCCEEDED"})

    assert await asked(reply, lambda fal: fal.queue.follow(REQUEST, told_nothing)) == Completed()


async def test_what_the_caller_raises_is_the_callers():
    class Mine(Exception):
        pass

    async def seen(status: Status) -> None:
        raise Mine

    with pytest.raises(Mine):
        await asked(DONE, lambda fal: fal.queue.follow(REQUEST, seen))


@pytest.mark.parametrize(
    ("status", "value", "word"),
    [
        (202, {"status": "CANCELLATION_REQUESTED"}, "requested"),
        (200, {"success": True}, "requested"),
        (200, b"", "requested"),
        (400, {"status": "ALREADY_COMPLETED"}, "already completed"),
        (409, {"detail": "already done"}, "already completed"),
        (409, b"", "already completed"),
        (404, {"status": "NOT_FOUND"}, "not found"),
    ],
)
async def test_cancelling_says_what_fal_said(status: int, value: Any, word: str):
    assert await asked(answer(status, value), lambda fal: fal.queue.cancel(REQUEST)) == word


# ---- anything at all, in any order

BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([PAGE, b"", b"null", b"[" * 3000, gzip.compress(b"{}"), b'data: {"a": 1}\n\n', b"data: x\r\rdata"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    "detail error error_type status request_id status_url response_url logs message metrics images "
                    "choices usage loc msg ctx queue_position".split()
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED"]).map(
        lambda word: json.dumps({"status": word, **NAMES}).encode()
    ),
)
HEADERS: st.SearchStrategy[dict[str, str]] = st.dictionaries(
    st.sampled_from(
        "content-encoding content-type retry-after location x-fal-request-id x-fal-error-type x-fal-retryable".split()
    ),
    st.sampled_from("gzip deflate br text/event-stream application/json 5 nan https://[x R true".split()),
    max_size=3,
)


@st.composite
def any_answer(draw: st.DrawFn) -> Answer:
    if draw(st.booleans()) and draw(st.booleans()):
        return raised(draw(st.sampled_from([*TROUBLES, *NOT_SENT])))
    status = draw(
        st.sampled_from([*range(200, 207), *range(300, 309), *range(400, 430), 451, 499, *range(500, 512), 599])
    )
    body, headers = draw(BODIES), draw(HEADERS)
    error = httpx.ReadError("cut") if draw(st.integers(0, 5)) == 0 else None
    return lambda request: httpx.Response(status, headers=headers, stream=Bytes(body, error=error))


ASKS: dict[str, Callable[[Fal], Awaitable[Any]]] = {
    "submit": submit,
    "run": run,
    "stream": stream,
    "result": result,
    "cancel": lambda fal: fal.queue.cancel(REQUEST),
    "status": lambda fal: fal.queue.status(REQUEST),
    "prices": lambda fal: fal.models.prices([MODEL]),
    "page": lambda fal: fal.models.page(),
    "document": lambda fal: fal.platform.document(),
    "past": lambda fal: fal.requests.since(MODEL, 0.0),
    "billed": lambda fal: fal.requests.billed("R", 0.0),
    "ticket": lambda fal: fal.storage.ticket("a.png", "image/png"),
    "media": lambda fal: fal.media.read("https://v3.fal.media/files/a.png", 1000),
    "beginning": lambda fal: fal.media.beginning("https://v3.fal.media/files/a.png", 1000),
    "gone": lambda fal: fal.media.is_gone("https://v3.fal.media/files/a.png"),
    "secrets": lambda fal: fal.secrets.list(),
    "webhook": lambda fal: fal.webhooks.verified({"x-fal-webhook-timestamp": "\u0663"}, b"{}"),
    "sign": lambda fal: fal.access.sign("https://v3.fal.media/files/a.png", 60),
    "page of a model": lambda fal: fal.docs.of_model(MODEL),
}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_answer(), min_size=1, max_size=6))
@pytest.mark.parametrize("name", ASKS)
async def test_nothing_but_our_own_errors_comes_out(name: str, answers: list[Answer]):
    try:
        value = await asked(answers, ASKS[name])
    except FalError as error:
        assert error.message
        if name == "submit":
            assert isinstance(error, RequestRejected | Unreachable)
        if name == "result":
            assert isinstance(error, GenerationFailed | ResultNotReady)
    else:
        assert name != "result" or isinstance(value, dict)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_answer(), max_size=12))
async def test_no_answers_at_all_end_the_following(answers: list[Answer]):
    ask, statuses, _ = followed(answers)
    last = await asked([*answers, DONE], ask)
    assert isinstance(last, Completed) and (not statuses or isinstance(statuses[-1], Completed) or last == Completed())
