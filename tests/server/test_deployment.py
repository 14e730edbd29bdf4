"""Deploying and scaling apps over MCP in both eras, with a stand-in for fal's command line."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import mcp_types as types
import pytest
from mcp.client import Client

from fal_mcp.config import Settings
from fal_mcp.server import app
from tests.conftest import KEY

BOUND = 40
TOOL_BYTES = 800
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "FAL_ADMIN_KEY": "admin", "TOKEN": "hush", "FAL_KEY": "x:y"}
RECORDS = """
import json, os, sys
app = next((one.partition("::")[0] for one in sys.argv if ".py" in one), None)
about = {
    "content": open(app).read() if app else "",
    "beside": sorted(os.listdir(os.path.dirname(app))) if app else [],
    "arguments": sys.argv[2:],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
}
with open(sys.argv[1], "w") as file:
    json.dump(about, file)
print("building \\x1b[31mlayers\\x1b[0m " + "x" * 900)
print("signed in with", os.environ["FAL_KEY"], "and", os.environ["FAL_KEY"].split(":")[1])
"""
FAILS = "import sys; print('No module named torch', file=sys.stderr); sys.exit(3)"
FLOODS = "print('y' * 3_000_000); [print('line', number) for number in range(2000)]"
HANGS = """
import socket, subprocess, sys
waits = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(1)"
subprocess.Popen([sys.executable, "-c", waits, sys.argv[1]])
socket.create_connection(("127.0.0.1", int(sys.argv[1]))).recv(1)
"""
Host = Callable[..., Client]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "apps; rm -rf $HOME"
    made.mkdir()
    (made / "sketch.py").write_text("class Sketch: ...\n")
    return made


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record.json"


@pytest.fixture(params=["auto", "legacy"])
def host(request: pytest.FixtureRequest, settings: Settings, folder: Path, record: Path) -> Host:
    def client(answer: Any = None, script: str = RECORDS, *given: str, **changes: Any) -> Client:
        chosen = {
            "toolsets": ("serverless",),
            "listed": ("search",),
            "allow_dirs": (folder,),
            "variable": ENVIRONMENT.get,
            "fal_cli": (sys.executable, "-c", script, *(given or (str(record),))),
            **changes,
        }
        return Client(app.build(replace(settings, **chosen)), mode=request.param, elicitation_callback=answer)

    return client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def ran(record: Path) -> Any:
    """What the stand-in was run with."""
    return json.loads(record.read_text("utf-8"))


def was_run(record: Path) -> bool:
    return record.exists()


class User:
    """Who is asked, and says this to everything."""

    def __init__(self, action: Any = "accept", approve: bool = True) -> None:
        self.asked: list[str] = []
        self._answer = types.ElicitResult(action=action, content={"approve": approve} if action == "accept" else None)

    async def __call__(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        return self._answer


async def test_an_app_is_deployed_by_fals_own_command_line_after_a_yes(host: Host, folder: Path, record: Path):
    """`fal deploy path::App`, with fal 1.83's options; `--yes` because the user was asked here."""
    user, heard = User(), list[str]()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    asked = {"path": str(folder / "sketch.py"), "app": "Sketch", "name": "sketch-2", "auth": "private"}
    with anyio.fail_after(BOUND):
        async with host(user) as client:
            result = await client.call_tool("deploy_app", asked, progress_callback=hear)
    assert not result.is_error, text(result)
    done = ran(record)
    what = f"{folder / 'sketch.py'}::Sketch"
    command, copy, *options = done["arguments"]
    assert command == "deploy" and options == ["--yes", "--app-name", "sketch-2", "--auth", "private"]
    assert copy.endswith(f"/{folder.name}/sketch.py::Sketch")
    assert done["folder"] == str(folder)
    assert len(user.asked) == 1 and what in user.asked[0] and "--auth private" in user.asked[0]
    assert [said[:15] for said in heard][:1] == ["building layers"]
    assert all(len(said) <= 200 for said in heard) and "building layers" in text(result)


async def test_the_key_is_passed_on_in_the_environment_and_nothing_else_of_ours(host: Host, folder: Path, record: Path):
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    with anyio.fail_after(BOUND):
        async with host(User(), admin_key="admin:key") as client:
            asked = {"path": str(folder / "sketch.py")}
            result = await client.call_tool("deploy_app", asked, progress_callback=hear)
    done = ran(record)
    assert done["environment"]["FAL_KEY"] == KEY and done["environment"]["HOME"] == "/nowhere"
    assert not {"FAL_ADMIN_KEY", "TOKEN"} & set(done["environment"]) and KEY not in str(done["arguments"])
    told = result.model_dump_json() + "".join(heard)
    assert re.search(r"signed in with (<key>|\(a key\)) and \1", told)
    assert KEY not in told and KEY.partition(":")[2] not in told and "\\u001b" not in told


