"""The image, whose steps run here without a container engine; the set-up of two servers; and the proxy before them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from ruamel.yaml import YAML

from fal_mcp.cli.over_http import check_http
from fal_mcp.config import Settings
from fal_mcp.json_values import object_of
from fal_mcp.settings_table import TABLE
from fal_mcp.team.token_file import TokenFile
from tests.conftest import KEY
from tests.server.http_host import Host, served
from tests.server.stdio_host import INITIALIZED, initialize
from tests.team.image import AS_NOBODY, NOBODY, ROOT, Image, files_below, has_index, python_of_anybody
from tests.team.proxy import NAME, NGINX, proxy

BOUND = 60
ACCEPT = "application/json, text/event-stream"
VARIABLES = {setting.variable for setting in TABLE}
OPTIONS = {setting.option for setting in TABLE} | {"--http", "--scope", "--budget", "--days"}
PAGES = ("Dockerfile", "deploy/compose.yaml", "docs/deploy.md")
NEEDS_ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become nobody, by setpriv",
)


def compose() -> dict[str, Any]:
    """The set-up, with what it asks of whoever starts it filled in."""
    text = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    filled = text.replace("${FAL_MCP_MAX_RUNNING:-0}", "0")
    filled = re.sub(r"\$\{FAL_MCP_ALLOW_HOST:\?[^}]+\}", NAME, filled)
    filled = re.sub(r"\$\{FAL_MCP_DAILY_BUDGET:\?[^}]+\}", "50", filled)
    assert "${" not in filled
    return dict(object_of(YAML(typ="safe", pure=True).load(filled)))  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_is_one(page: str):
    text = (ROOT / page).read_text("utf-8")
    variables = set(re.findall(r"\bFAL_MCP_[A-Z_]+\b", text))
    assert variables and variables <= VARIABLES
    for line in re.findall(r"(?:fal-mcp (?:serve|token)|run --rm token) .*", text):
        assert set(re.findall(r"(?<= )--[a-z-]+", line.replace("--rm", ""))) <= OPTIONS, line


def test_the_servers_start_with_what_compose_gives_them(tmp_path: Path):
    """The very settings, with the key's file elsewhere; a server that would be too open is refused here."""
    services = compose()["services"]
    (tmp_path / "fal_key").write_text(KEY)
    image = Image(tmp_path)
    port = image.arguments[-1].rpartition(":")[2]
    for name in ("server-1", "server-2"):
        given = {**image.environment, **services[name]["environment"], "FAL_KEY_FILE": str(tmp_path / "fal_key")}
        settings = Settings.from_env({key: str(value) for key, value in given.items() if key.startswith("FAL_")})
        checked, host, _ = check_http(settings, image.arguments[-1])
        assert (host, checked.key, checked.is_shared, checked.trust_proxy) == ("0.0.0.0", KEY, True, 1)
        assert checked.store == "postgresql://fal_mcp@db/fal_mcp" and checked.daily_budget == 50
        proxy = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
        address = services[name]["networks"]["inside"]["ipv4_address"]
        assert proxy.count(f"server {address}:{port} ") == 2
    assert image.check[-1] == port and image.all("EXPOSE") == [port]


