"""One wish for many endpoints, put into the arguments of each: by its own names, in its own forms. Pure.

What an endpoint has no argument for, or would refuse, is left out and told: a comparison has to say what differs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fal_mcp.catalog import wished_size
from fal_mcp.catalog.endpoint import Endpoint, FileArgument
from fal_mcp.catalog.wished_size import Size
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, number_of, object_of, text_of
from fal_mcp.openapi import faults
from fal_mcp.openapi.schema import Schema, branches, resolve

_PROMPTS = ("prompt", "text", "text_prompt", "input", "script", "text_input", "gen_text", "query", "question")
_SUNG = "lyrics"
"""The prompt only where there is no other: what music is to be like would else be sung."""
_SEEDS = ("seed", "noise_seed", "random_seed")
_COUNTS = ("num_images", "num_videos", "num_outputs", "num_samples", "num_songs", "number_of_images", "images_count")
_SECONDS = ("duration", "duration_seconds", "seconds_total", "total_seconds", "video_length", "length_seconds")
_MILLISECONDS = ("music_length_ms", "duration_ms")
_RATES = ("fps", "frames_per_second", "frame_rate")
_FIRST_FRAMES = re.compile(
    r"(?:input_|source_|start_|first_frame_|init_|first_)?(?:image|video|audio)s?(?:_url)?s?|first_frame_url"
)
_BESIDE = re.compile(r"mask|end_|last_|tail|style|control|reference|ref_|background|pose|depth|face|garment|ip_adapter")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s|sec|seconds?)?")
_KINDS = ("image", "video", "audio")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of every endpoint. `seconds` is how long what comes out is to be; `count` how many of it."""

    prompt: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    """Each with its kind: image, video or audio."""
    size: Size | None = None
    seconds: float | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Mapped:
    """The arguments of one endpoint, which may want more; and of each part of the wish how it was given, or why not."""

    arguments: JsonObject
    given: dict[str, str] = field(default_factory=dict[str, str])
    """Only what does not go by its own name with its own value."""
    left: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to give a part of a wish; `loss` is what of it is lost on the way."""

    arguments: JsonObject
    loss: str = ""


def mapped(wish: Wish, endpoint: Endpoint, own: JsonMapping | None = None) -> Mapped:
    """The wish in an endpoint's own arguments; what `own` has is not touched."""
    schema = endpoint.input_schema
    result = Mapped(dict(own or {}))
    for part, forms, absence in _parts(wish, endpoint):
        _put(result, part, list(forms), absence, schema)
    return result


def _put(result: Mapped, part: str, forms: list[_Form], absence: str, schema: Schema) -> None:
    """Add the first form that the schema takes; why none was, where none is."""
    own = [form for form in forms if form.arguments.keys() & result.arguments.keys()]
    if own:
        result.left[part] = "its own argument was given"
        return
    why = absence
    for form in forms:
        wrong = _wrong(schema, form.arguments)
        if wrong is None:
            result.arguments.update(form.arguments)
            if said := _said(part, form):
                result.given[part] = said
            return
        why = wrong
    result.left[part] = why


def _wrong(schema: Schema, arguments: JsonMapping) -> str | None:
    """What an endpoint has against these arguments alone."""
    wrong = (one.message for one in faults.find(schema, arguments) if any(_is_in(one.path, name) for name in arguments))
    return next(wrong, None)


def _is_in(path: str, name: str) -> bool:
    return bool(re.match(rf"\$\.{re.escape(name)}(?![\w-])", path))


def _said(part: str, form: _Form) -> str:
    """Such as `aspect_ratio 16:9, the nearest it takes`; nothing for what goes as it was said."""
    if list(form.arguments) == [part] and not form.loss:
        return ""
    shown = ", ".join(f"{name} {_shown(value)}" for name, value in form.arguments.items())
    # Prompts and addresses are long, and known to whoever gave them.
    shown = ", ".join(form.arguments) if part in ("prompt", "negative_prompt", *_KINDS) else shown
    return f"{shown}, {form.loss}" if form.loss else shown


def _shown(value: Any) -> str:
    sides = object_of(value)
    return f"{sides['width']}x{sides['height']}" if "width" in sides else str(value)


def _parts(wish: Wish, endpoint: Endpoint) -> Iterator[tuple[str, Iterator[_Form], str]]:
    """Each part of the wish with its forms, the best first, and what is said where there is none."""
    schema = endpoint.input_schema
    if wish.prompt is not None:
        yield "prompt", _texts(wish.prompt, _prompts(schema), schema), "it takes no text"
    for kind in _KINDS:
        if urls := [url for of, url in wish.files if of == kind]:
            yield kind, _files(urls, kind, endpoint), f"it takes no {kind}"
    if wish.negative_prompt is not None:
        yield "negative_prompt", _texts(wish.negative_prompt, ["negative_prompt"], schema), "it takes none"
    if wish.size is not None:
        forms = wished_size.forms(wish.size, schema)
        yield "size", (_Form(form, wished_size.loss(wish.size, form)) for form in forms), "it takes no such size"
    if wish.seconds is not None:
        yield "duration", _durations(wish.seconds, schema), "its length cannot be chosen"
    if wish.seed is not None:
        yield "seed", (_Form({name: wish.seed}) for name in _present(_SEEDS, schema)), "it takes none"
    if wish.count is not None:
        yield "count", _counts(wish.count, schema), "it makes one at a time"