@pytest.mark.parametrize(
    "user", [User(approve=False), User("decline"), User("cancel"), None], ids=["no", "declines", "cancels", "cannot"]
)
@pytest.mark.parametrize("name", ["deploy_app", "scale_app"])
async def test_without_a_yes_nothing_runs(host: Host, folder: Path, record: Path, user: User | None, name: str):
    asked = {"path": str(folder / "sketch.py")} if name == "deploy_app" else {"name": "sketch", "keep_alive": 1}
    with anyio.fail_after(BOUND):
        async with host(user) as client:
            result = await client.call_tool(name, asked)
    assert result.is_error and "approv" in text(result) and not was_run(record)


@pytest.mark.parametrize("name", ["deploy_app", "scale_app"])
async def test_without_fals_command_line_they_say_how_to_install_it(host: Host, folder: Path, name: str):
    user = User()
    asked = {"path": str(folder / "sketch.py")} if name == "deploy_app" else {"name": "sketch", "keep_alive": 1}
    with anyio.fail_after(BOUND):
        async with host(user, fal_cli=None) as client:
            result = await client.call_tool(name, asked)
    assert result.is_error and "pip install 'fal-mcp[serverless]'" in text(result) and user.asked == []


async def test_code_outside_the_allowed_folders_is_never_run_nor_asked_about(
    host: Host, folder: Path, record: Path, tmp_path: Path
):
    (tmp_path / "outside.py").write_text("x\n")
    (folder / ".hidden.py").write_text("x\n")
    (folder / "notes.txt").write_text("x\n")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "text.py").symlink_to(folder / "notes.txt")
    (folder / "pack.py").mkdir()
    user = User()
    outside = [tmp_path / "outside.py", folder / ".hidden.py", folder / "link.py", folder / "../outside.py"]
    odd = [folder / "notes.txt", folder, folder / "pack.py", folder / "text.py", folder / "nothing.py"]
    with anyio.fail_after(BOUND):
        async with host(user) as client:
            for path in outside:
                result = await client.call_tool("deploy_app", {"path": str(path)})
                assert result.is_error and "may not be read" in text(result), path
            for path in (*odd, "--help", "https://example.com/a.py"):
                assert (await client.call_tool("deploy_app", {"path": str(path)})).is_error, path
    assert user.asked == [] and not was_run(record)


async def test_what_runs_is_where_a_link_led_when_it_was_allowed(host: Host, folder: Path, record: Path):
    (folder / "alias.py").symlink_to(folder / "sketch.py")
    with anyio.fail_after(BOUND):
        async with host(User()) as client:
            await client.call_tool("deploy_app", {"path": str(folder / "alias.py")})
    assert ran(record)["arguments"][1].endswith(f"/{folder.name}/sketch.py")
    assert ran(record)["content"] == "class Sketch: ...\n"


@pytest.mark.parametrize("how", ["written", "renamed", "link"])
async def test_what_runs_is_what_was_checked_whatever_takes_its_name_meanwhile(
    host: Host, folder: Path, record: Path, tmp_path: Path, how: str
):
    """While the user is asked, somebody puts another file in its place."""
    file, other = folder / "sketch.py", tmp_path / "other.py"
    (folder / "helpers.py").write_text("x = 1\n")
    other.write_text("import evil\n")

    class Slow(User):
        async def __call__(self, context: Any, params: Any) -> types.ElicitResult:
            if how == "written":
                file.write_text("import evil\n")
            elif how == "renamed":
                _ = other.replace(file) if other.exists() else None
            else:
                file.unlink()
                file.symlink_to(other)
            return await super().__call__(context, params)

    user = Slow()
    with anyio.fail_after(BOUND):
        async with host(user) as client:
            result = await client.call_tool("deploy_app", {"path": str(file)})
    # Where the client is asked by calling again, it is asked again about what is there now, or refused.
    assert result.is_error is not was_run(record)
    if was_run(record):
        done = ran(record)
        assert hashlib.sha256(done["content"].encode()).hexdigest()[:12] in user.asked[-1]
        assert done["content"] == "class Sketch: ...\n" or len(user.asked) > 1
        assert done["beside"] == ["helpers.py", "sketch.py"]


DEPLOYED = """
print("  https://fal.ai/dashboard/apps/me/sketch/testing/playground?endpoint=me/sketch")
for route in ("", "/turbo", "/" + "long" * 40):
    print(f"  Sync   https://fal.run/me/sketch{route}")
    print(f"  Async  https://queue.fal.run/me/sketch{route}")
"""


