"""What is shown: each command, in a home of its own, against a local fal."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pictures.terminal import Terminal, Typed

WIDTHS = (100, 60)
PROMPT = "\x1b[1;32m$\x1b[0m "
_PIER = 'fal-mcp run fal-ai/flux/dev prompt="a pier at night" num_images=2'


@dataclass(frozen=True, slots=True)
class Scene:
    """One command, and what is typed into it."""

    name: str
    command: str
    typed: tuple[Typed, ...] = ()
    stop_at: str | None = None
    """Text at whose sight the picture is taken, with the command still at work."""


SCENES = (
    Scene("demo", "fal-mcp demo"),
    Scene("run-progress", _PIER, stop_at=r"\d\d%|step [5-9]|[5-9]/1\d"),
    Scene("run", _PIER),
    Scene("jobs", "fal-mcp jobs"),
    Scene("doctor", "fal-mcp doctor"),
    Scene("install", "fal-mcp install cursor", (Typed(r"Write this\?", "y\n"),)),
)
_EARLIER = (
    'fal-mcp run fal-ai/veo3 prompt="waves against a pier" duration=4s',
    'fal-mcp run fal-ai/elevenlabs/tts/eleven-v3 text="All aboard."',
    'fal-mcp run fal-ai/flux/schnell prompt="a lighthouse at dusk" --detach',
)


@contextmanager
def home() -> Iterator[Path]:
    """An empty home with a short name, where the pictures show paths in it."""
    folder = Path(tempfile.gettempdir()) / "ada"
    try:
        folder.mkdir()
    except FileExistsError:
        folder = Path(tempfile.mkdtemp(prefix="ada-"))
    try:
        (folder / ".cursor").mkdir()
        (folder / ".cursor" / "mcp.json").write_text('{\n  "mcpServers": {}\n}\n', "utf-8")
        (folder / ".venv").symlink_to(sys.prefix)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def local_fal(folder: Path) -> Iterator[str]:
    """The address of `fal-mcp emulate`, quick enough to wait for and slow enough to see."""
    command = [*program(folder), "emulate", "--speed", "quick"]
    variables = {**environment(folder, ""), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        match = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline().decode())
        assert match, "the local fal did not say where it listens"
        try:
            yield match[0]
        finally:
            process.terminate()


def screens(
    scenes: tuple[Scene, ...] = SCENES, columns: int = WIDTHS[0]
) -> Iterator[tuple[Scene, Terminal, int | None]]:
    """Each scene's screen at the end of its command, with the exit code."""
    with home() as folder, local_fal(folder) as url:
        variables = environment(folder, url)
        if any(scene.name == "jobs" for scene in scenes):
            for command in _EARLIER:
                subprocess.run(
                    [*program(folder), *shlex.split(command)[1:]],
                    env=variables,
                    cwd=folder,
                    check=True,
                    capture_output=True,
                    timeout=60,
                )
        for scene in scenes:
            terminal = Terminal(columns, variables, str(folder))
            terminal.write(f"{PROMPT}{scene.command}\n")
            words = [*program(folder), *shlex.split(scene.command)[1:]]
            yield scene, terminal, terminal.run(words, *scene.typed, stop_at=scene.stop_at)


def program(folder: Path) -> list[str]:
    """The command `fal-mcp` of this environment, as it stands in that home."""
    # Through the link, so that no path of the machine that makes the pictures is in them.
    scripts = folder / ".venv" / "bin"
    return [str(scripts / "python"), str(scripts / "fal-mcp")]


def environment(folder: Path, url: str) -> Mapping[str, str]:
    """The variables of somebody at home in `folder`; with an address, the local fal is theirs."""
    return {
        # What is shown is what lies here, wherever the environment got its copy from.
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **{"HOME": str(folder), "PATH": f"{folder}/.venv/bin:/usr/bin:/bin", "TERM": "xterm-256color"},
        **{"LANG": "C.UTF-8", "FAL_KEY": "emulator:emulator", "FAL_MCP_REFRESH_HOURS": "0"},
        **({"FAL_MCP_URL": url} if url else {}),
    }
