"""Values that fit a schema of the Platform document and look like fal's: the same for the same `seed`."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from fal_mcp.json_values import JsonObject

_EPOCH = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_ENDPOINTS = ("fal-ai/flux/dev", "fal-ai/nano-banana", "fal-ai/veo3")
_WORDS = ("lighthouse", "harbour", "gull", "pier", "lantern", "tide", "mooring", "beacon")
_PEOPLE = frozenset({"username", "user_nickname", "creator_nickname", "creator_user_nickname", "owner", "deployed_by"})
_DEEPEST = 8


def value(schema: JsonObject, name: str = "", seed: int = 0, depth: int = 0) -> Any:
    """A value for the property `name`; every optional property is there."""
    for branches in ("oneOf", "anyOf"):
        if branches in schema:
            return value(schema[branches][0], name, seed, depth)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][seed % len(schema["enum"])]
    kind = _kind(schema)
    if kind == "object":
        known: JsonObject = schema.get("properties", {})
        return {key: value(one, key, seed, depth + 1) for key, one in known.items()}
    if kind == "array":
        return [] if depth > _DEEPEST else [value(schema.get("items", {}), name, seed, depth + 1)]
    if kind in ("integer", "number"):
        return _number(schema, name, seed, kind)
    return {"boolean": False, "string": text(name, seed)}.get(kind)


def text(name: str, seed: int) -> str:
    """Words, an id, a date or an address: whatever a property of this name holds."""
    # By the name and the number, so that a test may write down what it expects.
    chance = random.Random(f"{name} {seed}")
    if name.endswith(("_at", "_time", "timestamp", "bucket", "date")):
        return (_EPOCH - timedelta(hours=7 * seed)).isoformat().replace("+00:00", "Z")
    if name.endswith("url") or name == "link":
        return f"https://v3.fal.media/files/b/{chance.randbytes(4).hex()}/{_word(seed)}.png"
    if name in ("request_id", "runner_id", "vector_id"):
        return str(uuid.UUID(bytes=chance.randbytes(16), version=4))
    if name in ("endpoint_id", "endpoint", "endpoint_ids"):
        return _ENDPOINTS[seed % len(_ENDPOINTS)]
    if name.endswith(("id", "identifier", "output_key", "checksum_sha256")):
        return chance.randbytes(10).hex()
    if name in _PEOPLE:
        return "emulator"
    fixed = {"currency": "USD", "unit": "images", "content_type": "image/png", "openapi": "3.0.4"}
    return fixed.get(name) or f"{_word(seed).capitalize()} {seed + 1}"


def _word(seed: int) -> str:
    return _WORDS[seed % len(_WORDS)]


def _kind(schema: JsonObject) -> str:
    kind: Any = schema.get("type", "object" if "properties" in schema else "null")
    return kind if isinstance(kind, str) else next(one for one in kind if one != "null")


def _number(schema: JsonObject, name: str, seed: int, kind: str) -> float:
    if name in ("width", "height"):
        return 1024
    if name == "status_code":
        return 200
    low: float = schema.get("minimum", 0)
    high: float = schema.get("maximum", low + 100)
    drawn = random.Random(f"{name} {seed}").uniform(low, high)
    return int(drawn) if kind == "integer" else round(drawn, 3)
