"""What TAB does behind `fal-mcp run`: candidates by table, then whole command lines in real shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fal_mcp.config import Settings
from fal_mcp.terminal import candidates
from pictures.terminal import Terminal, Typed

FLUX = "fal-ai/flux/dev"
SHELLS = {
    "bash": (".bashrc", "PS1='ready> '\n"),
    "zsh": (".zshrc", "PROMPT='ready> '\nzstyle ':completion:*' menu no\n"),
    "fish": (".config/fish/config.fish", "function fish_prompt\n  echo -n 'ready> '\nend\nset -g fish_greeting\n"),
}
_WOKEN = "fal-mcp \t\x15"
"""Typer's script for zsh is loaded by the first TAB of a shell, and completes from the second on."""
SIZES = ["landscape_16_9", "landscape_4_3", "portrait_16_9", "portrait_4_3", "square", "square_hd"]


@pytest.mark.parametrize(
    ("before", "beginning", "words"),
    [
        ([], "num_i", ["num_images=", "num_inference_steps="]),
        ([], "prom", ["prompt=", "prompt=..."]),
        ([], "num_im", ["num_images=", "num_images=1"]),
        ([], "sync", ["sync_mode=false", "sync_mode=true"]),
        ([], "image_size", [f"image_size={size}" for size in SIZES]),
        (["prompt=a"], "image_size=sq", ["image_size=square", "image_size=square_hd"]),
        # As bash takes it apart, right behind the "=" and further on.
        (["prompt", "=", "a", "image_size"], "", SIZES),
        (["prompt", "=", "a", "image_size", "="], "sq", ["square", "square_hd"]),
        (["prompt", "=", "sync_mode"], "sync", ["sync_mode=false", "sync_mode=true"]),
        (["prompt", "="], "", []),
        ([], "no_such", []),
    ],
)
def test_arguments_and_their_values_are_completed(starter: Path, before: list[str], beginning: str, words: list[str]):
    assert sorted(candidates.pairs(Settings(models=starter), FLUX, before, beginning)) == words


def test_ids_are_completed_and_nothing_is_raised_where_there_are_none(starter: Path):
    nowhere = Settings(models=Path("/x"))
    assert FLUX in candidates.ids(Settings(models=starter), "fal-ai/flux/")
    assert candidates.pairs(Settings(models=starter), "no/such", [], "") == candidates.ids(nowhere, "") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_a_run_is_typed_with_tab_in_a_shell(shell: str, tmp_path: Path):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"There is no {shell} here.")
    file, lines = SHELLS[shell]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(lines)
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    environment = {"HOME": str(tmp_path), "PATH": path, "TERM": "xterm", "PYTHONPATH": ":".join(sys.path)}
    # With a command behind it, or the shell steps aside for the last one and is not there to be recognized.
    install = [program, "-c", "fal-mcp --install-completion; true"]
    done = subprocess.run(install, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert f"{shell} completion installed" in done.stdout, done.stderr
    terminal = Terminal(200, environment, str(tmp_path))
    keys = [
        Typed("ready>", f"{_WOKEN if shell == 'zsh' else ''}fal-mcp run fal-ai/flux/d\t"),
        Typed("flux/dev", "outp\t"),
        Typed("output_format=", "j\t"),
        Typed("format=jpeg", "prom\t"),
        Typed("prompt=", "pier"),
    ]
    terminal.run([program, "-i"], *keys, stop_at="= ?pier")
    assert f"ready> fal-mcp run {FLUX} output_format=jpeg prompt=pier" in terminal.text


def test_the_catalog_that_is_typed_is_the_one_that_is_completed_from(starter: Path, tmp_path: Path):
    document = (starter / "fal-ai__flux__dev.json").read_text("utf-8").replace(FLUX, "acme/only-here")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme__only-here.json").write_text(document, "utf-8")
    words = f"fal-mcp run --models {tmp_path / 'mine'} acme/o"
    asked = {"_FAL_MCP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, "PYTHONPATH": ":".join(sys.path), **asked}
    program = str(Path(sys.executable).parent / "fal-mcp")
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["acme/only-here"], done.stderr
