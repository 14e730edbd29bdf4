"""Secrets of serverless apps over MCP in both eras: set from a variable, a file or the user, and told to nobody."""

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types as types
import pytest
from anyio.lowlevel import checkpoint
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.errors import FalError, NotReadable
from fal_mcp.machine.variables import Variables
from fal_mcp.server import app
from fal_mcp.ways_to_fal import fal_of
from tests.conftest import KEY
from tests.server.http_host import BOUND, TASKS, served

ENDLESS = 3600.0
VALUE = 'hush-"4711"-ü\\'
OWN = ("FAL_KEY", "FAL_ADMIN_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET", "fal_key", "Fal_Admin_Key")
ENVIRONMENT = {"TOKEN": VALUE, "OTHER": "other", "EMPTY": "", **dict.fromkeys(OWN, "a key of ours")}
Host = Callable[..., Client]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    (made / "token.txt").write_text(f"{VALUE}\n", "utf-8")
    return made


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, folder: Path) -> Host:
    def client(answer: Any = None, **changes: Any) -> Client:
        chosen = {
            "toolsets": ("serverless", "jobs"),
            "listed": ("search",),
            "data": tmp_path / "data",
            "allow_dirs": (folder,),
            "variable": ENVIRONMENT.get,
            "secret_env": ("TOKEN", "EMPTY"),
            **changes,
        }
        return Client(app.build(replace(settings, **chosen)), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def writes(value: str) -> Any:
    """A user who is led to the page and writes there; nothing of it passes their client."""

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams) and "HF_TOKEN" in params.message
        async with httpx.AsyncClient() as browser:
            shown = await browser.get(params.url)
            done = await browser.post(params.url, data={"value": value})
        assert (shown.status_code, done.status_code) == (200, 200) and "HF_TOKEN" in shown.text
        assert VALUE not in shown.text + done.text
        return types.ElicitResult(action="accept")

    return answer


def says(action: Any) -> Any:
    """A user who only answers their client."""

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        return types.ElicitResult(action=action, content={"value": VALUE} if action == "accept" else None)

    return answer


async def until_gone(url: str) -> None:
    """Return once nothing answers at `url`."""
    async with httpx.AsyncClient() as browser:
        with suppress(httpx.TransportError):
            while True:
                await browser.get(url)


def url_of(result: Any) -> str:
    """Where the user is led."""
    assert isinstance(result, types.InputRequiredResult) and result.input_requests
    (request,) = result.input_requests.values()
    assert isinstance(request.params, types.ElicitRequestURLParams)
    return request.params.url


def forms(value: str) -> list[str]:
    """How a value may stand in something written."""
    return [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]


@pytest.mark.parametrize("source", ["from_env", "from_file", "the user"])
async def test_a_value_reaches_fal_and_nobody_else(
    fal: Emulator, host: Host, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str
):
    """Searches all that leaves the server: answers, progress, logs, its files, and every other request."""
    given = {"from_env": {"from_env": "TOKEN"}, "from_file": {"from_file": str(folder / "token.txt")}}.get(source, {})
    left: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        left.append(message or "")

    with anyio.fail_after(BOUND), caplog.at_level(logging.INFO):
        async with host(writes(VALUE)) as client:
            for name, arguments in (
                ("set_secret", {"name": "HF_TOKEN", **given}),
                ("verify_secret", {"name": "HF_TOKEN"}),
                ("list_secrets", {}),
                ("list_jobs", {}),
            ):
                result = await client.call_tool(name, arguments, progress_callback=hear)
                assert not result.is_error, text(result)
                left.append(result.model_dump_json())
    assert fal.secrets == {"HF_TOKEN": VALUE}
    left.append(caplog.text)
    left += [f"{call.path} {call.query} {call.headers}" for call in fal.calls]
    left += [call.body.decode() for call in fal.calls if call.method != "PUT"]
    written = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert written and left
    for form in forms(VALUE):
        assert not any(form in one for one in left) and form.encode() not in written