async def test_the_answer_has_the_endpoints_that_were_made(host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host(User(), DEPLOYED) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py")})
    made = ["me/sketch", "me/sketch/turbo", f"me/sketch/{'long' * 40}"]
    assert result.structured_content["endpoints"] == made and all(one in text(result) for one in made)


@pytest.mark.parametrize("name", ["--help", "-x", "a b", "a;b", "../a", "a\nb"])
async def test_names_that_could_be_options_are_refused(host: Host, folder: Path, record: Path, name: str):
    with anyio.fail_after(BOUND):
        async with host(User()) as client:
            scaled = await client.call_tool("scale_app", {"name": name, "keep_alive": 1})
            deployed = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py"), "name": name})
    assert scaled.is_error and deployed.is_error and not was_run(record)


async def test_an_app_without_a_name_is_not_scaled(host: Host, record: Path):
    """An empty name is one that was left out, and this one is needed."""
    with anyio.fail_after(BOUND):
        async with host(User()) as client:
            scaled = await client.call_tool("scale_app", {"name": "", "keep_alive": 1})
    assert scaled.is_error and not was_run(record)


async def test_an_app_is_scaled(host: Host, record: Path):
    """`fal apps scale NAME`, with fal 1.83's options."""
    user = User()
    asked = {"name": "sketch", "keep_alive": 300, "min_concurrency": 0, "max_concurrency": 4, "environment": "staging"}
    with anyio.fail_after(BOUND):
        async with host(user) as client:
            result = await client.call_tool("scale_app", asked)
            nothing = await client.call_tool("scale_app", {"name": "sketch"})
    options = ["--keep-alive", "300", "--min-concurrency", "0", "--max-concurrency", "4", "--env", "staging"]
    assert ran(record)["arguments"] == ["apps", "scale", "sketch", *options]
    assert not result.is_error and "--keep-alive 300" in user.asked[0]
    assert nothing.is_error and "Nothing to scale" in text(nothing) and len(user.asked) == 1


async def test_a_failure_is_told_in_the_command_lines_last_words(host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host(User(), FAILS) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py")})
    assert result.is_error and "exit code 3" in text(result) and "No module named torch" in text(result)
    # It may have failed after fal had the app: that is not one to send again unlooked.
    error = result.structured_content["error"]
    assert "list_app_events" in text(result) and "list_app_events" in error["hint"] and not error["retryable"]


async def test_a_command_that_cannot_be_started_is_a_clean_error(host: Host, folder: Path, tmp_path: Path):
    with anyio.fail_after(BOUND):
        async with host(User(), fal_cli=(str(tmp_path / "no-such-program"),)) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py")})
    assert result.is_error and "cannot be started" in text(result)


async def test_a_flood_of_words_is_told_in_part(host: Host, folder: Path):
    with anyio.fail_after(BOUND):
        async with host(User(), FLOODS) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py")})
    assert len(text(result)) <= 12_000 and "line 1999" in text(result)
    assert len(result.structured_content["lines"]) == 200 and result.structured_content["count"] > 2000


async def test_a_cancelled_call_ends_the_command_and_all_it_began(host: Host, folder: Path):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port, first = listener.extra(anyio.abc.SocketAttribute.local_port), listener.listeners[0]
    assert isinstance(first, anyio.abc.SocketListener)
    ends: list[anyio.abc.SocketStream] = []
    with anyio.fail_after(BOUND):
        async with listener, host(User(), HANGS, str(port)) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "deploy_app", {"path": str(folder / "sketch.py")})
                ends += [await first.accept() for _ in range(2)]
                tasks.cancel_scope.cancel()
            for end in ends:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await end.receive()
                await end.aclose()


async def test_a_command_that_takes_too_long_is_ended(host: Host, folder: Path):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    with anyio.fail_after(BOUND):
        async with listener, host(User(), HANGS, str(port)) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py"), "seconds": 1})
    assert result.is_error and "took longer than 1 s and was ended" in text(result)


async def test_a_server_that_only_reads_runs_nothing(host: Host, folder: Path, record: Path):
    with anyio.fail_after(BOUND):
        async with host(User(), read_only=True) as client:
            result = await client.call_tool("deploy_app", {"path": str(folder / "sketch.py")})
    assert result.is_error and "--read-only" in text(result) and not was_run(record)


async def test_all_of_them_are_short_in_the_list(host: Host):
    with anyio.fail_after(BOUND):
        async with host() as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for name in ("deploy_app", "scale_app", "set_secret", "list_secrets", "verify_secret"):
        said = tools[name].model_dump(mode="json", by_alias=True, exclude_none=True)
        assert len(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()) <= TOOL_BYTES, name


def found_with(folder: Path) -> str:
    """What the settings find where modules are also looked for in `folder`."""
    command = [sys.executable, "-c", "from fal_mcp.config import Settings; print(Settings.from_env({}).fal_cli)"]
    path = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True, timeout=BOUND)
    return done.stdout.strip()


def test_fals_command_line_is_found_where_it_is_installed(tmp_path: Path):
    """Started with -P, so that a fal.py in the folder it is started in is not taken for it."""
    (tmp_path / "fal").mkdir()
    (tmp_path / "fal" / "__init__.py").touch()
    assert found_with(tmp_path) == str((sys.executable, "-P", "-m", "fal"))


@pytest.mark.skipif(Settings.from_env({}).fal_cli is not None, reason="fal itself is installed here")
def test_a_folder_called_fal_is_not_fals_command_line(tmp_path: Path):
    (tmp_path / "fal").mkdir()
    assert found_with(tmp_path) == "None"
