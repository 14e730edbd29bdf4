"""`tests/newcomer.toml`: what a newcomer stumbled over, and what holds that nobody does again."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator
from fal_mcp.settings_table import TABLE
from pictures import scenes
from pictures.terminal import Terminal
from tests.test_promises import names_in

ROOT = Path(__file__).parents[1]
FLUX = "fal-ai/flux/dev"
BOUND = 60
STUMBLES: list[dict[str, Any]] = tomllib.loads((ROOT / "tests" / "newcomer.toml").read_text("utf-8"))["stumble"]


async def told(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a command says whose environment alone tells it of fal and of its folders."""
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment |= {"PYTHONPATH": str(ROOT), "FAL_MCP_URL": settings.hosts.queue.removesuffix("/queue")}

    def go() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fal_mcp", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BOUND, check=False
        )

    return await anyio.to_thread.run_sync(go)


def test_each_stumble_is_held_by_something_that_is_there():
    assert len(STUMBLES) >= 39 and all(each["about"] and each["now"] and each["tests"] for each in STUMBLES)
    named = [test.partition("::") for each in STUMBLES for test in each["tests"]]
    missing = [file + name for file, _, name in named if not (ROOT / file).is_file()]
    missing += [f"{file}::{name}" for file, _, name in named if name and name not in names_in(ROOT / file)]
    assert missing == []


@pytest.mark.parametrize(
    ("pair", "says"),
    [("num_images=99", "99 is outside the range: at least 1, at most 4"), ("seed=abc", "'abc' is not an integer")],
)
async def test_what_is_wrong_with_a_number_is_what_is_said(settings: Settings, tmp_path: Path, pair: str, says: str):
    done = await told(settings, tmp_path, "run", FLUX, "prompt=x", pair)
    assert done.returncode == 2 and says in done.stderr


async def test_what_was_put_right_is_said_to_who_waits_and_a_number_is_no_news(
    fal: Emulator, settings: Settings, tmp_path: Path
):
    done = await told(settings, tmp_path, "run", FLUX, "promt=x", "num_images=2")
    assert done.returncode == 0 and "Note: 'promt' was read as 'prompt'." in done.stdout
    assert "num_images" not in done.stdout and len(fal.jobs) == 1


async def test_the_note_beside_a_file_is_said(tmp_path: Path):
    run = tuple(scene for scene in scenes.SCENES if scene.name == "run")
    ((_, terminal, _),) = await anyio.to_thread.run_sync(lambda: list(scenes.screens(run)))
    assert "a note (.json) says how to make it again" in terminal.text


async def test_a_search_says_how_many_models_it_searched(settings: Settings, tmp_path: Path):
    done = await told(settings, tmp_path, "models", "search", "animate a photo")
    assert done.returncode == 0 and "Searched 37 models, those that came along" in done.stderr


async def test_headers_that_are_no_json_name_their_file(settings: Settings, tmp_path: Path):
    await anyio.Path(tmp_path / "h.json").write_text('{"a":')
    await anyio.Path(tmp_path / "b").write_text("x")
    done = await told(settings, tmp_path, "webhook", "verify", "h.json", "b")
    assert done.returncode == 2 and "'h.json' holds no JSON" in done.stderr


async def test_a_catalog_that_is_fetched_from_the_emulator_keeps_its_prices(tmp_path: Path):
    def go() -> list[str]:
        with scenes.home() as folder, scenes.local_fal(folder) as url:
            told: list[str] = []
            show, search = ["models", "show", FLUX], ["models", "search", "animate a photo"]
            for command in (show, ["models", "refresh"], show, search):
                terminal = Terminal(100, scenes.environment(folder, url), str(folder))
                assert terminal.run([*scenes.program(folder), *command]) == 0, terminal.text
                told.append(terminal.text)
            return told

    before, refreshed, after, searched = await anyio.to_thread.run_sync(go)
    assert "37 models" in refreshed and "Price: $0.025 per megapixel" in before
    assert "Price: $0.025 per megapixel" in after
    assert "those that came along" not in searched


