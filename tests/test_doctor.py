"""`fal-mcp doctor`: what this server needs, examined; it survives everything it is there to find."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from fal_mcp import bundled
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.machine.key_store import KeyStore
from fal_mcp.terminal import doctor, environment
from fal_mcp.terminal.finding import Examined, Finding
from tests.conftest import KEY, UNKNOWN_KEY

NOBODY = "http://127.0.0.1:9"
BOUND = 60


def examined(folder: Path, **env: str) -> Examined:
    """This environment, with no fal to be reached unless it names one."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    whole = {"HOME": str(home), "FAL_MCP_DATA_DIR": str(folder / "data"), "FAL_MCP_URL": NOBODY, **env}
    settings, problems = Settings.surveyed({name: value for name, value in whole.items() if value})
    return Examined(settings, whole, tuple(problems))


async def found(given: Examined) -> dict[str, list[Finding]]:
    with anyio.fail_after(BOUND):
        findings = await doctor.found(given)
    by_subject: dict[str, list[Finding]] = {}
    for finding in findings:
        by_subject.setdefault(finding.about, []).append(finding)
    return by_subject


def bad(findings: dict[str, list[Finding]]) -> str:
    return "\n".join(
        f"{each.about}: {each.text}" for group in findings.values() for each in group if each.state == "bad"
    )


async def test_all_is_well_where_it_is(settings: Settings, tmp_path: Path):
    url = settings.hosts.queue.removesuffix("/queue")
    findings = await found(examined(tmp_path, FAL_KEY=KEY, FAL_MCP_URL=url))
    assert bad(findings) == ""
    assert "scope API" in findings["key"][0].text and KEY.split(":")[1] not in str(findings)
    assert findings["Platform API"][0].text == "no difference from fal's document"
    assert {f"host {name}" for name in ("queue", "run", "rest", "api", "cdn")} <= findings.keys()


async def test_a_key_that_fal_does_not_know_is_no_key(settings: Settings, tmp_path: Path):
    url = settings.hosts.queue.removesuffix("/queue")
    findings = await found(examined(tmp_path, FAL_KEY=UNKNOWN_KEY, FAL_MCP_URL=url))
    assert findings["key"][0].state == "bad" and "does not take it" in findings["key"][0].text
    assert "https://fal.ai/dashboard/keys" in findings["key"][0].advice


async def test_a_team_s_ledger_that_is_away_is_a_finding(settings: Settings, tmp_path: Path):
    url, store = settings.hosts.queue.removesuffix("/queue"), "postgresql://somebody:somesecret@127.0.0.1:9/d"
    findings = await found(examined(tmp_path, FAL_KEY=KEY, FAL_MCP_URL=url, FAL_MCP_STORE=store))
    assert findings["ledger"][0].state == "bad" and "cannot be reached" in findings["ledger"][0].text
    assert "somesecret" not in str(findings)


async def test_what_fal_changed_is_named(fal: Emulator, settings: Settings, tmp_path: Path):
    document = json.loads((bundled.schemas() / "platform.json").read_text("utf-8"))
    document["paths"]["/keys"]["get"]["security"] = [{"apiKey": []}]
    fal.platform_file = tmp_path / "changed.json"
    await anyio.Path(fal.platform_file).write_text(json.dumps(document), "utf-8")
    url = settings.hosts.queue.removesuffix("/queue")
    findings = await found(examined(tmp_path, FAL_KEY=KEY, FAL_MCP_URL=url))
    assert [each.text for each in findings["Platform API"]] == [
        "fal's document differs from what this version knows (1)",
        'Operation \'listApiKeys\', key was "adminApiKey" and is "apiKey".',
    ]
    await anyio.Path(fal.platform_file).write_text("<html>", "utf-8")
    findings = await found(examined(tmp_path, FAL_KEY=KEY, FAL_MCP_URL=url))
    assert findings["Platform API"][0].text.startswith("not compared with fal's document. ")