def test_nothing_runs_as_root_or_writes_where_it_need_not_and_no_secret_is_in_a_variable():
    whole = compose()
    services = whole["services"]
    assert Image(Path("/")).all("USER") == [f"{NOBODY}:{NOBODY}"]
    for name in ("server-1", "server-2", "token", "proxy"):
        service = services[name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and "privileged" not in service
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(whole["secrets"])
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD$|KEYS?$|SECRET$", name) and not re.search(r"://[^/@]*:[^/@]*@", str(value))
    assert all(set(secret) == {"file"} for secret in whole["secrets"].values())
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["db"]["networks"] == ["inside"] and whole["networks"]["inside"]["internal"]


def test_only_what_the_image_is_made_of_reaches_the_engine():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {name for rest in Image(Path("/")).all("COPY", 0) for name in rest.split()[:-1]}
    assert {name.split("/")[0] for name in let_in} == copied
    assert all((ROOT / name).exists() for name in let_in) and "deploy" not in let_in


@NEEDS_ROOT
def test_each_secret_is_prepared_for_the_one_user_that_reads_it(tmp_path: Path):
    """And a second time changes no password: the store has the first one."""
    shutil.copy(ROOT / "deploy" / "prepare", tmp_path)
    command = [str(tmp_path / "prepare"), NAME, "50"]
    missing = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert missing.returncode == 1 and "deploy/secrets/fal_key" in missing.stderr
    for name in ("fal_key", "tls_certificate.pem", "tls_key.pem"):
        (tmp_path / "secrets" / name).write_text("x")
    kept: list[str] = []
    for _ in range(2):
        subprocess.run(command, timeout=BOUND, check=True)
        kept.append((tmp_path / "secrets" / "pgpass").read_text())
    password = (tmp_path / "secrets" / "db_password").read_text()
    assert kept == [f"db:5432:fal_mcp:fal_mcp:{password}\n"] * 2 and len(password) == 48
    assert (tmp_path / ".env").read_text() == f"FAL_MCP_ALLOW_HOST={NAME}\nFAL_MCP_DAILY_BUDGET=50\n"
    whole = compose()
    readers = {"server-1": NOBODY, "server-2": NOBODY, "db": 999, "proxy": 101}
    for service, reader in readers.items():
        for secret in whole["services"][service]["secrets"]:
            status = (tmp_path / whole["secrets"][secret]["file"]).stat()
            assert (status.st_uid, status.st_mode & 0o777) == (reader, 0o400), secret
    assert (tmp_path / "tokens").stat().st_uid == NOBODY


@pytest.fixture(scope="module")
def image() -> Generator[Image]:
    """Made once, in a folder that nobody can reach as well."""
    python = python_of_anybody()
    if python is None:
        pytest.skip("there is no Python here that nobody may run and that makes virtual environments")
    if not has_index(python):
        pytest.skip("the package index cannot be reached")
    root = Path(tempfile.mkdtemp(prefix="image"))
    root.chmod(0o755)
    try:
        made = Image(root)
        made.make(python)
        yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


def as_process_1() -> tuple[str, ...]:
    """What makes a program process 1 of its own; nothing where that cannot be had."""
    command = ("unshare", "--pid", "--fork", "--kill-child")
    has = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if has and has.returncode == 0 else ()


@asynccontextmanager
async def started(image: Image, environment: dict[str, str]) -> AsyncGenerator[tuple[anyio.abc.Process, str]]:
    """The server as the image starts it, but on this machine alone and on any free port."""
    arguments = [re.sub(r"^0\.0\.0\.0:\d+$", "127.0.0.1:0", word) for word in image.arguments]
    command = [*as_process_1(), *AS_NOBODY, *image.command, *arguments]
    async with await anyio.open_process(command, env=environment, cwd="/") as process:
        assert process.stderr
        said = b""
        try:
            while not (match := re.search(rb"http://[^\s]+", said)):
                said += await process.stderr.receive()
            yield process, match[0].decode()
        finally:
            if process.returncode is None:
                process.kill()


def innermost(pid: int) -> int:
    """The server itself, below what made it process 1."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    return int(children[0]) if name == "unshare" else pid


def environment_of(image: Image, settings: Settings, name: str, **more: str) -> dict[str, str]:
    """What the image sets, and what its operator does: a key and tokens in a folder that is mounted."""
    secrets = image.root / name
    secrets.mkdir()
    os.chown(secrets, NOBODY, NOBODY)
    (secrets / "fal_key").write_text(KEY)
    return {
        **image.environment,
        **{"PATH": "/usr/bin:/bin", "FAL_KEY_FILE": str(secrets / "fal_key"), "FAL_MCP_ALLOW_HOST": NAME},
        **{"FAL_MCP_TOKENS": str(secrets / "tokens.json"), "FAL_MCP_TRUST_PROXY": "1", "FAL_MCP_REFRESH_HOURS": "0"},
        **{"FAL_MCP_URL": settings.hosts.queue.removesuffix("/queue")},
        **more,
    }


async def ends(process: anyio.abc.Process) -> None:
    """Told once to end, it has 5 seconds."""
    with anyio.fail_after(5):
        os.kill(innermost(process.pid), signal.SIGTERM)
        await process.wait()


@NEEDS_ROOT
async def test_the_image_starts_answers_and_ends(image: Image, settings: Settings):
    """As process 1 that is not root, with a home that is not there and no folder but /data to write to."""
    environment = environment_of(image, settings, "secrets")
    made = [*AS_NOBODY, *image.command, "token", "create", "anna"]
    token = (await anyio.run_process(made, env=environment, cwd="/")).stdout.decode().strip()
    before = files_below(image.root / "opt")
    with anyio.fail_after(BOUND):
        async with started(image, environment) as (process, url), httpx.AsyncClient(timeout=BOUND) as client:
            root = url.removesuffix("/mcp")
            assert (await client.get(f"{root}/health")).json() == {"status": "ok"}
            assert (await client.get(f"{root}/ready")).json() == {"status": "ready"}
            assert (await client.post(url, json=initialize())).status_code == 401
            client.headers.update({"authorization": f"Bearer {token}", "host": NAME})
            answer = await Host(url, client).ask("tools/list", {})
            assert any(tool["name"] == "search_models" for tool in answer["result"]["tools"])
            is_nobody_and_first(process.pid)
            check = [*AS_NOBODY, *image.check[:-1], root.rpartition(":")[2]]
            await anyio.run_process(check, env=environment, cwd="/")
            await ends(process)
            ended = await anyio.run_process(check, env=environment, cwd="/", check=False)
    assert ended.returncode == 1 and b"does not answer" in ended.stderr
    assert files_below(image.root / "opt") == before
    assert {path.name for path in image.root.iterdir()} == {"opt", "wheels", "data", "secrets"}


@NEEDS_ROOT
async def test_without_its_store_it_lives_and_takes_no_calls(image: Image, settings: Settings):
    """What watches processes must not start it anew for that; what sends calls is told."""
    environment = environment_of(image, settings, "others", FAL_MCP_STORE="postgresql://x@127.0.0.1:1/x")
    with anyio.fail_after(BOUND):
        async with started(image, environment) as (process, url), httpx.AsyncClient(timeout=BOUND) as client:
            root = url.removesuffix("/mcp")
            assert (await client.get(f"{root}/health")).status_code == 200
            assert (await client.get(f"{root}/ready")).status_code == 503
            await ends(process)
    shutil.rmtree(image.root / "others")


def is_nobody_and_first(pid: int) -> None:
    """Not root, with no capability, and process 1 where that can be had."""
    server = innermost(pid)
    status = Path(f"/proc/{server}/status").read_text()
    assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}\s", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert server == pid or re.search(r"^NSpid:\s.*\b1$", status, re.MULTILINE)


@pytest.mark.skipif(NGINX is None or sys.platform == "win32", reason="there is no nginx here")
async def test_behind_the_proxy_sessions_stay_and_a_server_that_is_gone_is_not_missed(
    settings: Settings, tmp_path: Path
):
    """Older clients' sessions stay at their server; newer clients have none, and notice nothing of a server's end."""
    tokens = {name: TokenFile(tmp_path / "tokens.json").create(name, ("fal:read",)) for name in "abcdef"}
    options = ("--tokens", str(tmp_path / "tokens.json"), "--allow-host", NAME, "--trust-proxy", "1")
    statuses: list[int] = []
    with anyio.fail_after(BOUND):
        async with (
            served(settings, tmp_path / "data", *options) as (one, process),
            served(settings, tmp_path / "data", *options) as (other, _),
        ):
            with proxy([port_of(one), port_of(other)]) as running:
                async with running.client() as client:
                    for token in tokens.values():
                        session = {"authorization": f"Bearer {token}", "accept": ACCEPT}
                        hello = await client.post("/mcp", json=initialize(), headers=session)
                        session["mcp-session-id"] = hello.headers["mcp-session-id"]
                        await client.post("/mcp", json=INITIALIZED, headers=session)
                        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
                        statuses += [
                            (await client.post("/mcp", json=ping, headers=session)).status_code for _ in range(4)
                        ]
                    assert set(statuses) == {200}
                    assert (await client.get("/metrics")).status_code == 404
                    assert (await client.get("/ready")).json() == {"status": "ready"}
                    process.kill()
                    await process.wait()
                    client.headers["authorization"] = f"Bearer {tokens['a']}"
                    for _ in range(6):
                        answer = await Host("/mcp", client).ask("tools/list", {})
                        assert answer["result"]["tools"]


def port_of(host: Host) -> int:
    """Where a server listens."""
    return httpx.URL(host.url).port or 0
