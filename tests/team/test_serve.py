"""Starting a server that others reach, its tokens at the command line, and its end."""

import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
import typer
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from fal_mcp.cli.over_http import check_http
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Reply, Script
from fal_mcp.errors import NotFound, RequestRejected
from fal_mcp.server import app, http
from fal_mcp.server.web.limits import WebLimits
from fal_mcp.team.gate import OwnKeyGate
from fal_mcp.team.own_keys import OwnKeys
from fal_mcp.team.principal import caller, calling
from fal_mcp.team.token_file import TokenFile
from fal_mcp.terminal import tokens
from fal_mcp.ways_to_fal import Payers
from tests.apps import made
from tests.conftest import KEY
from tests.server.http_host import Host
from tests.server.stdio_host import initialize
from tests.team.bench import BOUND, team

OTHER = "44444444-2222-4333-8444-555555555555:0123456789abcdef0123456789abcdef"


TOKENS = Path("tokens.json")


@pytest.mark.parametrize(
    ("where", "more", "said"),
    [
        ("0.0.0.0:0", {}, "anybody who reaches it would spend your money"),
        ("0.0.0.0:0", {"tokens": TOKENS}, "--allow-host"),
        ("[::]:0", {"own_keys": True}, "--allow-host"),
        ("0", {"own_keys": True, "tokens": TOKENS}, "and not both"),
        ("0", {"issuer": "https://a.example"}, "go together"),
        ("0", {"issuer": "http://a.example", "public_url": "https://b.example/mcp"}, "has to be https"),
        ("0", {"tokens": TOKENS, "allow_dirs": (Path(),)}, "--allow-dir"),
        ("0", {"tokens": TOKENS, "output_dir": Path()}, "--output-dir"),
        ("0", {"tokens": TOKENS, "secret_env": ("X",)}, "--secret-env"),
        ("0", {"allow_hosts": ("a/b",)}, "no host name"),
        ("0", {"allow_origins": ("a.example",)}, "no origin"),
        ("0", {"allow_origins": ("*",)}, "no origin"),
        ("here:99999", {}, "should be a port"),
        ("1.2.3.4:", {}, "should be a port"),
    ],
)
def test_a_server_that_would_be_too_open_does_not_start(
    where: str, more: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(typer.Exit) as ended:
        check_http(Settings(key=KEY, **more), where)
    assert ended.value.exit_code == 2 and said in capsys.readouterr().err


def test_what_is_safe_starts_and_a_callers_key_is_never_the_servers():
    shared = Settings(key=KEY, admin_key=KEY, own_keys=True, allow_hosts=("fal.example.com",))
    settings, host, port = check_http(shared, "0.0.0.0:8000")
    assert (settings.key, settings.admin_key, host, port) == (None, None, "0.0.0.0", 8000)
    assert check_http(Settings(key=KEY), "8000")[1:] == ("127.0.0.1", 8000)
    assert check_http(Settings(key=KEY), "[::1]:0")[1:] == ("::1", 0)


def test_tokens_are_made_listed_and_revoked_and_kept_as_digests(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "tokens.json"
    settings = Settings(tokens=file)
    assert tokens.create(settings, "anna", (), 5.0, None) == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("falmcp_") and token not in file.read_text()
    with pytest.raises(RequestRejected, match="already"):
        tokens.create(settings, "anna", (), None, None)
    with pytest.raises(RequestRejected, match="no scope"):
        tokens.create(settings, "bert", ("fal:all",), None, None)
    tokens.listed(settings, True)
    known = json.loads(capsys.readouterr().out)[0]
    assert (known["name"], known["scopes"], known["daily_budget"]) == ("anna", ["fal:read", "fal:run"], 5)
    assert "digest" not in known and (sys.platform == "win32" or file.stat().st_mode & 0o077 == 0)
    tokens.listed(settings, False)
    assert "anna | fal:read fal:run | 5 USD a day" in capsys.readouterr().out
    tokens.revoke(settings, "anna")
    with pytest.raises(NotFound):
        tokens.revoke(settings, "anna")
    assert TokenFile(file).entries() == []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_caller_with_a_token_runs_a_model_in_both_eras(
    mode: Any, fal: Emulator, settings: Settings, tmp_path: Path
):
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path) as here, httpx.AsyncClient(headers=here.headers("alice")) as client:
            # The SDK brings a copy of httpx under another name, which has the same methods.
            transport = streamable_http_client(here.url, http_client=cast(Any, client))
            async with Client(transport, mode=mode) as mcp:
                result = await mcp.call_tool("fal-ai_flux_dev", {"prompt": "x", "seed": 7})
    assert not result.is_error and len(fal.jobs) == 1


async def test_each_caller_pays_with_its_own_key(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.keys.add(OTHER)
    more: dict[str, Any] = {"tokens": None, "issuer": None, "public_url": None, "own_keys": True, "key": None}
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path, **more) as here:
            for key in (KEY, OTHER):
                host = Host(here.url, here.client({"x-fal-key": key}))
                answer = await host.ask("tools/call", {}, name="fal-ai_flux_dev", arguments={"prompt": "the same"})
                job_id = answer["result"]["structuredContent"]["job_id"]
            first = Host(here.url, here.client({"x-fal-key": KEY}))
            foreign = await first.ask("tools/call", {}, name="get_job", arguments={"job_id": job_id})
    submits = [each for each in fal.calls if each.method == "POST" and each.path.endswith("flux/dev")]
    assert [each.headers["authorization"] for each in submits] == [f"Key {KEY}", f"Key {OTHER}"]
    assert "There is no job" in json.dumps(foreign)


async def test_what_one_callers_key_may_see_is_shown_to_no_other(fal: Emulator, settings: Settings, tmp_path: Path):
    """Its apps, its workflows and what a private app takes: searched for, listed, named and run by another."""
    fal.keys.add(OTHER)
    fal.deploy("emulator/drawing", made.document("Routes"))
    more: dict[str, Any] = {"tokens": None, "issuer": None, "public_url": None, "own_keys": True, "key": None}
    search, run = {"query": "my drawing app"}, {"endpoint_id": "emulator/drawing", "arguments": {"prompt": 7}}
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path, **more) as here:
            hers, others = (Host(here.url, here.client({"x-fal-key": key})) for key in (KEY, OTHER))
            seen = await hers.ask("tools/call", {}, name="search_models", arguments=search)
            refused = await hers.ask("tools/call", {}, name="run_model", arguments=run)
            # From here on fal answers as it does to a key that is another's.
            fal.platform_replies["serverlessListApps"] = Reply(200, {"apps": []})
            fal.platform_replies["listWorkflows"] = Reply(200, {"workflows": []})
            fal.own_apps.foreign["emulator/drawing"] = 403
            searched = await others.ask("tools/call", {}, name="search_models", arguments=search)
            ran = await others.ask("tools/call", {}, name="run_model", arguments=run)
            listed = await Host(f"{here.url}?list=mine,all", here.client({"x-fal-key": OTHER})).ask("tools/list", {})
    assert "emulator/drawing" in json.dumps(seen) and "$.prompt" in json.dumps(refused)
    assert "emulator/drawing" not in json.dumps(searched) and "emulator_drawing" not in json.dumps(listed)
    # Sent unchecked, and refused by fal: what the app takes is known to nobody but its own account.
    assert "$.prompt" not in json.dumps(ran) and "Access denied" in json.dumps(ran)


