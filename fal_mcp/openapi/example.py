"""A filled-in example of an input: every required argument, and nothing that its schema refuses."""

from typing import Any, cast

from fal_mcp.openapi.schema import MAX_DEPTH, Schema, branches, resolve

_TEXTS = {
    "prompt": "a lighthouse on a cliff at dusk, warm light in the windows",
    "text": "The ferry leaves at seven.",
    "query": "What is in this picture?",
    "lyrics": "[verse]\nThe harbour lights are burning low",
    "lyrics_prompt": "[verse]\nThe harbour lights are burning low",
}
_FILES = (
    ("video", "https://example.com/clip.mp4"),
    ("audio", "https://example.com/voice.mp3"),
    ("speech", "https://example.com/voice.mp3"),
    ("music", "https://example.com/music.mp3"),
    ("zip", "https://example.com/images.zip"),
    ("archive", "https://example.com/images.zip"),
    ("data", "https://example.com/images.zip"),
    ("model", "https://example.com/object.glb"),
    ("mesh", "https://example.com/object.glb"),
)


def example(schema: Schema) -> dict[str, Any]:
    """Arguments that validate against `schema`."""
    made = _of(schema, schema, "", 0)
    return cast(dict[str, Any], made) if isinstance(made, dict) else {}


def _of(part: Schema, root: Schema, name: str, depth: int) -> Any:
    nothing: Schema = {}
    part = next(iter(branches(resolve(part, root), root)), nothing)
    if "const" in part:
        return part["const"]
    if "enum" in part:
        default = part.get("default")
        return default if default in part["enum"] else part["enum"][0]
    if depth > MAX_DEPTH:
        return None
    match part.get("type"):
        case "object":
            properties: Schema = part.get("properties", {})
            return {key: _of(properties.get(key, {}), root, key, depth + 1) for key in part.get("required", ())}
        case "array":
            return [_of(part.get("items", {}), root, name, depth + 1) for _ in range(max(part.get("minItems", 1), 1))]
        case "integer" | "number" as kind:
            return _number(part, kind)
        case "boolean":
            return bool(part.get("default", True))
        case "string" | None:
            return _text(part, name)
        case _:
            return None


def _number(part: Schema, kind: str) -> float:
    default = part.get("default")
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        return default
    low = part.get("minimum", part.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in part else 0))
    value = max(low, min(1, part.get("maximum", 1)))
    step = part.get("multipleOf")
    value = -(-value // step) * step if step else value
    return int(value) if kind == "integer" else float(value)


def _text(part: Schema, name: str) -> str:
    default = part.get("default")
    if isinstance(default, str) and default:
        return default
    if name.endswith(("url", "urls", "uri")):
        text = next((url for word, url in _FILES if word in name), "https://example.com/photo.png")
    else:
        text = _TEXTS.get(name) or (_TEXTS["prompt"] if "prompt" in name else name.replace("_", " ") or "text")
    return text[: part.get("maxLength", len(text))].ljust(part.get("minLength", 0), ".")
