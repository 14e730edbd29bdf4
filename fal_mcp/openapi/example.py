"""A filled-in example of an input: what its schema requires, and what the model cannot do without though it does not.

Everything in it is of the kind that the model is for: a voice has words to say, an editor a picture to edit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fal_mcp.json_values import JsonMapping, JsonObject, is_list, is_object
from fal_mcp.openapi import example_values as values
from fal_mcp.openapi.example_values import Purpose
from fal_mcp.openapi.schema import MAX_DEPTH, Schema, branches, resolve

_FIRST_WORDS = ("prompt", "text", "script", "text_prompt", "input", "lyrics_prompt", "gen_text", "prompts", "query")
_FIRST_FILES = (
    *("image_url", "image_urls", "input_image_url", "input_image_urls", "start_image_url", "first_frame_url"),
    *("video_url", "video_urls", "audio_url", "audio_urls", "reference_image_urls", "model_url", "input_file_url"),
)
_FIRST_OBJECTS = ("videos", "video", "images", "image", "audio")
_FILE_KINDS = ("image", "video", "audio", "3d", "archive")
_MOST_PARTS = 2000
"""An object that requires two of its own kind would have more of them than anybody reads."""
_MOST_ITEMS = 100
_MOST_CHARACTERS = 10_000
_NEVER_FIRST = ("mask", "background", "end_", "last_", "tail_", "negative", "webhook", "callback", "lora", "control")


@dataclass(frozen=True, slots=True)
class Example:
    """Arguments that run; `needed` are those that the schema does not require and the model does."""

    arguments: JsonObject
    needed: tuple[str, ...] = ()
    yours: tuple[str, ...] = ()
    """What has to be put in place of a value that only stands for the caller's own."""

    @property
    def notes(self) -> list[str]:
        """What there is to know of it, in sentences."""
        needed = f"Not required by the schema, needed in practice: {', '.join(self.needed)}." if self.needed else ""
        yours = f"Put your own in place of {'; '.join(self.yours)}." if self.yours else ""
        return [note for note in (needed, yours) if note]


def example(schema: Schema, category: str = "", endpoint_id: str = "") -> JsonObject:
    """Arguments that validate against `schema`, for a model of this category."""
    return filled(schema, category, endpoint_id).arguments


def filled(schema: Schema, category: str = "", endpoint_id: str = "") -> Example:
    """The same, with what is to be said of them."""
    filler = _Filler(schema, Purpose(category, endpoint_id))
    made = filler.of(schema, "", 0)
    arguments = made if is_object(made) else {}
    needed = tuple(filler.missing(arguments))
    arguments |= {name: filler.of(schema["properties"][name], name, 1) for name in needed}
    return Example(arguments, needed, tuple(dict.fromkeys(_yours(arguments, ""))))


