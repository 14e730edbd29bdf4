"""What a host may do to a pipe, and what it hears: every line is answered or logged, and an end is an end."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.json_values import list_of
from tests.server.stdio_host import ENVELOPE, INITIALIZED, Start, call, initialize, request

BOUND = 45
ENDS = 5
"""Seconds; 0.3 where nothing else runs."""
ENDPOINT, TOOL = "fal-ai/flux/dev", "fal-ai_flux_dev"
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Start:
    return Start(settings, tmp_path)


UNREADABLE: dict[bytes, tuple[int, Any]] = {
    b"hello": (PARSE_ERROR, None),
    b'{"jsonrpc": "2.0", "id": 5, "method": "ping"': (PARSE_ERROR, None),
    b"\xff\xfe\x00": (PARSE_ERROR, None),
    b"Content-Length: 20": (PARSE_ERROR, None),
    b"[" * 100_000: (PARSE_ERROR, None),
    b"42": (INVALID_REQUEST, None),
    b"null": (INVALID_REQUEST, None),
    b'"ping"': (INVALID_REQUEST, None),
    b"{}": (INVALID_REQUEST, None),
    b"[]": (INVALID_REQUEST, None),
    b'[{"jsonrpc": "2.0", "id": 5, "method": "ping"}]': (INVALID_REQUEST, None),
    b'{"jsonrpc": "1.0", "id": 5, "method": "ping"}': (INVALID_REQUEST, 5),
    b'{"id": "a", "method": "ping"}': (INVALID_REQUEST, "a"),
    b'{"jsonrpc": "2.0", "id": true, "method": "ping"}': (INVALID_REQUEST, None),
    b'{"jsonrpc": "2.0", "id": null, "method": "ping"}': (INVALID_REQUEST, None),
    b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}': (INVALID_REQUEST, 1.5),
    b'{"jsonrpc": "2.0", "id": "\\ud83d", "method": "ping"}': (INVALID_REQUEST, None),
    b'{"jsonrpc": "2.0", "id": 5, "method": 3}': (INVALID_REQUEST, 5),
    b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": 3}': (INVALID_REQUEST, 5),
}


async def test_a_line_that_cannot_be_read_is_answered_and_logged(start: Start):
    """JSON-RPC 2.0 §5.1; a host that hears nothing waits for its time-out."""
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands()
            for line, (code, identity) in UNREADABLE.items():
                await host.write(line + b"\n")
                answer = await host.message()
                assert (line[:40], answer["error"]["code"], answer["id"]) == (line[:40], code, identity)
            await host.send(request(9, "ping"))
            assert (await host.message()) == {"jsonrpc": "2.0", "id": 9, "result": {}}
            out, log = await host.end()
    assert out == b"" and log.count(b"was refused with") == len(UNREADABLE)


@pytest.mark.parametrize("line", [b"", b"   ", b"\r", b"\xef\xbb\xbf", b'{"jsonrpc": "2.0", "method": 3}'])
async def test_what_wants_no_answer_gets_none(start: Start, line: bytes):
    """Blank lines, and what has no id: JSON-RPC forbids to answer a notification, even a bad one."""
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands()
            await host.write(line + b"\n")
            await host.send(request(9, "ping"))
            assert (await host.message())["id"] == 9


@pytest.mark.parametrize("is_warm", [False, True], ids=["first start", "later start"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
async def test_a_byte_order_mark_is_skipped(start: Start, is_warm: bool, ends: bytes):
    """PowerShell writes one before what it pipes."""
    if is_warm:
        await start.warm()
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.write(b"\xef\xbb\xbf" + json.dumps(initialize(1)).encode() + ends)
            assert (await host.message())["result"]["serverInfo"]["name"] == "fal"


async def test_a_batch_is_answered_by_an_array_where_the_revision_has_them(start: Start):
    """Revision 2025-03-26, "receiving batches": a MUST."""
    batch = [
        request(2, "ping"),
        INITIALIZED,
        {"id": 3, "method": "ping"},
        request("four", "tools/call", {"name": "search_models", "arguments": {"query": "speech"}}),
        request(5, "no/such"),
    ]
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands("2025-03-26")
            await host.send(batch)
            answers = await host.message()
            await host.send([INITIALIZED], request(9, "ping"))
            assert (await host.message())["id"] == 9
    assert isinstance(answers, list)
    given: dict[Any, Any] = {answer["id"]: answer for answer in answers}  # pyright: ignore[reportUnknownVariableType]
    assert given.keys() == {2, 3, "four", 5}
    assert given[2]["result"] == {} and given["four"]["result"]["content"]
    assert (given[3]["error"]["code"], given[5]["error"]["code"]) == (INVALID_REQUEST, -32601)


async def test_a_batch_is_answered_without_what_was_cancelled_in_it(start: Start, fal: Emulator):
    """A cancelled request has no answer; the others, one of them paid for, have theirs."""
    fal.script(ENDPOINT, Script(hold_running=True))
    search = call("c", "search_models", {"query": "speech"})
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "a"}}
    slow = call("a", TOOL, {"prompt": "x"})
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands("2025-03-26")
            for batch in ([slow, search], [slow, search, cancelled], [search, cancelled, slow]):
                await host.send(batch, cancelled)
                assert [answer["id"] for answer in await host.message()] == ["c"]
            await host.send([slow], cancelled, request(9, "ping"))
            assert (await host.message())["id"] == 9


async def test_a_batch_with_one_id_twice_is_answered(start: Start):
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands("2025-03-26")
            await host.send([request(2, "ping"), request(2, "ping"), request(3, "ping")])
            answers: list[Any] = [await host.message(), await host.message()]
    assert any({each["id"] for each in list_of(answer)} == {2, 3} for answer in answers)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes them")
@pytest.mark.parametrize("is_warm", [False, True], ids=["first start", "later start"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
async def test_closed_descriptors_are_told(start: Start, is_warm: bool, closed: str):
    if is_warm:
        await start.warm()
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-m", "fal_mcp", *start.arguments]
    with anyio.fail_after(BOUND):
        done = await anyio.run_process(command, env=start.environment, check=False)
    assert (done.returncode, done.stdout) == (2, b"") and b"no host can talk to this server" in done.stderr


HALVES: list[tuple[str, dict[str, Any], str]] = [
    (TOOL, {"prompt": "a cat \ud83d"}, "$.prompt"),
    (TOOL, {"prompt": "\ude00 a cat"}, "$.prompt"),
    (TOOL, {"prompt": "x", "loras": [{"path": "\ud83d"}]}, "$.loras[0].path"),
    (TOOL, {"prompt": "x", "\ud83d": 1}, "$."),
    ("run_model", {"endpoint_id": ENDPOINT, "arguments": {"prompt": "\ud83d"}}, "$.arguments.prompt"),
    ("search_models", {"query": "cats \ud83d"}, "$.query"),
]


@pytest.mark.parametrize("is_modern", [False, True], ids=["2025", "2026"])
async def test_half_a_character_is_a_fault_of_the_argument_it_stands_in(start: Start, fal: Emulator, is_modern: bool):
    """Hosts that cut texts by UTF-16 units send them; the SDK drops the line, and the host waits."""
    more: dict[str, Any] = {"_meta": ENVELOPE} if is_modern else {}
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            if not is_modern:
                await host.shake_hands()
            for number, (tool, arguments, path) in enumerate(HALVES):
                await host.send(call(number, tool, arguments, **more))
                result = (await host.answer(number))["result"]
                assert result["isError"] and path in json.dumps(result), (tool, arguments)
            await host.send(call("unknown", "\ud83d", {}, **more))
            assert (await host.answer("unknown"))["error"]["code"] == -32602
    assert not [each for each in fal.calls if each.method == "POST"]


@pytest.mark.parametrize("depth", [300, 900])
async def test_what_is_nested_too_deep_is_a_fault_of_the_argument(start: Start, fal: Emulator, depth: int):
    deep: Any = []
    for _ in range(depth):
        deep = [deep]
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands()
            for number, name in enumerate((TOOL, "run_model", "estimate_cost")):
                arguments = {"prompt": "x", "extra": deep}
                given = arguments if name == TOOL else {"endpoint_id": ENDPOINT, "arguments": arguments}
                await host.send(call(number, name, given))
                said = json.dumps((await host.answer(number))["result"])
                assert "levels deep" in said and "before anything was sent" in said, said[:500]
    assert not [each for each in fal.calls if each.method == "POST"]


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
async def test_a_line_of_200_megabytes_is_refused_and_takes_no_memory(start: Start):
    part = b"x" * 1_000_000
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands()
            await host.write(b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"a":"')
            for _ in range(200):
                await host.write(part)
            await host.write(b'"}}}\n')
            answer = await host.message()
            status = await anyio.Path(f"/proc/{host.process.pid}/status").read_text("utf-8")
            await host.send(request(9, "ping"))
            assert (await host.message())["id"] == 9
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    assert (answer["id"], answer["error"]["code"]) == (7, INVALID_REQUEST) and "32 MiB" in answer["error"]["message"]
    assert peak < 250


async def test_nothing_is_written_after_the_input_has_ended(start: Start, fal: Emulator):
    """A 1.x client that reads an answer after it has closed ends in an exception of its own."""
    fal.script(ENDPOINT, Script(hold_in_queue=True))
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            await host.shake_hands()
            await host.send(call(2, TOOL, {"prompt": "x"}))
            await fal.until(lambda: any(each.method == "POST" for each in fal.calls))
            out, log = await host.end()
    assert (out, host.process.returncode) == (b"", 0) and b"Traceback" not in log


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("when", ["at once", "idle", "while a call runs", "while the output is full"])
async def test_one_interrupt_ends_it_and_keeps_the_job(start: Start, fal: Emulator, when: str):
    fal.script(ENDPOINT, Script(hold_running=True))
    with anyio.fail_after(BOUND):
        async with start.host() as host:
            if when != "at once":
                await host.shake_hands()
            if when == "while a call runs":
                # It is told of progress once the job runs: one that waits in the queue is given back, unpaid.
                token = {"_meta": {"progressToken": 2}}
                await host.send(call(2, TOOL, {"prompt": "x"}, **token))
                while b"unning" not in await host.line():
                    continue
            if when == "while the output is full":
                await host.send(*(request(number, "tools/list") for number in range(30)))
                await host.line()
            host.process.send_signal(signal.SIGINT)
            with anyio.fail_after(ENDS):
                await host.process.wait()
            _, log = await host.rest()
    # At once the interpreter itself may not be up yet, and says in its own way that it was interrupted.
    if when != "at once":
        assert (host.process.returncode, log) == (130, b"")
    assert not [each for each in fal.calls if each.path.endswith("/cancel")]
