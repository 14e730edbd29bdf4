"""README command 1: the demonstration ends with files on disk that open."""

import os
import re
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from PIL import Image

AT_60_COLUMNS = {"FORCE_COLOR": "1", "COLUMNS": "60"}


@pytest.mark.parametrize("terminal", [{}, AT_60_COLUMNS], ids=["in a pipe", "at 60 columns"])
def test_the_demo_leaves_a_picture_a_video_and_speech(tmp_path: Path, terminal: dict[str, str]):
    done = subprocess.run(
        [sys.executable, "-m", "fal_mcp", "demo", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, **terminal},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)
    assert 'run fal-ai/flux/dev prompt="a pier at night"\n' in said, "what is to be copied is in one line"
    assert "…" not in said
    files = {file.suffix: file for file in (tmp_path / "out").iterdir()}
    assert set(files) == {".png", ".mp4", ".wav"}
    assert all(str(file) in said for file in files.values())
    with Image.open(files[".png"]) as picture:
        assert picture.size == (1024, 768)
    with wave.open(str(files[".wav"])) as sound:
        assert sound.getnframes() > 0
    assert files[".mp4"].read_bytes()[4:8] == b"ftyp"