BROKEN: list[tuple[dict[str, str], str]] = [
    *[
        ({name: "socks5://127.0.0.1:1"}, f"{name} names a SOCKS proxy")
        for name in ("ALL_PROXY", "all_proxy", "HTTPS_PROXY")
    ],
    ({"ALL_PROXY": "socks5h://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}, "ALL_PROXY names a SOCKS proxy"),
    ({"ALL_PROXY": "socks://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}, "ALL_PROXY names a SOCKS proxy"),
    ({"HTTPS_PROXY": "ftp://127.0.0.1:1"}, "HTTPS_PROXY names a proxy of the kind 'ftp'"),
    ({"HTTP_PROXY": "://x"}, "HTTP_PROXY"),
    ({"HTTPS_PROXY": "http://[x"}, "HTTPS_PROXY is 'http://[x', which is no address"),
    ({"HTTPS_PROXY": "http://proxy:99999"}, "HTTPS_PROXY"),
    ({"https_proxy": "http://proxy:abc"}, "https_proxy"),
    ({"HTTPS_PROXY": "http://"}, "HTTPS_PROXY"),
    ({"HTTPS_PROXY": "http://me:secret@[x"}, "HTTPS_PROXY is 'http://…@[x'"),
    ({"NO_PROXY": "localhost,[::1]"}, "NO_PROXY has '[::1]'"),
    ({"no_proxy": "[::1]:8080"}, "no_proxy has '[::1]:8080'"),
    ({"NO_PROXY": "localhost, host:port"}, "NO_PROXY has 'host:port'"),
    ({"NO_PROXY": "a:99999"}, "NO_PROXY has 'a:99999'"),
    ({"SSL_CERT_FILE": "/nonexistent.pem"}, "SSL_CERT_FILE names '/nonexistent.pem', which cannot be read"),
    ({"SSL_CERT_FILE": "{empty}"}, "which is empty"),
    ({"SSL_CERT_FILE": "{text}"}, "which holds no certificates"),
    ({"SSL_CERT_FILE": "{folder}"}, "SSL_CERT_FILE names"),
    ({"SSL_CERT_DIR": "/nonexistent"}, "SSL_CERT_DIR names '/nonexistent', which is no folder"),
    ({"HOME": "/dev/null"}, "HOME is '/dev/null', which is no folder"),
    ({"HOME": "relative"}, "HOME is 'relative', which is no absolute path"),
    ({"HOME": "/nonexistent"}, "HOME is '/nonexistent'"),
    ({"FAL_MCP_DATA_DIR": "/proc/fal"}, "Nothing can be written to '/proc/fal'"),
    ({"FAL_MCP_DATA_DIR": "/dev/null/x"}, "'/dev/null/x'"),
    ({"FAL_MCP_DATA_DIR": "{text}"}, "is a file and no folder"),
    ({"FAL_MCP_DATA_DIR": "{text}/x"}, "Nothing can be written"),
    ({"FAL_MCP_OUTPUT_DIR": "/proc/out"}, "Nothing can be written to '/proc/out'"),
    ({"FAL_MCP_OUTPUT_DIR": "{text}"}, "is a file and no folder"),
    ({"FAL_MCP_MODELS": "/nonexistent"}, "FAL_MCP_MODELS names the folder '/nonexistent', which does not exist"),
    ({"FAL_MCP_ALLOW_DIR": "/nonexistent"}, "FAL_MCP_ALLOW_DIR"),
    ({"FAL_MCP_MAX_COTS": "1"}, "Did you mean FAL_MCP_MAX_COST?"),
    ({"FAL_MCP_MAX_COST": "nan"}, "FAL_MCP_MAX_COST is 'nan'"),
    ({"FAL_MCP_READ_ONLY": "maybe"}, "FAL_MCP_READ_ONLY is 'maybe'"),
    ({"FAL_MCP_TOOLSETS": "nope"}, "FAL_MCP_TOOLSETS"),
    ({"FAL_MCP_URL": "http://[x"}, "FAL_MCP_URL"),
    ({"FAL_KEY": '"a:b"'}, "FAL_KEY has quotes around it"),
    ({"FAL_KEY": "${FAL_KEY}"}, "FAL_KEY is '${FAL_KEY}'"),
    ({"FAL_KEY": "Key a:b"}, "FAL_KEY begins with 'Key'"),
    ({"FAL_KEY": "a:b c"}, "FAL_KEY has a blank"),
    ({"FAL_KEY": "nocolon"}, "no colon"),
    ({"FAL_KEY": ""}, "key: not set"),
    ({"FAL_KEY_FILE": "/nonexistent"}, "FAL_KEY_FILE"),
    ({"FAL_ADMIN_KEY": "'a:b'"}, "FAL_ADMIN_KEY has quotes"),
    ({"FAL_KEY": KEY}, "cannot be reached"),
]


@pytest.mark.parametrize(("env", "says"), BROKEN, ids=lambda value: str(value)[:40])
async def test_it_survives_everything_it_is_there_to_find(tmp_path: Path, env: dict[str, str], says: str):
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("not a certificate")
    places = {"{empty}": "empty", "{text}": "text", "{folder}": ""}
    for place, name in places.items():
        env = {key: value.replace(place, str(tmp_path / name)) for key, value in env.items()}
    findings = await found(examined(tmp_path, **env))
    told = bad(findings)
    assert says in told, told
    assert "Traceback" not in told and "should not have happened" not in told, told
    assert all(
        each.advice or each.about in ("settings",)
        for group in findings.values()
        for each in group
        if each.state == "bad"
    )


def test_there_are_forty_of_them():
    assert len(BROKEN) >= 40


async def test_a_damaged_ledger_and_a_locked_one_are_findings(tmp_path: Path):
    given = examined(tmp_path, FAL_KEY=KEY)
    file = given.settings.ledger_file
    assert file is not None
    file.parent.mkdir(parents=True)
    file.write_bytes(b"this is no database at all" * 100)
    assert "cannot be read" in bad(await found(given))
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE job (state TEXT)")
        database.commit()
        database.execute("BEGIN EXCLUSIVE")
        findings = await found(given)
        database.rollback()
    database.close()
    assert "ledger" in findings


async def test_a_damaged_catalog_costs_nobody_anything(tmp_path: Path):
    given = examined(tmp_path, FAL_KEY=KEY)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a__b.json").write_text("{")
    given = examined(tmp_path, FAL_MCP_MODELS=str(folder))
    findings = await found(given)
    assert findings["model document"][0].text.startswith("a/b: ")


async def test_hosts_on_this_machine_are_named(tmp_path: Path):
    home = tmp_path / "home"
    (home / ".cursor").mkdir(parents=True)
    (home / ".cursor" / "mcp.json").write_text('{"mcpServers": {"fal": {"command": "fal-mcp"}}}')
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_bytes(b"\xff\xfe [mcp")
    (home / ".gemini" / "settings.json").mkdir(parents=True)
    findings = await found(examined(tmp_path))
    assert findings["Cursor"][0].state == "good" and "no entry" in findings["Codex"][0].text
    assert "Gemini CLI" not in findings


def test_a_key_file_that_others_read_is_a_finding(tmp_path: Path):
    store = KeyStore(tmp_path)
    store.keep("a:b")
    assert not store.is_open_to_others() and (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "key.json").chmod(0o644)
    assert store.is_open_to_others()


async def subprocess_of(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **env}
    command = [sys.executable, "-m", "fal_mcp", *arguments]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return await anyio.to_thread.run_sync(run)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:1"}, "ALL_PROXY"),
        ({"NO_PROXY": "localhost,[::1]"}, "NO_PROXY"),
        ({"SSL_CERT_FILE": "/nonexistent.pem"}, "SSL_CERT_FILE"),
        ({"HOME": "/dev/null"}, "HOME"),
        ({"FAL_MCP_MAX_COTS": "1"}, "FAL_MCP_MAX_COST?"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_as_a_command_it_ends_in_sentences_and_an_exit_code(tmp_path: Path, env: dict[str, str], says: str):
    done = await subprocess_of(tmp_path, "doctor", "--json", FAL_KEY="a:b", **env)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert says in done.stdout and all(row["about"] for row in json.loads(done.stdout))


async def test_without_a_network_it_ends_in_five_seconds(tmp_path: Path):
    began = time.monotonic()
    await found(examined(tmp_path, FAL_KEY=KEY, FAL_MCP_URL="http://10.255.255.1"))
    assert time.monotonic() - began < 5


def test_a_proxys_password_is_never_shown():
    env = {
        "HTTPS_PROXY": "http://me:secret@proxy:8080",
        "ALL_PROXY": "socks5://me:secret@x",
        "HTTP_PROXY": "me:secret@[x",
    }
    assert "secret" not in str([*environment.in_use(env), *environment.faults(env)])