def _present(names: tuple[str, ...], schema: Schema) -> list[str]:
    properties = object_of(schema.get("properties"))
    return [name for name in names if name in properties]


def _prompts(schema: Schema) -> list[str]:
    """What may be the prompt: a `text` that is required before a `prompt` that is not, which there is about style."""
    required = list_of(schema.get("required"))
    names = sorted(_present(_PROMPTS, schema), key=lambda name: name not in required)
    return names or _present((_SUNG,), schema)


def _texts(text: str, names: list[str], schema: Schema) -> Iterator[_Form]:
    properties = object_of(schema.get("properties"))
    for name in names:
        options = list(branches(object_of(properties.get(name)), schema))
        if any(option.get("type") == "string" and "enum" not in option for option in options):
            yield _Form({name: text})


def _files(urls: list[str], kind: str, endpoint: Endpoint) -> Iterator[_Form]:
    """As many files as there is room for: in a list, or in what is required, or in the one that its name puts first."""
    required = list_of(endpoint.input_schema.get("required"))
    places = [one for one in endpoint.files if one.kind == kind and len(one.path) == 1 + (one.path[-1] == "[]")]
    places.sort(key=lambda one: (one.path[0] not in required, not _FIRST_FRAMES.fullmatch(one.path[0])))
    lists = [one.path[0] for one in places if len(one.path) == 2]
    singles = [one.path[0] for one in places if len(one.path) == 1]
    needed = [name for name in singles if name in required]
    if len(urls) > 1:
        yield from (_Form({name: urls}) for name in lists)
        if len(needed) > 1:
            yield _some(dict(zip(needed, urls, strict=False)), urls)
    yield from (
        _some(_in(one, urls[0]), urls) for one in places if not _BESIDE.search(one.path[0]) or one.path[0] in needed
    )


def _in(place: FileArgument, url: str) -> JsonObject:
    return {place.path[0]: [url] if place.path[-1] == "[]" else url}


def _some(arguments: JsonObject, urls: list[str]) -> _Form:
    taken = len(arguments)
    return _Form(
        arguments,
        f"only {'the first' if taken == 1 else f'the first {taken}'} of {len(urls)}" if taken < len(urls) else "",
    )


def _durations(seconds: float, schema: Schema) -> Iterator[_Form]:
    properties = object_of(schema.get("properties"))
    for names, scale in ((_SECONDS, 1.0), (_MILLISECONDS, 1000.0)):
        for name in _present(names, schema):
            yield from _lengths(name, seconds * scale, properties[name], schema)
    rate = next((rate for name in _present(_RATES, schema) if (rate := _default(properties[name], schema))), None)
    if "num_frames" in properties and rate:
        # One more than the steps between them, as fal's own defaults have it: 121 frames are five seconds of 24.
        frames = round(seconds * rate) + 1
        yield from _lengths("num_frames", frames, properties["num_frames"], schema)


def _lengths(name: str, wanted: float, part: Any, root: Schema) -> Iterator[_Form]:
    """The wanted number, or the nearest that an argument takes, in each form that it takes numbers in."""
    for option in branches(object_of(part), root):
        values = list_of(option.get("enum")) or [option.get("const")]
        choices = [(abs(number - wanted), value) for value in values if (number := _number(value)) is not None]
        if choices:
            away, nearest = min(choices, key=lambda one: one[0])
            yield _Form({name: nearest}, "the nearest it takes" if away > 1e-6 else "")
        elif option.get("type") in ("integer", "number") and "enum" not in option:
            yield _within(name, wanted, option)
        elif option.get("type") == "string" and "enum" not in option:
            yield _Form({name: f"{wanted:g}"})


def _within(name: str, wanted: float, option: Schema) -> _Form:
    least, most = number_of(option.get("minimum")), number_of(option.get("maximum"))
    number = wanted if least is None else max(wanted, least)
    number = number if most is None else min(number, most)
    loss = "" if number == wanted else "its most" if number < wanted else "its least"
    whole = option.get("type") == "integer" or float(number).is_integer()
    return _Form({name: round(number) if whole else number}, loss)


def _number(value: Any) -> float | None:
    if (number := number_of(value)) is not None:
        return number
    match = _NUMBER.fullmatch((text_of(value) or "").strip())
    return float(match[1]) if match else None


def _default(part: Any, root: Schema) -> float | None:
    return number_of(resolve(object_of(part), root).get("default"))


def _counts(count: int, schema: Schema) -> Iterator[_Form]:
    properties = object_of(schema.get("properties"))
    names = _present(_COUNTS, schema)
    if count == 1 and all(_default(properties[name], schema) == 1 for name in names):
        yield _Form({})
    for name in names:
        yield from _lengths(name, count, properties[name], schema)
