"""What comes of a stream: the last event that is one, whatever stands around it; and what came before it broke."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_mcp.client.events import Event, Reader
from fal_mcp.client.fal import Fal
from fal_mcp.errors import FalError, MaybeReceived
from tests.client.scripted import KEY, Bytes, FreeClock, network

LAST = {"output": "all of it", "partial": False}


async def streamed(*chunks: bytes, error: Exception | None = None, kind: str = "text/event-stream") -> dict[str, Any]:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, stream=Bytes(*chunks, error=error))

    async def seen(event: Any) -> None:
        return

    async with Fal(KEY, transport=network(answer), clock=FreeClock().clock()) as fal:
        return await fal.streaming.run("fal-ai/any-llm", {"prompt": "x"}, seen)


def event(value: Any) -> bytes:
    return f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()


AFTER = [
    *(event("keepalive"), event("[DONE]"), event("null"), event("ping"), event(""), event("[done]")),
    *(
        b": ping - 12:00\n\n",
        b"event: heartbeat\ndata:\n\n",
        b"retry: 5000\n\n",
        b"id: 7\n\n",
        b"\n\n",
        b"\r\n",
        b"nonsense\n\n",
    ),
    *(event("bye"), b"data: [DONE]", b": no end"),
]


@pytest.mark.parametrize("after", AFTER)
async def test_the_last_event_that_is_one_is_the_result(after: bytes):
    assert await streamed(event({"output": "all"}), event(LAST), after) == LAST


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b": hello\n\n", b"\n", b"retry: 1\n\n"])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r", ""])
async def test_a_mark_or_a_remark_before_the_first_event_loses_nothing(before: bytes, end: str):
    assert await streamed(before + f"data: {json.dumps(LAST)}{end}".encode()) == LAST


async def test_usage_at_the_end_is_added_and_replaces_nothing():
    assert await streamed(event(LAST), event({"usage": {"total_tokens": 9}})) == {**LAST, "usage": {"total_tokens": 9}}


async def test_the_pieces_of_a_language_model_are_one_text():
    def piece(text: str) -> dict[str, Any]:
        return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}

    usage: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}
    result = await streamed(event(piece("a ")), event(piece("pier")), event(usage), event("[DONE]"))
    assert result["output"] == "a pier" and result["usage"] == {"total_tokens": 3}


async def test_a_stream_of_text_alone_is_its_last_text():
    assert await streamed(event("one"), event("two"), event("[DONE]")) == {"output": "two"}


async def test_an_answer_at_once_is_taken_for_what_it_is():
    assert await streamed(json.dumps(LAST).encode(), kind="application/json") == LAST


@pytest.mark.parametrize("content", [b"", b": ping\n\n", event("[DONE]"), event("null"), b"<html>", b"\xff\xfe"])
async def test_a_stream_that_gave_nothing_may_have_been_paid_for(content: bytes):
    with pytest.raises(MaybeReceived) as caught:
        await streamed(content)
    assert caught.value.partial is None and "not bill" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "error", [httpx.ReadError("cut"), httpx.ReadTimeout("silence"), ConnectionResetError(), KeyError()]
)
async def test_what_came_before_a_stream_broke_off_is_kept(error: Exception):
    with pytest.raises(MaybeReceived, match="after 2 events") as caught:
        await streamed(event({"output": "a"}), event({"output": "a pier"}), b'data: {"output": "a pi', error=error)
    assert caught.value.partial == {"output": "a pier"} and not caught.value.retryable


async def test_an_event_without_an_end_is_not_held():
    with pytest.raises(FalError) as caught:
        await streamed(event({"output": "a"}), b"data: ", *[bytes(1_000_000).replace(b"\0", b"x")] * 40)
    assert isinstance(caught.value, MaybeReceived) and caught.value.partial == {"output": "a"}


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"), min_size=1), min_size=1, max_size=5
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 7),
)
def test_events_are_the_same_wherever_their_bytes_are_cut(texts: list[str], end: str, cut: int):
    whole = "".join(f"data: {text}{end}{end}" for text in texts).encode()
    reader = Reader()
    cuts = [whole[start : start + cut] for start in range(0, len(whole), cut)]
    events = [event for piece in cuts for event in reader.fed(piece)] + list(reader.ended())
    assert events == [Event("message", text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_no_bytes_are_too_strange_for_a_reader(pieces: list[bytes]):
    reader = Reader()
    for piece in pieces:
        assert all(isinstance(event, Event) for event in reader.fed(piece))
    assert all(isinstance(event, Event) for event in reader.ended())
