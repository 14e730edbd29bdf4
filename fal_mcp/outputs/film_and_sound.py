"""Films and sounds as a model can take them in: a frame or a waveform, and how long they are.

Only the beginning of a file is fetched. A frame needs ffmpeg on the server's machine; without it the rest is told.
"""

import array
import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass

import anyio
import anyio.to_thread

from fal_mcp.machine.file_kind import sniffed
from fal_mcp.outputs.outcome import Media

BEGINNING = 4 * 1024 * 1024
"""Bytes: the first frame of a film whose index comes first, and half a minute of plain sound."""
_LONGEST = 6.0
# A frame of a few bytes may unpack to gigabytes.
_MOST_PIXELS = "50000000"
"""Of a frame."""
_FORMATS = {"video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska", "video/x-matroska": "matroska"}
_WIDTH, _HEIGHT = 640, 120
_LONGEST_FILM = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What the beginning of a file tells: its length in seconds and a picture, as far as either can be had."""

    seconds: float | None = None
    picture: bytes | None = None


async def glimpse(item: Media, beginning: bytes, size: int | None) -> Glimpse:
    """What a film or a sound is like. `size` is the whole file's, where it is known."""
    if item.kind == "audio":
        return await anyio.to_thread.run_sync(_of_sound, beginning, size)
    return Glimpse(film_seconds(beginning), await _frame(beginning))


def film_seconds(content: bytes) -> float | None:
    """How long an MP4 or QuickTime film is, by its movie header; None where the beginning does not tell. ISO/IEC
    14496-12 §8.2.2."""
    place = content.find(b"mvhd")
    if place < 4:
        return None
    try:
        # Version 1 has times of 64 bits, and so stands further behind.
        if content[place + 4] == 1:
            rate, length = struct.unpack_from(">IQ", content, place + 24)
        else:
            rate, length = struct.unpack_from(">II", content, place + 16)
    except (struct.error, IndexError):
        return None
    seconds = length / rate if rate else 0.0
    return round(seconds, 3) if 0 < seconds <= _LONGEST_FILM else None


def _of_sound(content: bytes, size: int | None) -> Glimpse:
    try:
        with wave.open(io.BytesIO(content), "rb") as file:
            seconds = round(file.getnframes() / file.getframerate(), 3)
            # Of 16 bits and whole: half a sound would be drawn as if it were all of it.
            is_plain = file.getsampwidth() == 2 and (size is None or size <= len(content))
            samples = file.readframes(file.getnframes()) if is_plain else b""
            channels = file.getnchannels()
    except (wave.Error, EOFError, RuntimeError, ZeroDivisionError, struct.error):
        return Glimpse()
    return Glimpse(seconds, _waveform(samples, channels) if samples else None)


def _waveform(samples: bytes, channels: int) -> bytes:
    from PIL import Image, ImageDraw

    values = array.array("h", samples[: len(samples) // 2 * 2])
    if sys.byteorder == "big":
        values.byteswap()
    values = values[::channels]
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), (250, 250, 249))
    draw = ImageDraw.Draw(picture)
    step = max(len(values) / _WIDTH, 1.0)
    for x in range(min(_WIDTH, len(values))):
        part = values[int(x * step) : int((x + 1) * step)]
        top, bottom = (_HEIGHT / 2 * (1 - edge / 32768) for edge in (max(part), min(part)))
        draw.line((x, top, x, max(bottom, top + 1)), fill=(60, 72, 190))
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()


async def _frame(content: bytes) -> bytes | None:
    """The first frame as a JPEG. What ffmpeg may open is one file of one kind: a film is somebody else's bytes."""
    # It is used where it is and never asked for: a preview is not worth an installation.
    ffmpeg, kind = shutil.which("ffmpeg"), _FORMATS.get(sniffed(content[:8192], ""))
    if ffmpeg is None or kind is None:
        return None
    with tempfile.NamedTemporaryFile(prefix="fal-mcp-") as file:
        await anyio.to_thread.run_sync(file.write, content)
        file.flush()
        # One thread, no other protocol than this one file, and a format that is named: ffmpeg would else follow
        # playlists inside a film to other files and hosts.
        command = [
            *(ffmpeg, "-nostdin", "-v", "error", "-threads", "1", "-max_pixels", _MOST_PIXELS),
            *("-protocol_whitelist", "file", "-f", kind, "-i", f"file:{file.name}"),
            *("-frames:v", "1", "-f", "image2pipe", "-c:v", "mjpeg", "-"),
        ]
        with anyio.move_on_after(_LONGEST):
            # It reads somebody else's bytes, and none of this server's variables.
            done = await anyio.run_process(command, check=False, stderr=subprocess.DEVNULL, env={"PATH": os.defpath})
            return done.stdout if done.stdout.startswith(b"\xff\xd8") else None
    return None
