"""Realtime connections on the wire: what goes over them, what comes back, and what is never sent twice."""

import io
import json
from dataclasses import replace
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from websockets.asyncio.client import connect

from fal_mcp.client import frames
from fal_mcp.client.realtime import Line
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Live, Script
from fal_mcp.errors import (
    FalError,
    GenerationFailed,
    InvalidInput,
    MaybeReceived,
    NotAuthorised,
    NotFound,
    ServiceFailed,
    Unreachable,
)
from fal_mcp.ways_to_fal import fal_of
from tests.conftest import KEY, UNKNOWN_KEY

FLUX = "fal-ai/flux/dev"
BOUND = 20
ANSWER = 10.0
"""Seconds to wait for an answer."""
DEEP = 3000


def asked(seed: int) -> dict[str, Any]:
    return {"prompt": "a pier", "seed": seed}


def closed(fal: Emulator) -> bool:
    return bool(fal.lines) and not any(line.is_open for line in fal.lines)


async def answers(settings: Settings, *seeds: int) -> list[dict[str, Any]]:
    async with fal_of(settings) as client, client.realtime(FLUX) as line:
        return [await line.ask(asked(seed), ANSWER) for seed in seeds]


async def test_answers_come_in_the_order_of_the_inputs_with_files_as_bytes(fal: Emulator, settings: Settings):
    """Fact F3.3: msgpack out and in; a message about timings comes in between and is no answer."""
    with anyio.fail_after(BOUND):
        found = await answers(settings, 3, 1, 2)
        await fal.until(lambda: closed(fal))
    assert [one["seed"] for one in found] == [3, 1, 2] and fal.lines[0].inputs == [asked(3), asked(1), asked(2)]
    with Image.open(io.BytesIO(found[0]["images"][0]["content"])) as picture:
        assert picture.format == "JPEG" and picture.size == (256, 256)


async def test_the_key_buys_a_token_and_never_goes_on_the_connection(fal: Emulator, settings: Settings):
    """Fact F1.5: the alias alone is the app that is allowed."""
    with anyio.fail_after(BOUND):
        async with fal_of(settings) as client, client.realtime(FLUX, max_buffering=60) as line:
            await line.ask(asked(1), ANSWER)
    token, opened = fal.calls
    assert (token.host_role, token.path) == ("rest", "/tokens/") and KEY in token.headers["authorization"]
    assert json.loads(token.body) == {"allowed_apps": ["flux"], "token_expiration": 120}
    assert (opened.host_role, opened.path) == ("run", f"/{FLUX}/realtime")
    assert opened.query == f"fal_jwt_token={fal.lines[0].token}&max_buffering=60"
    assert KEY not in str(opened) and "authorization" not in opened.headers
    assert "sec-websocket-extensions" not in opened.headers, "nothing that unpacks to more than it is"


async def test_the_emulator_takes_a_token_for_its_app_and_its_time_alone(fal: Emulator, settings: Settings):
    """What the tests here rest on. Fact F1.5 and F13, item 12."""
    older = [{"allowed_apps": ["veo3"]}, {"allowed_apps": ["flux"], "token_expiration": 0}, {"allowed_apps": ["flux"]}]
    base, said = f"{settings.hosts.rest}/tokens", list[Any]()
    with anyio.fail_after(BOUND):
        async with httpx.AsyncClient(headers={"authorization": f"Key {KEY}"}) as http:
            tokens = [(await http.post(f"{base}/", json=body)).json() for body in older]
            newer = (await http.post(f"{base}/realtime", json={"app": f"{FLUX}/realtime", "duration": 60})).json()
        for token in ("made-up", *tokens, newer["token"]):
            url = f"{settings.hosts.run.replace('http', 'ws')}/{FLUX}/realtime?fal_jwt_token={token}"
            async with connect(url) as socket:
                if token in (tokens[2], newer["token"]):
                    await socket.send(json.dumps(asked(1)))
                said.append(json.loads(await socket.recv()))
    refused = {"status": "error", "error": "Unauthorized"}
    assert said[:3] == [refused] * 3 and [one["type"] for one in said[3:]] == ["x-fal-message"] * 2


