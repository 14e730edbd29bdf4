"""A mesh for the emulator: a cut gem in a binary glTF file."""

import json
import math
import random
import struct

_SIDES = 8


def gem(seed: int) -> bytes:
    """The gem, its proportions drawn from the seed. glTF 2.0 §4, GLB container."""
    chance = random.Random(seed)
    tall, waist = chance.uniform(0.8, 1.3), chance.uniform(0.5, 0.8)
    ring = [
        (waist * math.cos(2 * math.pi * n / _SIDES), 0.15, waist * math.sin(2 * math.pi * n / _SIDES))
        for n in range(_SIDES)
    ]
    points = [(0.0, -tall, 0.0), (0.0, 0.5, 0.0), *ring]
    faces = [
        corner for n in range(_SIDES) for corner in (0, 2 + n, 2 + (n + 1) % _SIDES, 1, 2 + (n + 1) % _SIDES, 2 + n)
    ]
    positions = b"".join(struct.pack("<3f", *point) for point in points)
    indices = struct.pack(f"<{len(faces)}H", *faces)
    return _container(_description(points, len(faces), len(positions), len(indices)), positions + indices)


def _description(points: list[tuple[float, float, float]], corners: int, positions: int, indices: int) -> bytes:
    box = {"min": [min(column) for column in zip(*points, strict=True)]}
    box["max"] = [max(column) for column in zip(*points, strict=True)]
    content = {
        "asset": {"version": "2.0", "generator": "fal-mcp emulator"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "materials": [
            {"doubleSided": True, "pbrMetallicRoughness": {"baseColorFactor": [0.4, 0.3, 0.9, 1.0]}},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "buffers": [{"byteLength": positions + indices}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": positions, "target": 34962},
            {"buffer": 0, "byteOffset": positions, "byteLength": indices, "target": 34963},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(points), "type": "VEC3", **_single(box)},
            {"bufferView": 1, "componentType": 5123, "count": corners, "type": "SCALAR"},
        ],
    }
    return json.dumps(content).encode()


def _single(box: dict[str, list[float]]) -> dict[str, list[float]]:
    """Bounds as 32-bit floats, as the buffer stores them; validators compare exactly."""
    return {key: [struct.unpack("<f", struct.pack("<f", value))[0] for value in side] for key, side in box.items()}


def _container(description: bytes, buffer: bytes) -> bytes:
    # Chunks begin at multiples of four: JSON is filled up with blanks and bytes with zeros.
    text, data = description + b" " * (-len(description) % 4), buffer + b"\0" * (-len(buffer) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
