"""Sounds for the emulator: a short tune in a WAV file, one soft note for each of the text's words."""

import array
import io
import math
import random
import sys
import wave

RATE = 22_050
_SCALE = (0, 3, 5, 7, 10, 12, 15)
_NOTE_SECONDS = 0.22
_MOST_NOTES = 24


def tune(text: str, seed: int) -> bytes:
    """The tune, 16-bit mono."""
    chance = random.Random(seed)
    words = text.split()[:_MOST_NOTES] or ["."]
    samples = array.array("h")
    for word in words:
        pitch = 220 * 2 ** (_SCALE[(len(word) + chance.randrange(3)) % len(_SCALE)] / 12)
        samples.extend(_note(pitch, _NOTE_SECONDS * (0.7 + min(len(word), 9) / 10)))
    # WAV is little-endian wherever it is written.
    if sys.byteorder == "big":
        samples.byteswap()
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def _note(pitch: float, seconds: float) -> list[int]:
    count = int(RATE * seconds)
    step = 2 * math.pi * pitch / RATE
    return [
        # A sine over the whole note, so that it neither begins nor ends with a click.
        int(9000 * math.sin(math.pi * i / count) * (math.sin(step * i) + 0.3 * math.sin(2 * step * i)))
        for i in range(count)
    ]
