"""`fal-mcp run`: the same engine at the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator, Failure, Script
from fal_mcp.terminal.run import arguments_of

FLUX = "fal-ai/flux/dev"


async def fal_mcp(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = settings.hosts.queue.removesuffix("/queue")
    command = [sys.executable, "-m", "fal_mcp", *arguments, "--fal-url", root, "--data-dir", str(folder / "data")]
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment["PYTHONPATH"] = ":".join(sys.path)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return await anyio.to_thread.run_sync(run)


async def test_a_model_runs_and_its_file_is_saved_here(fal: Emulator, settings: Settings, tmp_path: Path):
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=a pier", "num_inference_steps=4", "seed=7")
    assert done.returncode == 0, done.stderr
    (job,) = fal.jobs.values()
    assert job.input == {"prompt": "a pier", "num_inference_steps": 4, "seed": 7}
    assert await anyio.Path(tmp_path / "flux-dev_a-pier_7-1.png").is_file()
    listed = await fal_mcp(settings, tmp_path, "jobs")
    assert "completed" in listed.stdout and FLUX in listed.stdout


async def test_json_is_for_scripts(fal: Emulator, settings: Settings, tmp_path: Path):
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=x", "--json")
    assert json.loads(done.stdout)["status"] == "completed"


async def test_a_batch_reads_a_line_a_run(fal: Emulator, settings: Settings, tmp_path: Path):
    await anyio.Path(tmp_path / "b.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n', "utf-8")
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "seed=1", "--batch", "b.jsonl", "--json")
    assert done.returncode == 0 and len(json.loads(done.stdout)["items"]) == 2
    assert sorted(job.input["prompt"] for job in fal.jobs.values()) == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", FLUX, "prompt=x", "num_images=99"], 2, "$.num_images"),
        (["run", FLUX, "prompt"], 2, "key=value"),
        (["run", "fal-ai/no-such", "prompt=x"], 1, "no model"),
        (["run", FLUX, "prompt=x", "--max-cost", "0.001"], 1, "--max-cost"),
    ],
)
async def test_what_is_wrong_is_said_with_an_exit_code(
    fal: Emulator, settings: Settings, tmp_path: Path, arguments: list[str], code: int, says: str
):
    done = await fal_mcp(settings, tmp_path, *arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert fal.jobs == {} and "Traceback" not in done.stderr


async def test_a_failure_is_an_exit_code_too(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.script(FLUX, Script(failure=Failure()))
    done = await fal_mcp(settings, tmp_path, "run", FLUX, "prompt=x")
    assert done.returncode == 1 and "Internal Server Error" in done.stderr


def test_pairs_are_text_unless_they_say_json():
    found: dict[str, Any] = arguments_of(["prompt=a=b", 'loras:=[{"path": "x"}]', "seed=7"])
    assert found == {"prompt": "a=b", "loras": [{"path": "x"}], "seed": "7"}
    with pytest.raises(ValueError, match="key=value"):
        arguments_of(["prompt"])
