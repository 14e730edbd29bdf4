"""The hosts' own command lines, after `fal-mcp install`: each lists the server, connects to it and says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUND = 120
LISTED = {
    "claude-code": (["claude", "mcp", "list"], r"fal: .* (✔|✓) Connected"),
    "codex": (["codex", "mcp", "list"], r"fal\s+.*enabled"),
    "gemini": (["gemini", "mcp", "list"], r"✓ fal: .* Connected"),
    "opencode": (["opencode", "mcp", "list"], r"✓\s+fal\s+connected"),
}


def run(command: list[str], home: Path, binary: Path) -> str:
    folder = home / "here"
    folder.mkdir(exist_ok=True)
    environment = {
        "PYTHONPATH": str(ROOT),
        **{"HOME": str(home), "PATH": f"{binary}{os.pathsep}/usr/bin:/bin", "NO_COLOR": "1", "CI": "1"},
        **{"FAL_KEY": "emulator:emulator", "FAL_MCP_REFRESH_HOURS": "0", "GEMINI_API_KEY": "none"},
        **{"GEMINI_CLI_TRUST_WORKSPACE": "true", "DISABLE_AUTOUPDATER": "1"},
        **{"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "OPENCODE_DISABLE_AUTOUPDATE": "true"},
        **{"OPENCODE_DISABLE_MODELS_FETCH": "true", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "true"},
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BOUND, check=False, input=""
    )
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout + done.stderr)


@pytest.mark.parametrize("name", LISTED)
def test_the_host_says_that_it_is_connected(name: str, prepared: Path, tmp_path: Path):
    command, says = LISTED[name]
    binary = prepared / "node" / "node_modules" / ".bin"
    if not (binary / command[0]).exists():
        pytest.skip(f"{command[0]} cannot be had here")
    wrote = run([sys.executable, "-m", "fal_mcp", "install", name, "--yes"], tmp_path, binary)
    assert "answers as 'fal'" in wrote, wrote
    told = run([str(binary / command[0]), *command[1:]], tmp_path, binary)
    assert re.search(says, told), told