async def test_answers_in_json_are_read_too(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(answer='{"images": [], "seed": 9}')))
    with anyio.fail_after(BOUND):
        assert await answers(settings, 9) == [{"images": [], "seed": 9}]


async def test_a_failure_is_told_with_fals_code_and_the_next_input_goes_over_a_new_connection(
    fal: Emulator, settings: Settings
):
    fal.script(FLUX, Script(live=Live(error_after=1)))
    with anyio.fail_after(BOUND):
        async with fal_of(settings) as client, client.realtime(FLUX) as line:
            await line.ask(asked(1), ANSWER)
            with pytest.raises(GenerationFailed, match="INTERNAL_ERROR: as scripted") as failed:
                await line.ask(asked(2), ANSWER)
            await line.ask(asked(3), ANSWER)
    assert failed.value.error_type == "INTERNAL_ERROR" and line.answered == 2
    assert [one.inputs for one in fal.lines] == [[asked(1), asked(2)], [asked(3)]]


async def test_idleness_at_fal_is_met_with_a_new_connection_and_a_fresh_token(fal: Emulator, settings: Settings):
    """Fact F3.3: TIMEOUT, "no inputs, reconnect when needed!", then a normal close."""
    fal.script(FLUX, Script(live=Live(timeout_after=1)))
    with anyio.fail_after(BOUND):
        async with fal_of(settings) as client, client.realtime(FLUX) as line:
            await line.ask(asked(1), ANSWER)
            await fal.until(lambda: closed(fal))
            assert (await line.ask(asked(2), ANSWER))["seed"] == 2
    assert [one.inputs for one in fal.lines] == [[asked(1)], [asked(2)]]
    assert fal.lines[0].token != fal.lines[1].token


async def test_a_token_that_will_not_do_is_replaced_once(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(unauthorised=1)))
    with anyio.fail_after(BOUND):
        assert [one["seed"] for one in await answers(settings, 1, 2)] == [1, 2]
    assert len({line.token for line in fal.lines}) == len(fal.lines) == 2


async def test_a_second_refusal_is_final(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(unauthorised=9)))
    with anyio.fail_after(BOUND):
        with pytest.raises(NotAuthorised, match="Unauthorized"):
            await answers(settings, 1)
    assert len(fal.lines) == 2 and fal.lines[1].inputs == []


async def test_a_key_that_fal_does_not_know_opens_nothing(fal: Emulator, settings: Settings):
    with anyio.fail_after(BOUND):
        for key in (UNKNOWN_KEY, None):
            with pytest.raises(NotAuthorised):
                await answers(replace(settings, key=key), 1)
    assert fal.lines == []


async def test_a_lost_answer_says_how_far_it_came_and_its_input_is_not_sent_again(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(close_after=2)))
    with anyio.fail_after(BOUND):
        with pytest.raises(MaybeReceived, match="before answer 3 came; 2 came before it") as lost:
            await answers(settings, 1, 2, 3)
    assert "not sent again" in lost.value.hint and [one.inputs for one in fal.lines] == [[asked(n) for n in (1, 2, 3)]]


async def test_an_answer_that_comes_too_late_is_never_taken_for_the_next_one(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(hold=True)))
    with anyio.fail_after(BOUND):
        async with fal_of(settings) as client, client.realtime(FLUX) as line:
            with pytest.raises(MaybeReceived, match=r"0\.1 seconds passed"):
                await line.ask(asked(1), 0.1)
            fal.script(FLUX, Script())
            fal.release()
            assert (await line.ask(asked(2), ANSWER))["seed"] == 2


async def test_a_connection_that_is_not_open_in_time_has_sent_nothing():
    """Opening it again is within the input's own time."""

    async def never() -> Any:
        await anyio.sleep_forever()

    with anyio.fail_after(BOUND):
        with pytest.raises(Unreachable, match=r"0\.05 seconds passed before a connection was open") as late:
            await Line(never).ask(asked(1), 0.05)
    assert not isinstance(late.value, MaybeReceived)


