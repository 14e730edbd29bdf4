"""README command 1: the demonstration ends with files on disk that open."""

import subprocess
import sys
import wave
from pathlib import Path

from PIL import Image


def test_the_demo_leaves_a_picture_a_video_and_speech(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "fal_mcp", "demo", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = {file.suffix: file for file in (tmp_path / "out").iterdir()}
    assert set(files) == {".png", ".mp4", ".wav"}
    assert all(str(file) in done.stdout for file in files.values())
    with Image.open(files[".png"]) as picture:
        assert picture.size == (1024, 768)
    with wave.open(str(files[".wav"])) as sound:
        assert sound.getnframes() > 0
    assert files[".mp4"].read_bytes()[4:8] == b"ftyp"