@dataclass(frozen=True, slots=True)
class _Filler:
    root: Schema
    purpose: Purpose
    room: Iterator[int] = field(default_factory=lambda: iter(range(_MOST_PARTS)))

    def of(self, part: Schema, name: str, depth: int) -> Any:
        """A value that this part of the schema takes."""
        part = self._simplest(part)
        if "const" in part:
            return part["const"]
        if "enum" in part:
            return _choice(part)
        if depth > MAX_DEPTH or next(self.room, None) is None:
            return None
        match part.get("type"):
            case "object":
                return self._object(part, depth)
            case "array":
                count = max(part.get("minItems", 1), min(values.least_of(name, self.purpose), part.get("maxItems", 2)))
                return [self.of(part.get("items", {}), name, depth + 1) for _ in range(min(count, _MOST_ITEMS))]
            case "integer" | "number" as kind:
                return _number(part, kind, name)
            case "boolean":
                return bool(part.get("default", True))
            case None if name in values.TRACKS:
                return dict(values.POINT)
            case "string" | None:
                return self._text(part, name)
            case _:
                return None

    def missing(self, arguments: JsonMapping) -> list[str]:
        """The names of what the model needs besides: words where it makes something of them, a file of what goes in."""
        properties: Schema = self.root.get("properties", {})
        kinds = set(_kinds(arguments, ""))
        given = self.purpose.given
        words = next((name for name in _FIRST_WORDS if name in properties and name not in arguments), None)
        # A model that speaks needs words or a voice, though its schema may require neither by itself.
        is_silent = self.purpose.speaks and not kinds & {"words", "audio"}
        names: list[str] = []
        if words and (is_silent or not arguments or (given == "text" and "words" not in kinds)):
            names.append(words)
        if given in _FILE_KINDS and given not in kinds:
            names += self._file(properties, given, must_be_any=not arguments)
        elif given == "text" and not words and not kinds:
            names += self._file(properties, "image", must_be_any=True)
        return names

    def _file(self, properties: Schema, kind: str, must_be_any: bool) -> list[str]:
        names = [name for name in (*_FIRST_FILES, *properties) if name in properties and _is_first_file(name)]
        names += [name for name in _FIRST_OBJECTS if name in properties]
        of_kind = [name for name in names if values.kind_of(name) == kind]
        return (of_kind or (names if must_be_any else []))[:1]

    def _simplest(self, part: Schema) -> Schema:
        """Of the branches, one that is easy to fill: a value of its own before a list, a list before an object."""
        nothing: Schema = {}
        found = list(branches(resolve(part, self.root), self.root))
        return min(found, key=_difficulty) if found else nothing

    def _object(self, part: Schema, depth: int) -> JsonObject:
        properties: Schema = part.get("properties", {})
        names = list(part.get("required", ()))
        if not names and depth > 0:
            # An object that requires nothing is still of no use empty: a file, else words, or what says which kind it
            # is.
            names = sorted(filter(_tells, properties), key=lambda name: not values.IS_FILE.search(name))[:1]
        return {name: self.of(properties.get(name, {}), name, depth + 1) for name in names}

    def _text(self, part: Schema, name: str) -> str:
        default = part.get("default")
        if values.IS_FILE.search(name):
            text = values.file_of(name, self.purpose)
        elif (values.IS_WORDS.search(name) and not values.NOT_WORDS.search(name)) or name == "negative_prompt":
            text = self.purpose.words(name)
        elif isinstance(default, str) and default:
            text = default
        else:
            text = self.purpose.words(name) if name in ("tags", "original_tags", "genres") else values.plain_of(name)
        # An example has to be one that the schema takes, also where it wants a longer or shorter text.
        return text[: part.get("maxLength", len(text))].ljust(min(part.get("minLength", 0), _MOST_CHARACTERS), ".")


def _difficulty(part: Schema) -> int:
    return {"object": 2, "array": 1}.get(part.get("type", ""), 0) if "enum" not in part else 0


def _tells(name: str) -> bool:
    return bool(values.IS_FILE.search(name) or values.IS_WORDS.search(name)) or name in ("preset", "voice_id", "type")


def _is_first_file(name: str) -> bool:
    return bool(values.IS_FILE.search(name)) and not name.startswith(_NEVER_FIRST)


def _choice(part: Schema) -> Any:
    default = part.get("default")
    if default is not None and default in part["enum"]:
        return default
    return next((value for value in part["enum"] if value not in (None, "", "none", "custom")), part["enum"][0])


def _number(part: Schema, kind: str, name: str) -> float:
    default = part.get("default")
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        return default
    low = part.get("minimum", part.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in part else 0))
    value = max(low, min(1, part.get("maximum", 1)))
    step = part.get("multipleOf")
    value = -(-value // step) * step if step else min(values.number_of(name, value), part.get("maximum", value + 999))
    return int(value) if kind == "integer" else float(value)


def _kinds(value: object, name: str) -> Iterator[str]:
    """The kinds of files in it, and `words` where it has some."""
    match value:
        case _ if is_object(value):
            for key, inner in value.items():
                yield from _kinds(inner, f"{name}_url" if key == "url" else key)
        case _ if is_list(value):
            for inner in value:
                yield from _kinds(inner, name)
        case str() if values.IS_FILE.search(name):
            yield values.kind_of(name)
        case str() if values.IS_WORDS.search(name) and not values.NOT_WORDS.search(name):
            yield "words"
        case _:
            pass


def _yours(value: object, name: str) -> Iterator[str]:
    match value:
        case _ if is_object(value):
            for key, inner in value.items():
                yield from _yours(inner, key)
        case _ if is_list(value):
            for inner in value:
                yield from _yours(inner, name)
        case str() if name in values.YOURS:
            yield f"{name}: {values.YOURS[name]}"
        case str() if values.IS_FILE.search(name) and values.kind_of(name) == "archive":
            yield f"{name}: {values.YOURS['archive']}"
        case _:
            pass
