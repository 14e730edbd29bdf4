"""The log: what happened, with ids, as text or JSON; no prompt, no key, and no line that a stranger wrote."""

import io
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import httpx
import pytest

from fal_mcp import logs
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.server.web.access_log import AccessLog
from fal_mcp.team.token_file import TokenFile
from tests.conftest import KEY
from tests.server.http_host import Host, served
from tests.server.stdio_host import Start, call
from tests.server.test_kill import Server

BOUND = 60
PROMPT = "a red bicycle that nobody must read of"
TOOL, ENDPOINT = "fal-ai_flux_dev", "fal-ai/flux/dev"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) [\w.]+ \[.*?\] \S.*")
SPLITS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
FORGED = '{"time": "2026", "level": "error", "message": "forged"}'
"""Whatever somebody takes for the end of a line."""


async def log_of(process: anyio.abc.Process) -> str:
    """What a server has written to its end, which it is told to come to."""
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    said = b""
    async for chunk in process.stderr:
        said += chunk
    return said.decode()


def objects(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


def told(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    """The one line that says this."""
    (line,) = [line for line in lines if line["message"] == message]
    return line


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")


@needs_signals
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_life_of_a_job_is_told_with_whose_it_is_and_never_what_it_was_given(
    fal: Emulator, settings: Settings, tmp_path: Path, era: str
):
    tokens = TokenFile(tmp_path / "tokens.json")
    token = tokens.create("anna", ("fal:read", "fal:run"))
    principal = tokens.entries()[0].principal.id
    given: dict[str, Any] = {"name": TOOL, "arguments": {"prompt": PROMPT, "seed": 7}}
    with anyio.fail_after(BOUND):
        options = ("--tokens", str(tmp_path / "tokens.json"), "--log-format", "json")
        async with served(settings, tmp_path / "data", *options) as (host, process):
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
                anna = Host(host.url, client)
                ask = anna.ask if era == "modern" else anna.ask_after_handshake
                answer = await ask(method="tools/call", capabilities={}, **given)
                body = {"detail": [{"loc": ["body", "prompt"], "msg": f"{PROMPT} is not allowed", "type": "x"}]}
                fal.script(ENDPOINT, Script(failure=Failure(422, body)))
                again = {**given, "arguments": {"prompt": PROMPT, "seed": 8}}
                await ask(method="tools/call", capabilities={}, **again)
                wrong = {"prompt": {"text": PROMPT}}
                await ask(method="tools/call", capabilities={}, name=TOOL, arguments=wrong)
            log = await log_of(process)
    job_id = answer["result"]["structuredContent"]["job_id"]
    lines = objects(log)
    about = [line for line in lines if line.get("job_id") == job_id]
    steps = [line["message"] for line in about]
    assert steps[:2] == ["Job begun.", "Job submitted."] and steps[-1] == "Job completed."
    assert {(line["endpoint_id"], line["principal"], line["level"]) for line in about} == {
        (ENDPOINT, principal, "info")
    }
    (submitted,) = [line for line in about if line["message"] == "Job submitted."]
    assert submitted["fal_request_id"] in fal.jobs
    # The request that began it has a line of its own, and the same id stands in both.
    (request_id,) = {line["request_id"] for line in about}
    (request,) = [line for line in lines if line["logger"] == "fal_mcp.http" and line["request_id"] == request_id]
    assert (request["method"], request["path"], request["status"], request["principal"]) == (
        *("POST", "/mcp"),
        *(200, principal),
    )
    assert request["ms"] > 0 and told(lines, "Job failed.")["job_id"] != job_id
    assert not any(secret in log for secret in (PROMPT, token, KEY, KEY.partition(":")[2]))


@needs_signals
@pytest.mark.parametrize("form", ["text", "json"])
async def test_strangers_are_told_with_why_they_were_refused_and_write_no_lines(
    settings: Settings, tmp_path: Path, form: str
):
    tokens = TokenFile(tmp_path / "tokens.json")
    token = tokens.create("anna", ("fal:read",))
    hostile = f"/mcp{SPLITS}{FORGED}\x1b[2J\x1b]0;title\x07"
    with anyio.fail_after(BOUND):
        options = ("--tokens", str(tmp_path / "tokens.json"), "--log-format", form)
        async with served(settings, tmp_path / "data", *options) as (host, process):
            root = host.url.removesuffix("/mcp")
            async with httpx.AsyncClient() as client:
                at = httpx.URL(root).copy_with(raw_path=_percent(hostile))
                await client.get(at, headers={b"user-agent": "x\x85\u2028".encode()})
                await client.get(f"{root}/mcp/{token}?token={token}&prompt=secret")
                await client.post(host.url, headers={"host": "evil.example"}, json={})
                bearer = {"authorization": f"Bearer {token}"}
                body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": TOOL}}
                await client.post(host.url, headers=bearer, json=body)
            log = await log_of(process)
    # As whatever reads it may split it, and not only at what is a line's end here.
    lines = [line for line in re.split(f"[{SPLITS}]|\n", log) if line]
    assert lines == log.split("\n")[:-1], "one line each"
    if form == "text":
        assert all(LINE.fullmatch(line) for line in lines), log
    else:
        assert [line.get("refused") for line in objects(log) if line["logger"] == "fal_mcp.http"][1:] == [
            "A token or key in the address is not taken; send it as a header.",
            "Invalid Host header",
            "This needs the scope fal:run, which the token has not.",
        ]
        assert objects(log)[-1]["principal"] == tokens.entries()[0].principal.id
        assert "forged" not in {line["message"] for line in objects(log)}
    assert "\x1b" not in log and token not in log and "secret" not in log
    assert max(map(len, lines)) < 1500


def _percent(text: str) -> bytes:
    return "".join(f"%{byte:02x}" if byte != 0x2F else "/" for byte in text.encode()).encode()


async def test_over_standard_input_the_log_is_quiet_unless_told_otherwise(settings: Settings, tmp_path: Path):
    assert await _said_over_stdio(settings, tmp_path / "1") == ""
    log = await _said_over_stdio(settings, tmp_path / "2", "--log-level", "info", "--log-format", "json")
    assert {line["request_id"] for line in objects(log)} == {"2"}
    assert [line["message"] for line in objects(log)][-1] == "Job completed." and PROMPT not in log


async def _said_over_stdio(settings: Settings, home: Path, *options: str) -> str:
    with anyio.fail_after(BOUND):
        async with Start(settings, home, *options).host() as host:
            await host.shake_hands()
            await host.send(call(2, TOOL, {"prompt": PROMPT}))
            await host.answer(2)
            return (await host.end())[1].decode()


def line_of(form: logs.Form, message: str, *args: object, **more: Any) -> str:
    record = logging.LogRecord("fal_mcp", logging.ERROR, "x.py", 1, message, args, more.pop("exc_info", None))
    for name, value in more.items():
        setattr(record, name, value)
    return logs.Lines(form).format(record)


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_its_kind_and_its_places(form: logs.Form):
    try:
        try:
            raise KeyError(PROMPT)
        except KeyError as error:
            raise ValueError(f"{KEY} {PROMPT}") from error
    except ValueError:
        line = line_of(form, "It failed.", exc_info=sys.exc_info())
    assert "ValueError < KeyError" in line and "test_an_exception_is_its_kind_and_its_places" in line
    assert PROMPT not in line and KEY not in line and str(Path.home()) not in line


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "said",
    [
        f"a{SPLITS}{FORGED}",
        "\x1b[31mred\x1b]0;title\x07\x9b2J",
        "x" * 1_000_000,
        "\ud800 half",
        "a\u202eb\u200bc",
        "https://fal.media/x.png?sig=SECRET#SECRET",
        "wss://fal.run/x?fal_jwt_token=SECRET",
        f"key {KEY.replace('0123456789abcdef0123456789abcdef', 'SECRET' * 6)}",
        "token falmcp_SECRETSECRETSECRETSECRETSECRET",
    ],
)
def test_whatever_is_said_is_one_line_that_can_be_shown(form: logs.Form, said: str):
    for line in (line_of(form, "%s", said), line_of(form, "x", about={"path": said})):
        assert len(line) < 1500 and line.isprintable() and "SECRET" not in line
        assert len(re.split(f"[{SPLITS}]|\n", line)) == 1
        if form == "json":
            assert set(json.loads(line)) <= {"time", "level", "logger", "message", "path"}
        else:
            assert LINE.fullmatch(line)


def test_a_field_in_a_text_is_told_from_what_looks_like_one():
    line = line_of("text", "job_id=forged", about={"path": "/x] principal=forged"})
    assert line.endswith('[path="/x] principal=forged"] job_id=forged')


def test_what_a_line_is_about_ends_with_it():
    with logs.about(request_id="r", principal="p"):
        with logs.about(principal=""):
            assert json.loads(line_of("json", "x")).keys() >= {"request_id"}
            assert "principal" not in json.loads(line_of("json", "x"))
        assert json.loads(line_of("json", "x"))["principal"] == "p"
    assert "request_id" not in json.loads(line_of("json", "x"))


def test_a_line_tells_how_things_were_when_it_was_logged():
    """It is written a little later, in another thread: what it is about must not be what that thread is about."""
    stream, changing = io.StringIO(), ["before"]
    writer = logs.Writer(stream)
    writer.setFormatter(logs.Lines("text"))
    with logs.about(request_id="r1"):
        writer.emit(logging.LogRecord("fal_mcp", logging.INFO, "x.py", 1, "It was %s.", (changing,), None))
    changing[0] = "after"
    # What cannot be written takes nothing with it that comes after.
    broken = logging.LogRecord("fal_mcp", logging.INFO, "x.py", 1, "broken", (), None)
    broken.created = float("nan")
    writer.emit(broken)
    writer.emit(logging.LogRecord("fal_mcp", logging.INFO, "x.py", 1, "The next.", (), None))
    writer.flush()
    first, second, last = stream.getvalue().splitlines()
    assert "[request_id=r1] It was ['before']." in first and "The next." in second
    assert "1 lines were left out" in last


@needs_signals
async def test_a_host_that_ends_its_server_at_once_has_its_last_lines(settings: Settings, tmp_path: Path):
    root = settings.hosts.queue.removesuffix("/queue")
    options = ("--fal-url", root, "--data-dir", str(tmp_path), "--refresh-hours", "0", "--log-level", "info")
    command = [sys.executable, "-m", "fal_mcp", *options]
    with anyio.fail_after(BOUND):
        async with await anyio.open_process(command, env={**os.environ, "FAL_KEY": KEY}) as process:
            server = Server(process)
            await server.hello()
            ran = await server.call(TOOL, {"prompt": PROMPT, "seed": 7})
            await server.call("list_jobs", {})
            log = await log_of(process)
    assert ran["status"] == "completed"
    assert [line.rpartition("] ")[2] for line in log.splitlines()] == ["Job begun.", "Job submitted.", "Job completed."]


async def test_a_log_that_nobody_reads_stops_nothing_and_says_what_it_left_out():
    """The pipe is full and stays so; what does not fit is left out, and that is said once there is room."""

    class Stuck(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.goes_on = threading.Event()

        def write(self, text: str) -> int:
            self.goes_on.wait(BOUND)
            return super().write(text)

    stream = Stuck()
    writer = logs.Writer(stream)
    writer.setFormatter(logs.Lines("text"))
    record = logging.LogRecord("fal_mcp", logging.INFO, "x.py", 1, "x", (), None)
    with anyio.fail_after(BOUND):
        for _ in range(12_000):
            writer.emit(record)
        stream.goes_on.set()
        await anyio.to_thread.run_sync(_until_written, writer, stream)
    text = stream.getvalue()
    assert 9_990 < text.count("\n") < 10_010 and re.search(r"1,99\d|2,000 lines were left out", text)


def _until_written(writer: logs.Writer, stream: io.StringIO) -> None:
    # In a thread, which no bound of the test around it ends.
    deadline = time.monotonic() + BOUND
    while "left out" not in stream.getvalue():
        assert time.monotonic() < deadline, "what was left out was never said"
        writer.flush()


async def test_a_flood_is_counted_and_not_written(caplog: pytest.LogCaptureFixture):
    now = [0.0]

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        scope["fal_mcp.visit"].refused = "No."
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    log = AccessLog(refuse, clock=lambda: now[0])
    transport = httpx.ASGITransport(log)
    caplog.set_level(logging.INFO, "fal_mcp")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for _ in range(500):
            await client.get("/x")
        assert len(caplog.records) == 60
        now[0] = 60.0
        await client.get("/x")
    assert [record.getMessage() for record in caplog.records[60:]] == [
        "440 requests more (refused) came than are told one by one.",
        "A request was refused.",
    ]