async def test_callers_are_bounded_and_the_longest_unused_makes_room(settings: Settings):
    now = [0.0]
    payers = Payers(settings, most=2, clock=lambda: now[0])
    first = payers.of("a:1")
    payers.of("b:1")
    with pytest.raises(Exception, match="2 callers use this server already"):
        payers.of("c:1")
    now[0] = 1000.0
    assert payers.of("c:1") is not None and payers.of("a:1") is not first
    await payers.aclose()


async def test_a_key_that_fal_knew_is_asked_about_again_in_time():
    asked: list[str] = []
    now = [0.0]

    async def ask(key: str) -> None:
        asked.append(key)

    gate = OwnKeyGate(OwnKeys(ask, clock=lambda: now[0]))
    for moment in (0.0, 599.0, 601.0):
        now[0] = moment
        principal = await gate.admit([("x-fal-key", "a:b")], "")
    assert asked == ["a:b", "a:b"] and "a:b" not in repr(principal)


async def test_a_principal_stays_with_what_it_began():
    from fal_mcp.team.principal import Principal

    seen: list[str] = []

    async def work() -> None:
        principal = caller()
        seen.append(principal.subject if principal else "nobody")

    async with anyio.create_task_group() as tasks:
        with calling(Principal("i", "anna", "c", "anna")):
            tasks.start_soon(work)
        tasks.start_soon(work)
    assert seen == ["anna", "nobody"]


