"""The README and the other pages walked from an empty home: every command in them runs as it stands.

What cannot be run here is named with what runs it instead; a command that is in neither list is a failure.
"""

import re
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from tests.conftest import KEY

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BOUND = 90
ELSEWHERE = {
    "uv tool install 'fal-mcp[install]'": "`.ci/readme` does it with the wheel that is built here",
    "claude mcp add fal -e FAL_KEY=your-key -- uvx fal-mcp": "`tests/hosts/test_installed.py` has Claude Code connect",
    "python3 -m venv .venv && .venv/bin/pip install --quiet --editable . && .venv/bin/fal-mcp demo": "`.ci/readme`",
    "python3 -m venv .venv && .venv/bin/pip install --quiet --editable '.[dev]' && "
    ".venv/bin/pytest -n auto": "`.ci/run`",
    "python3 -m venv .venv && .venv/bin/pip install --quiet --editable '.[dev]'": "`.ci/run`",
    ".venv/bin/pytest": "`.ci/run`",
    ".venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/pyright": "`.ci/run`",
    "fal-mcp token create anna --budget 5 --tokens /etc/fal-mcp/tokens.json": "`tests/team/test_serve.py` makes, lists "
    "and revokes them",
    "fal-mcp serve --http 0.0.0.0:8080 --tokens /etc/fal-mcp/tokens.json --allow-host fal.example.com": "such a server "
    "is `tests/team/test_serve.py`'s",
    "pip install 'fal-mcp[team]'": "`.ci/sizes` installs each extra",
    "fal-mcp serve --http 8080": "the port may be another's; `tests/server/http_host.py` takes any that is free",
    "deploy/prepare fal.example.com 50": "`tests/team/test_deploy.py` runs it, and the image's steps too",
    **dict.fromkeys(
        [
            "docker compose --file deploy/compose.yaml up --detach --build --wait",
            "docker compose --file deploy/compose.yaml run --rm token create anna --budget 5",
            "docker compose --file deploy/compose.yaml exec -T db pg_dump --username=fal_mcp --format=custom fal_mcp "
            ">ledger.dump",
            "docker compose --file deploy/compose.yaml exec -T db pg_restore --username=fal_mcp --dbname=fal_mcp "
            "--clean --if-exists <ledger.dump",
        ],
        "not run: there is no container engine; `tests/team/test_deploy.py` holds what one would be given",
    ),
}
FENCED = {
    "README.md": {"json"},
    "hosts.md": {"json", "toml", "yaml"},
    "client.md": {"python"},
    "emulator.md": {"python"},
}
"""Code in fences, held by `test_words`, `test_hosts_page`, `test_client_page` and `test_as_a_double`."""
TYPED = {"fal-mcp login": f"{KEY}\n", "fal-mcp install": "y\ny\n"}


def commands(page: Path) -> list[str]:
    """The indented lines of a page that somebody types, without their comments."""
    lines: list[str] = []
    before, is_inside, is_fenced = "", False, False
    for line in page.read_text("utf-8").splitlines():
        is_fenced ^= line.startswith("```")
        is_inside = not is_fenced and line.startswith("    ") and (is_inside or not before.strip())
        if is_inside and "://" not in line.split(" #")[0]:
            lines.append(line.split(" #")[0].strip())
        before = line
    return lines


def walked(page: Path) -> list[str]:
    return [line for line in commands(page) if line not in ELSEWHERE]


def test_every_command_is_one_of_ours_or_is_run_elsewhere():
    found = [line for page in PAGES for line in commands(page)]
    assert len(found) >= 20 and set(ELSEWHERE) <= set(found)
    assert [line for line in found if line not in ELSEWHERE and not line.startswith("fal-mcp ")] == []
    scripts = re.findall(r"`((?:\.ci|tests)/[\w./]+)`", " ".join(ELSEWHERE.values()))
    assert scripts and all((ROOT / script).is_file() for script in scripts)


def test_code_in_fences_is_where_a_test_runs_it():
    fences = {page.name: set(re.findall(r"^```(\w+)$", page.read_text("utf-8"), re.M)) for page in PAGES}
    assert {name: languages for name, languages in fences.items() if languages} == FENCED


@pytest.mark.parametrize("page", [page for page in PAGES if walked(page)], ids=lambda page: page.name)
async def test_a_page_is_walked_from_an_empty_home(page: Path, fal: Emulator, settings: Settings, tmp_path: Path):
    home, programs = tmp_path / "home", tmp_path / "bin"
    for folder in (home / ".cursor", programs):
        folder.mkdir(parents=True)
    program = programs / "fal-mcp"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fal_mcp "$@"\n')
    program.chmod(0o755)
    variables = {"HOME": str(home), "PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    variables |= {"FAL_MCP_URL": settings.hosts.queue.removesuffix("/queue"), "FAL_MCP_REFRESH_HOURS": "0"}

    def go(line: str) -> subprocess.CompletedProcess[str]:
        has_key = {} if line == "fal-mcp login" else {"FAL_KEY": KEY}
        typed = TYPED.get(line, "y\n" if line.startswith("fal-mcp install") else "")
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=home,
            env={**variables, **has_key},
            input=typed,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )

    for line in walked(page):
        done = await anyio.to_thread.run_sync(go, line)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    if page.name == "README.md":
        assert len(fal.jobs) == 2 and sorted(file.suffix for file in home.glob("*.png*")) == [
            ".json",
            ".json",
            ".png",
            ".png",
        ]