async def test_help_names_the_variable_and_the_default_of_every_setting(settings: Settings, tmp_path: Path):
    done = await told(settings, tmp_path, "serve", "--help")
    said = re.sub(r"\s+", " ", done.stdout)
    offered = [setting for setting in TABLE if f" {setting.option} " in said]
    assert len(offered) >= 20
    for setting in offered:
        about = said.partition(f" {setting.option} ")[2].partition(" --")[0] if setting.kind != "switch" else said
        assert f"[{setting.variable}]" in about and "Default:" in about, setting.option


def test_the_program_has_a_second_name():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts["fal-mcp"] == scripts["fal-mcp-server"]
    assert "this one is `fal-mcp-server` too" in (ROOT / "docs" / "hosts.md").read_text("utf-8")


def test_the_package_says_what_it_runs_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "Programming Language :: Python :: 3.14" in project["classifiers"]
    assert project["license"] == "Apache-2.0"


def narrow(*commands: tuple[str, ...], key: str = "emulator:emulator") -> list[str]:
    """What each command leaves on a screen of sixty columns, one after another in one home."""
    with scenes.home() as folder, scenes.local_fal(folder) as url:
        told: list[str] = []
        for command in commands:
            terminal = Terminal(60, {**scenes.environment(folder, url), "FAL_KEY": key}, str(folder))
            terminal.run([*scenes.program(folder), *command])
            told.append("\n".join(line.rstrip() for line in terminal.unbroken.display).rstrip())
        return told


async def test_a_command_that_is_shown_is_on_one_line_and_can_be_copied():
    told = await anyio.to_thread.run_sync(
        narrow, ("run", FLUX, "prompt=x", "--detach"), ("models", "show", FLUX), ("usage",)
    )
    assert re.search(r"^  fal-mcp jobs wait job_\w{32}$", told[0], re.M), told[0]
    assert re.search(r"^  fal-mcp run fal-ai/flux/dev prompt='[^']+'", told[1], re.M), told[1]
    assert "1 run " in told[2] and "1 runs" not in told[2]


async def test_no_word_of_a_refusal_is_broken_at_a_narrow_terminal():
    (told,) = await anyio.to_thread.run_sync(lambda: narrow(("whoami",), key="'a:b'"))
    assert told.splitlines()[0].endswith(" which") and all(len(line) <= 60 for line in told.splitlines()), told


async def test_help_names_what_a_person_has_and_no_type_of_python(settings: Settings, tmp_path: Path):
    for command in ((), ("run",), ("install",), ("token", "create")):
        said = (await told(settings, tmp_path, *command, "--help")).stdout
        options = [line for line in said.splitlines() if line.lstrip().startswith("-")]
        assert options and not [line for line in options if "list[" in line or "<float>" in line.split("  ")[0]]
    assert "--allow-dir FOLDER" in said or "--scope SCOPE" in said


@pytest.mark.parametrize("name", ["claude-desktop", "zed"])
async def test_what_belongs_into_a_host_is_shown_to_who_has_no_key_yet(settings: Settings, tmp_path: Path, name: str):
    done = await told(settings, tmp_path, "install", name, "--print")
    assert done.returncode == 0 and '"FAL_KEY": "your key"' in done.stdout
    refused = await told(settings, tmp_path, "install", name, "--yes")
    assert refused.returncode == 1 and refused.stdout.count("cannot take a key by reference") == 1
    assert not re.match(r"(.+): \1", refused.stdout)


async def test_print_for_a_project_names_the_projects_file(settings: Settings, tmp_path: Path):
    done = await told(settings, tmp_path, "install", "cursor", "--print", "--project", str(tmp_path))
    assert f"in {tmp_path}/.cursor/mcp.json:" in done.stdout


async def test_a_stored_key_that_is_not_used_with_a_stand_in_is_told_of(settings: Settings, tmp_path: Path):
    done = await told(replace(settings, key=None), tmp_path, "whoami")
    assert done.returncode == 1 and "no stand-in" in done.stderr and "FAL_KEY" in done.stderr
