"""What is said to be typed can be typed: in a clone, by the module, on the path, beside another program of the name."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import fal_mcp
from fal_mcp import cli
from fal_mcp.terminal import program

ROOT = Path(fal_mcp.__file__).parents[1]
SCRIPT = f"#!{sys.executable}\nfrom fal_mcp.entry import main\nmain()\n"
BOUND = 60


def script_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    made = folder / "fal-mcp"
    made.write_text(SCRIPT, "utf-8")
    made.chmod(0o755)
    return made


def said(command: list[str], here: Path, path: str) -> str:
    """What `whoami` says without a key: the way to one."""
    environment = {"HOME": str(here), "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, "whoami"], cwd=here, env=environment, capture_output=True, timeout=BOUND, check=False
    )
    return done.stderr.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="a script needs no ending there")
def test_a_hint_can_be_typed_where_it_is_read(tmp_path: Path):
    mine, other = script_in(tmp_path / ".venv" / "bin"), script_in(tmp_path / "with a space")
    for path, typed in (("/nowhere", ".venv/bin/fal-mcp"), (str(other.parent), ".venv/bin/fal-mcp")):
        hint = said([".venv/bin/fal-mcp"], tmp_path, path)
        assert f"{typed} login stores one" in hint, hint
    assert "\nfal-mcp login stores one" in said([str(mine)], tmp_path, str(mine.parent))
    assert f"'{other}' login stores one" in said([str(other)], tmp_path, "/nowhere")
    assert f"{sys.executable} -m fal_mcp login stores one" in said([sys.executable, "-m", "fal_mcp"], tmp_path, "/")


def test_every_command_is_known_and_nothing_else_is_changed():
    commands = typer.main.get_group(cli.app).commands
    assert set(commands) == set(program.COMMANDS)
    for name in commands:
        assert program.callable_here(f"FAL_KEY=x fal-mcp {name} a", "./fal-mcp") == f"FAL_KEY=x ./fal-mcp {name} a"
    for text in (
        "fal-mcp cannot start",
        "uvx fal-mcp run x",
        "/opt/fal-mcp run",
        "fal-mcp runs",
        ".local/share/fal-mcp",
    ):
        assert program.callable_here(text, "./fal-mcp") == text


@pytest.mark.parametrize("script", ["/usr/bin/pytest", "", "fal-mcp-server", "-c"])
def test_what_is_no_script_of_ours_has_the_usual_name(script: str):
    assert program.called(script) == "fal-mcp"


def test_another_module_that_calls_this_one_is_not_taken_for_it():
    typed = "fal-mcp login stores one"
    assert program.callable_here(typed, "/lib/pytest/__main__.py") == typed
    # By whatever name a shell finds this Python.
    assert program.callable_here(typed, "/lib/fal_mcp/__main__.py").endswith(" -m fal_mcp login stores one")
