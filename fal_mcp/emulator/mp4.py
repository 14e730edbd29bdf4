# pyright: reportUnknownMemberType=false
# Pillow names numpy in its annotations and does not depend on it.
"""A real H.264 film in an MP4 file, written without an encoder.

Every macroblock that changed is stored as plain samples (I_PCM), every other one is skipped (P_Skip): large, and
playable anywhere. ITU-T H.264 §7.3 for the bits, ISO/IEC 14496-12 and -15 for the boxes.
"""

import re
import struct
from collections.abc import Iterator

from PIL import Image

from fal_mcp.emulator import pictures

WIDTH, HEIGHT = 480, 272
_COLUMNS, _ROWS = WIDTH // 16, HEIGHT // 16
_FRAMES, _RATE = 24, 8
_LUMA = [16 + value * 219 // 255 for value in range(256)]
_CHROMA = [16 + value * 224 // 255 for value in range(256)]


def movie(text: str, seed: int) -> bytes:
    """Three seconds of the coast, while the lighthouse's lamp goes round once."""
    frames = [pictures.scene(text, seed, WIDTH, HEIGHT, turn / _FRAMES) for turn in range(_FRAMES)]
    return _file(list(_samples([_macroblocks(frame) for frame in frames])))


def _macroblocks(frame: Image.Image) -> list[bytes]:
    """The frame in 16 by 16 blocks of 256 luma and twice 64 chroma samples, in BT.601's narrow range."""
    luma, blue, red = frame.convert("YCbCr").split()
    # Full range to 16 to 235 (and 240 for colour): players take a film without a note on its range for that.
    luma = luma.point(_LUMA)
    half = (WIDTH // 2, HEIGHT // 2)
    chroma = [plane.resize(half).point(_CHROMA) for plane in (blue, red)]
    return [
        luma.crop((x * 16, y * 16, x * 16 + 16, y * 16 + 16)).tobytes()
        + b"".join(plane.crop((x * 8, y * 8, x * 8 + 8, y * 8 + 8)).tobytes() for plane in chroma)
        for y in range(_ROWS)
        for x in range(_COLUMNS)
    ]


def _samples(frames: list[list[bytes]]) -> Iterator[bytes]:
    for number, blocks in enumerate(frames):
        nal = _p_slice(number, blocks, frames[number - 1]) if number else _idr_slice(blocks)
        yield struct.pack(">I", len(nal)) + nal


def _idr_slice(blocks: list[bytes]) -> bytes:
    # first_mb, I, pps 0 | frame_num | idr_pic_id | no prior output, not long-term | qp delta, deblocking off
    bits = _ue(0) + _ue(7) + _ue(0) + "0000" + _ue(0) + "00" + _ue(0) + _ue(1)
    payload = bytearray()
    for block in blocks:
        # 25 is the macroblock of plain samples in an I slice; in a P slice five more types come before it, hence 30
        # below.
        payload += _aligned(bits + _ue(25)) + block
        bits = ""
    return _nal(0x65, bytes(payload) + b"\x80")


def _p_slice(number: int, blocks: list[bytes], before: list[bytes]) -> bytes:
    # first_mb, P, pps 0 | frame_num | no override, no reordering | sliding window | qp delta, deblocking off
    bits = _ue(0) + _ue(5) + _ue(0) + f"{number % 16:04b}" + "00" + "0" + _ue(0) + _ue(1)
    payload, skipped = bytearray(), 0
    for block, old in zip(blocks, before, strict=True):
        if block == old:
            skipped += 1
            continue
        payload += _aligned(bits + _ue(skipped) + _ue(30)) + block
        bits, skipped = "", 0
    tail = bits + (_ue(skipped) if skipped else "") + "1"
    return _nal(0x41, bytes(payload) + _aligned(tail))


def _sps() -> bytes:
    # id, 4-bit frame_num, output in coding order, 1 reference, no gaps, size, frames only, direct 8x8, no crop, no VUI
    bits = _ue(0) + _ue(0) + _ue(2) + _ue(1) + "0" + _ue(_COLUMNS - 1) + _ue(_ROWS - 1) + "1" + "1" + "0" + "0"
    return _nal(0x67, bytes([66, 0xC0, 30]) + _aligned(bits + "1"))


def _pps() -> bytes:
    # ids, CAVLC, no field order, one slice group, one reference each, no weights, qp 26, deblocking may be switched
    bits = _ue(0) + _ue(0) + "0" + "0" + _ue(0) + _ue(0) + _ue(0) + "0" + "00" + _ue(0) * 3 + "1" + "0" + "0"
    return _nal(0x68, _aligned(bits + "1"))


def _nal(header: int, payload: bytes) -> bytes:
    # Three bytes in a row that would look like the beginning of the next unit are kept apart by a 3.
    return bytes([header]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


def _ue(value: int) -> str:
    """Exponential Golomb; 0 is also the signed 0."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def _aligned(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def _file(samples: list[bytes]) -> bytes:
    head = _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2avc1mp41")
    # The box's length does not depend on the offset in it, so it is written once to be measured.
    offset = len(head) + len(_movie_box(samples, 0)) + 8
    return head + _movie_box(samples, offset) + _box(b"mdat", b"".join(samples))


def _movie_box(samples: list[bytes], offset: int) -> bytes:
    length, unity = len(samples), struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    moov = struct.pack(">IIIIIIHHII", 0, 0, 0, _RATE, length, 0x10000, 0x0100, 0, 0, 0) + unity
    mvhd = _box(b"mvhd", moov + bytes(24) + struct.pack(">I", 2))
    shown = struct.pack(">IIIIII", 7, 0, 0, 1, 0, length) + bytes(8) + struct.pack(">4H", 0, 0, 0, 0) + unity
    tkhd = _box(b"tkhd", shown + struct.pack(">II", WIDTH << 16, HEIGHT << 16))
    mdhd = _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, _RATE, length, 0x55C4, 0))
    hdlr = _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide") + b"lighthouse\x00")
    dref = _box(b"dref", struct.pack(">II", 0, 1) + _box(b"url ", struct.pack(">I", 1)))
    minf = _box(b"minf", _box(b"vmhd", struct.pack(">IQ", 1, 0)) + _box(b"dinf", dref) + _table(samples, offset))
    return _box(b"moov", mvhd + _box(b"trak", tkhd + _box(b"mdia", mdhd + hdlr + minf)))


def _table(samples: list[bytes], offset: int) -> bytes:
    sps, pps = _sps(), _pps()
    config = bytes([1, *sps[1:4], 0xFF, 0xE1]) + struct.pack(">H", len(sps)) + sps
    avcc = _box(b"avcC", config + b"\x01" + struct.pack(">H", len(pps)) + pps)
    entry = struct.pack(">6xH16xHHIIIH32xHh", 1, WIDTH, HEIGHT, 0x480000, 0x480000, 0, 1, 24, -1)
    stsd = _box(b"stsd", struct.pack(">II", 0, 1) + _box(b"avc1", entry + avcc))
    count = len(samples)
    sizes = struct.pack(f">III{count}I", 0, 0, count, *map(len, samples))
    return _box(
        b"stbl",
        stsd
        + _box(b"stts", struct.pack(">IIII", 0, 1, count, 1))
        + _box(b"stss", struct.pack(">III", 0, 1, 1))
        + _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, count, 1))
        + _box(b"stsz", sizes)
        + _box(b"stco", struct.pack(">III", 0, 1, offset)),
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content
