"""The Dockerfile as a list of instructions, and its steps carried out in a bare folder as somebody who is not root."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from fal_mcp.json_values import list_of, parsed, text_of

ROOT = Path(__file__).parents[2]
NOBODY = 10001
"""The image's own user, whom no machine knows by a name or a home."""
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all"),
)
_BOUND = 300


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with what stands behind it, its lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def words(text: str) -> list[str]:
    """The words of an exec form."""
    return [text_of(word) or "" for word in list_of(parsed(text.encode()))]


@dataclass
class Image:
    """What the Dockerfile says; `root` stands for the image's own."""

    root: Path
    stages: list[list[tuple[str, str]]] = field(default_factory=list[list[tuple[str, str]]])

    def __post_init__(self) -> None:
        for name, rest in instructions((ROOT / "Dockerfile").read_text("utf-8")):
            if name == "FROM":
                self.stages.append([])
            self.stages[-1].append((name, rest))

    def all(self, name: str, stage: int = -1) -> list[str]:
        """What stands behind each of these instructions of a stage."""
        return [rest for each, rest in self.stages[stage] if each == name]

    @property
    def environment(self) -> dict[str, str]:
        """The last stage's ENV, within `root`."""
        pairs = [pair.partition("=") for pair in shlex.split(" ".join(self.all("ENV")))]
        return {name: self.within(value) for name, _, value in pairs}

    @property
    def command(self) -> list[str]:
        """ENTRYPOINT."""
        return [self.within(word) for word in words(self.all("ENTRYPOINT")[0])]

    @property
    def arguments(self) -> list[str]:
        """CMD."""
        return words(self.all("CMD")[0])

    @property
    def check(self) -> list[str]:
        """HEALTHCHECK's command."""
        return [self.within(word) for word in words(self.all("HEALTHCHECK")[0].partition("CMD ")[2])]

    def within(self, text: str) -> str:
        """The same with the image's folders below `root`."""
        return re.sub(r"(?<![\w.])/(?=(?:opt|data|source|wheels)\b)", f"{self.root}/", text)

    def make(self, python: str) -> None:
        """COPY and RUN of the first stage, as nobody; what came out belongs to root then, and is written to no more."""
        source = self.root / "source"
        source.mkdir()
        for rest in self.all("COPY", 0):
            *names, target = rest.split()
            for name in names:
                self._copy(ROOT / name, source / target / (name if (ROOT / name).is_file() else ""))
        for folder in (self.root, source, *source.rglob("*")):
            os.chown(folder, NOBODY, NOBODY)
        (self.root / "opt").mkdir()
        os.chown(self.root / "opt", NOBODY, NOBODY)
        environment = {**os.environ, "HOME": "/nonexistent", "PYTHON": python, "PIP_NO_CACHE_DIR": "1"}
        environment.pop("PYTHONPATH", None)
        for step in self.all("RUN", 0):
            command = [*AS_NOBODY, "sh", "-euc", self.within(step)]
            subprocess.run(command, cwd=source, env=environment, check=True, timeout=_BOUND)
        shutil.rmtree(source)
        for path in (self.root, self.root / "opt", *(self.root / "opt").rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
        (self.root / "data").mkdir(mode=0o700)
        os.chown(self.root / "data", NOBODY, NOBODY)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        else:
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def python_of_anybody() -> str | None:
    """A Python that nobody may run, with what makes a virtual environment."""
    asked = "import sys, ensurepip, pip; sys.exit(sys.version_info < (3, 11))"
    for name in ("/usr/local/bin/python3", "/usr/bin/python3"):
        if not Path(name).exists():
            continue
        # Elsewhere than here, where it would take this folder's packages for its own.
        done = subprocess.run([*AS_NOBODY, name, "-Ic", asked], cwd="/", capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            return name
    return None


def has_index(python: str) -> bool:
    """Whether the package index can be reached, from which the image is made."""
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "hatchling"]
        return subprocess.run(command, cwd="/", capture_output=True, timeout=_BOUND, check=False).returncode == 0


def files_below(folder: Path) -> str:
    """Every file's name, size and time, to see whether any is another afterwards."""
    kept = {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}
    return json.dumps(kept)