@pytest.mark.parametrize("is_writable", [True, False])
async def test_it_says_that_it_lives_and_whether_it_takes_calls(is_writable: bool, settings: Settings, tmp_path: Path):
    (tmp_path / "blocked").write_text("")
    data = tmp_path / ("data" if is_writable else "blocked")
    with anyio.fail_after(BOUND):
        async with team(settings, tmp_path, data=data) as here:
            lives = await here.client().get(f"{here.root}/health")
            ready = await here.client().get(f"{here.root}/ready")
    assert (lives.status_code, lives.json()) == (200, {"status": "ok"})
    said = {"status": "ready" if is_writable else "not ready"}
    assert (ready.status_code, ready.json()) == (200 if is_writable else 503, said)


async def test_metrics_are_read_here_or_by_an_administrator(settings: Settings, tmp_path: Path):
    from starlette.responses import PlainTextResponse

    async def metrics(_: Any) -> PlainTextResponse:
        return PlainTextResponse("x 1")

    async with team(settings, tmp_path) as here:
        guard = http.guarded(app.build(here.settings), WebLimits(), metrics)
        statuses: list[int] = []
        for headers in ({}, {"via": "x"}, here.headers("alice"), here.headers("admin")):
            transport = httpx.ASGITransport(guard, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                statuses.append((await client.get("/metrics", headers=headers)).status_code)
    assert statuses == [200, 401, 403, 200]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
async def test_at_its_end_streams_are_closed_and_calls_hear_that_their_jobs_go_on(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    """Within five seconds, and a job that waits in the queue is not cancelled for it, nor one that waits to be sent."""
    fal.script("fal-ai/flux/dev", Script(hold_in_queue=True))
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", "serve", "--http", "0", "--fal-url", root, "--data-dir", str(tmp_path)]
    command += ["--max-running", "2"]
    environment = {**os.environ, "FAL_KEY": KEY, "FAL_MCP_REFRESH_HOURS": "0"}
    ends: list[bytes] = []
    answers: list[Any] = []
    with anyio.fail_after(BOUND):
        async with (
            await anyio.open_process(command, env=environment) as process,
            httpx.AsyncClient(timeout=BOUND) as client,
        ):
            assert process.stderr
            said = b""
            while not (match := re.search(rb"http://[^\s]+", said)):
                said += await process.stderr.receive()
            url = match[0].decode()
            accept = {"accept": "application/json, text/event-stream"}
            hello = await client.post(url, json=initialize(), headers=accept)
            named = {**accept, "mcp-session-id": hello.headers["mcp-session-id"]}

            async def listen() -> None:
                async with client.stream("GET", url, headers=named) as stream:
                    ends.append(b"".join([piece async for piece in stream.aiter_bytes()]))

            async def run(ask: Any, prompt: str) -> None:
                answer = await ask({}, "tools/call", name="fal-ai_flux_dev", arguments={"prompt": prompt})
                answers.append(answer["result"]["structuredContent"])

            async def ask_at_once(capabilities: Any, method: str, **params: Any) -> Any:
                return await Host(url, client).ask(method, capabilities, **params)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                tasks.start_soon(run, ask_at_once, "of 2026")
                tasks.start_soon(run, Host(url, client).ask_after_handshake, "of 2025")
                await fal.until(lambda: sum(each.path.endswith("/stream") for each in fal.calls) == 2)
                # Of the revision whose streams the SDK would close: this one is answered last.
                tasks.start_soon(run, Host(url, client).ask_after_handshake, "waits here")
                while b"state=waiting" not in said:
                    said += await process.stderr.receive()
                with anyio.fail_after(5):
                    process.send_signal(signal.SIGTERM)
                    async for piece in process.stderr:
                        said += piece
                    await process.wait()
    assert len(ends) == 1 and b"ERROR" not in said
    assert [(answer["status"], answer["job_id"][:4]) for answer in answers] == [("in_progress", "job_")] * 3
    assert not any(each.path.endswith("/cancel") for each in fal.calls)


def test_limits_of_one_person_are_those_of_before(settings: Settings):
    from fal_mcp.server.web.limits import ON_THIS_MACHINE

    assert (ON_THIS_MACHINE.sessions, ON_THIS_MACHINE.session_idle_seconds) == (2000, 1800.0)
    assert not settings.is_shared and replace(settings, own_keys=True).is_shared