async def test_nobody_else_waits_while_a_large_answer_is_read(fal: Emulator, settings: Settings):
    """The event loop goes on: the answer is read in a thread."""
    fal.script(FLUX, Script(live=Live(answer=json.dumps({"points": [[0.5]] * 300_000}))))
    threads, is_read = anyio.to_thread.current_default_thread_limiter(), anyio.Event()
    most, told = 0, list[dict[str, Any]]()

    async def watch() -> None:
        nonlocal most
        while not is_read.is_set():
            most = max(most, threads.borrowed_tokens)
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            told += await answers(settings, 1)
            is_read.set()
    assert told == [{"points": [[0.5]] * 300_000}] and most == 1


async def test_an_app_without_realtime_says_so(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(is_there=False)))
    with anyio.fail_after(BOUND):
        with pytest.raises(NotFound, match="no realtime endpoint") as refused:
            await answers(settings, 1)
    assert "run_model" in refused.value.hint


async def test_a_redirect_is_not_followed(fal: Emulator, settings: Settings):
    """An input, and the token beside it, goes where fal is and nowhere else."""

    async def elsewhere(visitor: anyio.abc.SocketStream) -> None:
        async with visitor:
            request = (await visitor.receive()).decode().split(" ")[1]
            there = f"{settings.hosts.run.replace('http', 'ws')}{request}"
            await visitor.send(f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())

    with anyio.fail_after(BOUND):
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, elsewhere)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                hosts = replace(settings.hosts, run=f"http://127.0.0.1:{port}")
                with pytest.raises(ServiceFailed, match="302"):
                    await answers(replace(settings, hosts=hosts), 1)
                tasks.cancel_scope.cancel()
    assert fal.lines == []


async def test_nobody_there_is_unreachable(fal: Emulator, settings: Settings):
    hosts = replace(settings.hosts, run="http://127.0.0.1:9")
    with anyio.fail_after(BOUND):
        with pytest.raises(Unreachable, match="could be opened"):
            await answers(replace(settings, hosts=hosts), 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"\xc1 no msgpack",
        b"\x92\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * DEEP + b"\x01",
        "{nonsense",
        "[" * DEEP + "]" * DEEP,
        b"\xdc\x07\xd0" + (b"\xdc\x03\xe8" + b"\x80" * 1000) * 2000,
    ],
    ids=["garbage", "cut short", "four thousand million", "deep", "garbage text", "deep text", "full of objects"],
)
async def test_a_hostile_frame_ends_in_an_error_that_says_so(fal: Emulator, settings: Settings, frame: bytes | str):
    fal.script(FLUX, Script(live=Live(answer=frame)))
    with anyio.fail_after(BOUND):
        with pytest.raises(MaybeReceived, match=r"A frame of fal's|larger than"):
            await answers(settings, 1)


async def test_a_frame_of_a_hundred_megabytes_is_not_taken_in(fal: Emulator, settings: Settings):
    fal.script(FLUX, Script(live=Live(answer=bytes(100_000_000))))
    with anyio.fail_after(BOUND):
        with pytest.raises(MaybeReceived, match="larger than 67108864 bytes"):
            await answers(settings, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_whatever_is_json_goes_over_and_comes_back_the_same(value: dict[str, Any]):
    told: dict[str, Any] = {
        "images": [],
        **{name: item for name, item in value.items() if name not in ("type", "status")},
    }
    try:
        frame = frames.packed(told)
    except InvalidInput:
        # Halves of surrogate pairs are in no encoding.
        return
    assert frames.read(frame) == told == frames.read(json.dumps(told))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_frame_is_an_answer_news_or_an_error_of_ours(frame: bytes | str):
    try:
        found = frames.read(frame)
    except FalError:
        return
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize("value", [{"seed": 2**70}, {"scale": float("nan")}, {"mask": {1, 2}}])
def test_an_input_that_is_neither_json_nor_bytes_is_refused(value: dict[str, Any]):
    with pytest.raises(InvalidInput):
        frames.packed(value)