async def test_a_refusal_that_repeats_the_value_is_not_passed_on(folder: Path, settings: Settings):
    """fal's refusals may hold what was refused (fact F1.4 shows an `input` in its faults)."""

    def answer(request: httpx.Request) -> httpx.Response:
        detail = [{"loc": ["body", "value"], "msg": VALUE, "type": VALUE, "input": VALUE, "ctx": {"value": VALUE}}]
        headers = [(name, VALUE.encode("latin-1")) for name in (b"x-fal-request-id", b"x-fal-error-type")]
        return httpx.Response(422, json={"detail": detail, "request_id": VALUE}, headers=headers)

    async with fal_of(settings, httpx.MockTransport(answer)) as fal:
        with pytest.raises(FalError) as refused:
            await fal.secrets.set("A", VALUE)
    error = refused.value
    said = [error.message, error.hint, error.request_id, error.error_type, *error.faults, *error.args, error.__cause__]
    assert VALUE not in str(said) and error.status == 422 and "'A' was not set" in error.message


@pytest.mark.parametrize("answer", [httpx.Response(500, content=b"<html>"), httpx.ReadError("the line broke")])
async def test_what_proves_no_refusal_is_not_said_to_be_unset(settings: Settings, answer: httpx.Response | Exception):
    def act(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with fal_of(settings, httpx.MockTransport(act)) as fal:
        with pytest.raises(FalError, match="Whether the secret 'A' was set is not known") as lost:
            await fal.secrets.set("A", VALUE)
    assert lost.value.retryable, "the same value twice changes nothing"


async def test_a_secret_is_verified_by_name(fal: Emulator, host: Host):
    fal.secrets["KNOWN"] = VALUE
    with anyio.fail_after(BOUND):
        async with host() as client:
            known = await client.call_tool("verify_secret", {"name": "KNOWN"})
            unknown = await client.call_tool("verify_secret", {"name": "UNKNOWN"})
    assert known.structured_content["is_set"] is True and VALUE not in known.model_dump_json()
    assert unknown.is_error and "no secret 'UNKNOWN'" in text(unknown)


async def test_there_is_no_argument_for_a_value(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("set_secret", {"name": "A", "value": VALUE})
    assert result.is_error and fal.secrets == {} and fal.calls == []


@pytest.mark.parametrize("variable", [*OWN, "OTHER", "NOT_SET_AND_NOT_NAMED"])
async def test_variables_that_are_not_named_or_our_own_are_refused_alike(fal: Emulator, host: Host, variable: str):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("set_secret", {"name": "A", "from_env": variable})
    assert result.is_error and f"{variable!r} may not be read" in text(result) and fal.calls == []


@pytest.mark.parametrize("variable", OWN)
def test_our_own_keys_are_refused_whatever_is_named(variable: str):
    for names in (None, OWN):
        with pytest.raises(NotReadable, match="may not be read"):
            Variables(ENVIRONMENT.get, names).value(variable)
    assert Variables(ENVIRONMENT.get, None).value("OTHER") == "other"


async def test_a_variable_that_is_not_set_is_said_to_be(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("set_secret", {"name": "A", "from_env": "EMPTY"})
    assert result.is_error and "'EMPTY' is not set" in text(result) and fal.calls == []


async def test_files_follow_the_servers_rules(fal: Emulator, host: Host, folder: Path, tmp_path: Path):
    (tmp_path / "outside.txt").write_text(VALUE, "utf-8")
    (folder / ".env").write_text(VALUE, "utf-8")
    (folder / "server.pem").write_text(VALUE, "utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    refused = [tmp_path / "outside.txt", folder / ".env", folder / "server.pem", folder / "link.txt"]
    with anyio.fail_after(BOUND):
        async with host() as client:
            for path in refused:
                result = await client.call_tool("set_secret", {"name": "A", "from_file": str(path)})
                assert result.is_error and "may not be read" in text(result), path
    assert fal.calls == []


@pytest.mark.parametrize("content", [b"\xff\xfehush", b"x" * 70_000, b"\n"], ids=["binary", "long", "empty"])
async def test_what_is_no_value_is_refused_without_showing_it(
    fal: Emulator, host: Host, folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
):
    (folder / "odd.txt").write_bytes(content)
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("set_secret", {"name": "A", "from_file": str(folder / "odd.txt")})
    assert result.is_error and "failed inside" not in text(result) and fal.calls == []
    assert "hush" not in result.model_dump_json() + caplog.text


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_declines_is_not_waited_for(fal: Emulator, host: Host, action: str):
    with anyio.fail_after(BOUND):
        async with host(says(action)) as client:
            result = await client.call_tool("set_secret", {"name": "A"})
    assert result.is_error and "declined" in text(result) and fal.calls == []


async def test_a_user_who_goes_to_the_page_and_writes_nothing_is_waited_for_so_long(fal: Emulator, host: Host):
    """Accepting says that the user goes there; what else comes with it is no value (client/elicitation, URL mode)."""
    with anyio.fail_after(BOUND):
        async with host(says("accept"), secret_page_seconds=0.3) as client:
            result = await client.call_tool("set_secret", {"name": "A"})
    assert result.is_error and "in time" in text(result) and fal.calls == []


async def test_a_user_who_answers_after_the_page_is_gone_is_told(fal: Emulator, host: Host):
    async def answer(context: Any, params: Any) -> types.ElicitResult:
        await until_gone(params.url)
        return types.ElicitResult(action="accept")

    with anyio.fail_after(BOUND):
        async with host(answer, secret_page_seconds=0.3) as client:
            result = await client.call_tool("set_secret", {"name": "A"})
    assert result.is_error and "in time" in text(result) and fal.calls == []


async def test_a_user_may_write_after_their_client_answered(fal: Emulator, host: Host):
    urls: list[str] = []
    led = anyio.Event()

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        urls.append(params.url)
        led.set()
        return types.ElicitResult(action="accept")

    async def write() -> None:
        await led.wait()
        async with httpx.AsyncClient() as browser:
            await browser.post(urls[0], data={"value": VALUE})

    with anyio.fail_after(BOUND):
        async with host(answer) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            result = await client.call_tool("set_secret", {"name": "A"})
            assert not result.is_error, text(result)
    assert fal.secrets == {"A": VALUE} and len(urls) == 1


async def test_the_page_ends_when_the_user_declines(host: Host):
    urls: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        urls.append(params.url)
        return types.ElicitResult(action="decline")

    with anyio.fail_after(BOUND):
        async with host(answer, secret_page_seconds=ENDLESS) as client:
            await client.call_tool("set_secret", {"name": "A"})
            await until_gone(urls[0])


async def test_the_page_ends_when_the_call_is_broken_off(settings: Settings):
    server = app.build(replace(settings, toolsets=("serverless",), secret_page_seconds=ENDLESS))
    urls: list[str] = []
    calling = anyio.CancelScope()

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        urls.append(params.url)
        calling.cancel()
        return types.ElicitResult(action="accept")

    with anyio.fail_after(BOUND):
        async with Client(server, mode="legacy", elicitation_callback=answer) as client:
            with calling:
                await client.call_tool("set_secret", {"name": "A"})
            await until_gone(urls[0])


async def test_a_client_hears_that_the_user_is_done(settings: Settings):
    """Revision 2025-11-25, client/elicitation: `notifications/elicitation/complete`, with the question's id."""
    server = app.build(replace(settings, toolsets=("serverless",)))
    asked: list[str] = []
    complete: list[str] = []
    write = writes(VALUE)

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.elicitation_id)
        return await write(context, params)

    async def hear(message: Any) -> None:
        if isinstance(message, types.ElicitCompleteNotification):
            complete.append(message.params.elicitation_id)

    with anyio.fail_after(BOUND):
        async with Client(server, mode="legacy", elicitation_callback=answer, message_handler=hear) as client:
            await client.call_tool("set_secret", {"name": "HF_TOKEN"})
            while not complete:
                await checkpoint()
    assert complete == asked


async def test_the_page_ends_with_the_server(settings: Settings):
    """Revision 2026-07-28: between the question and the repeated call there is no call that it could end with."""
    server = app.build(replace(settings, toolsets=("serverless",), secret_page_seconds=ENDLESS))
    with anyio.fail_after(BOUND):
        async with Client(server, elicitation_callback=says("accept")) as client:
            asked = await client.session.call_tool("set_secret", {"name": "A"}, allow_input_required=True)
            assert isinstance(asked, types.InputRequiredResult)
            again = await client.session.call_tool(
                "set_secret", {"name": "A"}, request_state=asked.request_state, allow_input_required=True
            )
        (first, second) = (url_of(one) for one in (asked, again))
        await until_gone(first)
    assert first == second


async def test_an_answer_to_nothing_asked_is_none(fal: Emulator, settings: Settings):
    server = app.build(replace(settings, toolsets=("serverless",)))
    unasked: types.InputResponses = {"input": types.ElicitResult(action="accept", content={"value": VALUE})}
    with anyio.fail_after(BOUND):
        async with Client(server, elicitation_callback=says("accept")) as client:
            asked = await client.session.call_tool(
                "set_secret", {"name": "A"}, input_responses=unasked, allow_input_required=True
            )
    assert url_of(asked) and fal.calls == []


async def test_only_so_many_pages_are_there_at_once(settings: Settings):
    server = app.build(replace(settings, toolsets=("serverless",)))
    with anyio.fail_after(BOUND):
        async with Client(server, elicitation_callback=says("accept")) as client:
            results = [
                await client.session.call_tool("set_secret", {"name": "A"}, allow_input_required=True) for _ in range(9)
            ]
    assert len({url_of(one) for one in results[:8]}) == 8
    assert isinstance(results[8], types.CallToolResult) and "already wait" in text(results[8])


@pytest.mark.parametrize("grace", ["0", "0.2"])
async def test_in_a_task_the_user_is_led_to_the_page_too(fal: Emulator, settings: Settings, tmp_path: Path, grace: str):
    """Without grace the task asks; with some, the call does, and goes on as a task while the user writes."""
    capabilities: dict[str, Any] = {**TASKS, "elicitation": {"url": {}}}
    call: dict[str, Any] = {"name": "set_secret", "arguments": {"name": "A"}}
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path, "--toolsets", "serverless", grace=grace) as (client, _):
            made = (await client.ask("tools/call", capabilities, **call))["result"]
            if grace == "0":
                asking = await client.until(made["taskId"], "input_required")
                answers = {key: {"action": "accept"} for key in asking["inputRequests"]}
                await client.ask("tasks/update", capabilities, taskId=made["taskId"], inputResponses=answers)
            else:
                asking, answers = made, {"input": {"action": "accept"}}
                more = {"inputResponses": answers, "requestState": made["requestState"]}
                made = (await client.ask("tools/call", capabilities, **call, **more))["result"]
            (question,) = asking["inputRequests"].values()
            working = await client.until(made["taskId"], "working")
            async with httpx.AsyncClient() as browser:
                await browser.post(question["params"]["url"], data={"value": VALUE})
            done = await client.until(made["taskId"], "completed")
    assert fal.secrets == {"A": VALUE} and VALUE not in str([working, done])
    assert done["result"]["structuredContent"] == {"name": "A", "is_set": True}


@pytest.mark.parametrize("elicitation", [None, {}, {"form": {}}], ids=["none", "plain", "form"])
async def test_a_client_that_cannot_lead_to_a_page_is_told_the_other_ways(
    fal: Emulator, settings: Settings, tmp_path: Path, elicitation: Any
):
    """A form is never tried in its place: MCP forbids it (client/elicitation)."""
    capabilities: dict[str, Any] = {} if elicitation is None else {"elicitation": elicitation}
    call: dict[str, Any] = {"name": "set_secret", "arguments": {"name": "A"}}
    with anyio.fail_after(BOUND):
        async with served(settings, tmp_path, "--toolsets", "serverless") as (client, _):
            now = await client.ask("tools/call", capabilities, **call)
            before = await client.ask_after_handshake(capabilities, "tools/call", **call)
    for answer in (now, before):
        said = answer["result"]["content"][0]["text"]
        assert answer["result"]["isError"] and "from_env" in said and "cannot ask the user" in said
    assert fal.calls == []


async def test_two_sources_are_one_too_many(fal: Emulator, host: Host, folder: Path):
    asked = {"name": "A", "from_env": "TOKEN", "from_file": str(folder / "token.txt")}
    with anyio.fail_after(BOUND):
        async with host() as client:
            result = await client.call_tool("set_secret", asked)
    assert result.is_error and "both" in text(result) and fal.calls == []


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("name", ["list", "set"])
async def test_where_fal_has_no_such_address_the_way_out_is_said(settings: Settings, status: int, name: str):
    """Fact F8: the paths are not confirmed by fal."""
    async with fal_of(settings, httpx.MockTransport(lambda request: httpx.Response(status))) as fal:
        with pytest.raises(FalError) as gone:
            await (fal.secrets.list() if name == "list" else fal.secrets.set("A", VALUE))
    assert "fal secrets set" in gone.value.hint and f"answered {status}" in gone.value.message


async def test_a_value_in_the_list_is_dropped(settings: Settings):
    rows: list[Any] = [{"name": "A\x1b[2J", "created_at": None, "value": VALUE}, "x", {"created_at": 3}]

    async with fal_of(
        settings, httpx.MockTransport(lambda request: httpx.Response(200, json={"secrets": rows}))
    ) as fal:
        found = await fal.secrets.list()
    assert [(one.name, one.created_at) for one in found] == [("A", "")] and VALUE not in repr(found)


async def test_the_key_goes_only_to_the_rest_host(fal: Emulator, host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            await client.call_tool("set_secret", {"name": "A", "from_env": "TOKEN"})
    (call,) = fal.calls
    assert (call.method, call.host_role, call.path) == ("PUT", "rest", "/serverless/secrets/A")
    assert call.headers["authorization"] == f"Key {KEY}"


def test_over_http_no_variable_is_read_unless_named_and_settings_never_show_values():
    settings = Settings.from_env({"FAL_MCP_SECRET_ENV": "A, B", "A": VALUE})
    assert settings.secret_env == ("A", "B") and settings.variable("A") == VALUE and VALUE not in repr(settings)
    assert Settings.from_env({"A": VALUE}).secret_env == ()
    assert Settings.from_env({}, secret_env=["C"]).secret_env == ("C",)


@pytest.mark.parametrize(("says_yes", "is_sent"), [(True, True), (False, False), (None, False)])
async def test_a_variable_that_nobody_named_leaves_after_a_yes_alone(
    fal: Emulator, host: Host, says_yes: bool | None, is_sent: bool
):
    asked: list[str] = []

    async def answer(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"agree": bool(says_yes)})

    with anyio.fail_after(BOUND):
        async with host(None if says_yes is None else answer, secret_env=None) as client:
            result = await client.call_tool("set_secret", {"name": "A", "from_env": "TOKEN"})
    assert result.is_error is not is_sent and (fal.secrets == {"A": VALUE}) is is_sent
    assert all("TOKEN" in one and VALUE not in one for one in asked) and bool(asked) is (says_yes is not None)


STUB = """
import json, os, sys
def main(argv=None):
    with open(os.path.join(os.path.dirname(__file__), "record.json"), "w") as file:
        json.dump({"argv": argv, "process": sys.argv, "environment": dict(os.environ)}, file)
    print("fal says", argv)
    return %d
"""


def stand_in(place: Path, code: int) -> tuple[str, ...]:
    """A command that is fal's command line as far as it is used here: `python -P -m fal`, with a package of ours."""
    (place / "fal").mkdir(parents=True)
    (place / "fal" / "__init__.py").touch()
    (place / "fal" / "cli.py").write_text(STUB % code)
    python = place / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{place}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    return (str(python), "-P", "-m", "fal")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
async def test_where_fals_command_line_is_installed_it_sets_them_and_no_process_shows_the_value(
    fal: Emulator, host: Host, tmp_path: Path
):
    """fal 1.83 takes NAME=VALUE among its arguments alone, which any user of the machine can read."""
    with anyio.fail_after(BOUND):
        async with host(fal_cli=stand_in(tmp_path / "cli", 0)) as client:
            result = await client.call_tool("set_secret", {"name": "HF_TOKEN", "from_env": "TOKEN"})
    assert not result.is_error, text(result)
    record = json.loads((tmp_path / "cli" / "fal" / "record.json").read_text("utf-8"))
    assert record["argv"] == ["secrets", "set", f"HF_TOKEN={VALUE}"]
    assert VALUE not in json.dumps([record["process"], record["environment"]], ensure_ascii=False)
    assert VALUE not in result.model_dump_json() and not any("secrets" in call.path for call in fal.calls)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
async def test_a_command_line_that_fails_is_told_without_what_it_said(fal: Emulator, host: Host, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host(fal_cli=stand_in(tmp_path / "cli", 1)) as client:
            result = await client.call_tool("set_secret", {"name": "HF_TOKEN", "from_env": "TOKEN"})
        async with host(fal_cli=("fal",)) as client:
            other = await client.call_tool("set_secret", {"name": "HF_TOKEN", "from_env": "TOKEN"})
    assert result.is_error and "was not set" in text(result) and "hush" not in result.model_dump_json()
    assert other.is_error and "hush" not in other.model_dump_json()
