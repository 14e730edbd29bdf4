"""`fal-mcp doctor`: what is set, and what fal changed."""

import json
import subprocess
import sys
from pathlib import Path

import anyio.to_thread

from fal_mcp import bundled
from fal_mcp.config import Settings
from fal_mcp.emulator import Emulator


async def doctor(settings: Settings, folder: Path) -> list[str]:
    """What it says, line by line; it never fails."""
    command = [sys.executable, "-m", "fal_mcp", "doctor", "--fal-url", settings.hosts.queue.removesuffix("/queue")]
    environment = {"FAL_KEY": settings.key or "", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    environment["PYTHONPATH"] = ":".join(sys.path)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    done = await anyio.to_thread.run_sync(run)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


async def test_doctor_says_what_is_set_and_that_fal_changed_nothing(settings: Settings, tmp_path: Path):
    said = await doctor(settings, tmp_path)
    assert "Key: set" in said and any(line.startswith("Admin key: not set; ") for line in said)
    assert [line.split(":")[0] for line in said[3:5]] == ["ffmpeg", "fal's command line"]
    assert "Platform API: no difference from fal's document" in said
    assert any(line.startswith("Model documents: ") and line.endswith(" usable, 0 not") for line in said)


async def test_doctor_names_what_fal_changed(fal: Emulator, settings: Settings, tmp_path: Path):
    document = json.loads((bundled.schemas() / "platform.json").read_text("utf-8"))
    document["paths"]["/keys"]["get"]["security"] = [{"apiKey": []}]
    fal.platform_file = tmp_path / "changed.json"
    await anyio.Path(fal.platform_file).write_text(json.dumps(document), "utf-8")
    assert (await doctor(settings, tmp_path))[-2:] == [
        "Platform API: fal's document differs from what this version knows (1)",
        '  Operation \'listApiKeys\', key was "adminApiKey" and is "apiKey".',
    ]


async def test_doctor_does_not_fail_without_fals_document(fal: Emulator, settings: Settings, tmp_path: Path):
    fal.platform_file = tmp_path / "none.json"
    await anyio.Path(fal.platform_file).write_text("<html>", "utf-8")
    assert (await doctor(settings, tmp_path))[-1].startswith("Platform API: not compared with fal's document. ")
