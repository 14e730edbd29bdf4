"""docs/troubleshooting.md: whoever sees one of its messages finds the row, because the message is really said so."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio.to_thread
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Script
from fal_mcp.errors import NotRecorded
from fal_mcp.jobs.trouble import translated
from fal_mcp.machine.readable import refusal
from tests.conftest import KEY, UNKNOWN_KEY

PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"
FLUX = "fal-ai/flux/dev"
BOUND = 60
OF_OTHERS = {"spawn uvx ENOENT", "self-signed certificate", "UnknownIssuer"}
"""Messages of hosts, of OpenSSL and of uv, which nothing here can say."""


def messages() -> list[str]:
    rows = [line.split(" | ")[0] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def pattern(message: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, message.split("…"))), re.S)


async def said_by_a_run(settings: Settings, folder: Path, *arguments: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": ":".join(sys.path)}
    environment |= {"FAL_MCP_URL": settings.hosts.queue.removesuffix("/queue"), "FAL_MCP_REFRESH_HOURS": "0"}
    environment |= {"FAL_KEY": settings.key} if settings.key else {}
    command = [sys.executable, "-m", "fal_mcp", *(arguments or ("run", FLUX, "prompt=x"))]

    def go() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BOUND, check=False
        )

    done = await anyio.to_thread.run_sync(go)
    return done.stdout + done.stderr


def of_the_ledger(error: sqlite3.Error) -> str:
    with pytest.raises(NotRecorded) as caught, translated(Path("jobs.sqlite")):
        raise error
    return caught.value.message


def of_the_settings() -> str:
    with pytest.raises(ValueError) as caught:
        Settings.from_env({"FAL_MCP_MAX_COTS": "1"})
    return str(caught.value)


HERE: dict[str, Callable[[], str]] = {
    "The ledger of paid work … is locked": lambda: of_the_ledger(sqlite3.OperationalError("database is locked")),
    "The ledger of paid work … is damaged": lambda: of_the_ledger(_damage()),
    "… is no setting of this server": of_the_settings,
    "may not be read by this server": lambda: refusal("/a/b.png").message,
}
AT_FAL = {
    *{"No user found for Key ID and Secret", "User is locked", "This call needs a fal API key"},
    *{"Authentication required", "status: in_progress"},
}


def _damage() -> sqlite3.Error:
    error = sqlite3.DatabaseError("file is not a database")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


def test_every_message_of_the_page_is_tried_here():
    assert set(messages()) == {*HERE, *AT_FAL, *OF_OTHERS}


@pytest.mark.parametrize("message", HERE)
def test_what_is_said_here_is_what_the_page_has(message: str):
    assert pattern(message).search(said := HERE[message]()), said


async def test_what_is_said_of_a_key_is_what_the_page_has(fal: Emulator, settings: Settings, tmp_path: Path):
    unknown, none = replace(settings, key=UNKNOWN_KEY), replace(settings, key=None)
    assert "No user found for Key ID and Secret" in await said_by_a_run(unknown, tmp_path)
    assert "Authentication required" in await said_by_a_run(unknown, tmp_path, "whoami")
    assert "This call needs a fal API key" in await said_by_a_run(none, tmp_path)
    fal.locked_keys.add(KEY)
    assert "User is locked" in await said_by_a_run(replace(settings, key=KEY), tmp_path)


async def test_what_still_runs_is_said_as_the_page_has_it(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(FLUX, Script(hold_running=True))
    said = await said_by_a_run(settings, tmp_path, "run", FLUX, "prompt=x", "--detach", "--json")
    assert '"status": "in_progress"' in said
