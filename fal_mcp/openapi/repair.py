"""Puts arguments right where there is only one thing they can have meant. Never a guess that changes meaning.

Hosts send objects as JSON strings and numbers as text; people send one URL for a list of URLs and the reverse, and
`imageUrl` for `image_url`.
"""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from fal_mcp.json_values import JsonObject, NotJson, is_list, is_object, list_of, number_of, object_of, parsed
from fal_mcp.openapi import validate
from fal_mcp.openapi.schema import Schema, branches
from fal_mcp.text import one_line

_MOST_NOTES = 10
_LIKENESS = 0.84
_DEEPEST = 6
_MOST_ITEMS = 200
"""Of a list that is longer nothing is put right: each item is held against its schema several times for that."""
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


def repair(schema: Schema, arguments: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """`arguments` with what could only have meant one thing put right, and a sentence on each change."""
    # Names come first: a value can only be held against its schema once it is known which argument it is.
    named, notes = _names(schema, arguments)
    result: JsonObject = {}
    for name, value in named.items():
        part = schema.get("properties", {}).get(name)
        result[name], note = (value, None) if part is None else _value(part, value, schema)
        if note:
            notes.append(f"{name}: {note}")
    return result, tuple(notes[:_MOST_NOTES])


def _names(schema: Schema, arguments: JsonObject) -> tuple[JsonObject, list[str]]:
    known: Schema = schema.get("properties", {})
    notes: list[str] = []
    named: JsonObject = {}
    for name, value in arguments.items():
        meant = name if name in known else _meant(name, value, known, arguments, schema)
        if meant != name:
            notes.append(f"{one_line(name, 60)!r} was read as {meant!r}")
        named[meant] = value
    return named, notes


def _meant(name: str, value: object, known: Schema, given: JsonObject, root: Schema) -> str:
    # An argument that was given under its right name is not what a wrong one stands for.
    free = {one: one.replace("_", "") for one in known if one not in given}
    plain = re.sub(r"[^a-z0-9]", "", name.casefold())
    same = [one for one, flat in free.items() if flat == plain]
    close = same or [
        one for one, flat in free.items() if difflib.SequenceMatcher(None, flat, plain).ratio() >= _LIKENESS
    ]
    # One letter of difference is a plural here. That is nearer than any likeness of spelling, which would as well
    # find `image_url_2`.
    if not same and plain in {flat[:-1] for flat in free.values()} | {f"{flat}s" for flat in free.values()}:
        close = [one for one, flat in free.items() if plain in (flat[:-1], f"{flat}s")]
    # With two that are as near, either might be wrong, and the run is paid for whichever it was.
    if len(close) != 1:
        return name
    # The value has to fit under the new name, if need be put right itself: else the likeness of the names was chance.
    repaired, _ = _value(known[close[0]], value, root)
    return close[0] if _fits(known[close[0]], repaired, root) else name


def _value(part: Schema, value: object, root: Schema, depth: int = 0) -> tuple[Any, str | None]:
    """The value, or the one other value it stands for, with what was done."""
    if _fits(part, value, root):
        return value, None
    readings = [
        (mended, note)
        for other, first in [(value, None), *_readings(part, value, root)]
        for mended, inside in [_inside(part, other, root, depth)]
        if _fits(part, mended, root) and (note := "; ".join(filter(None, [first, inside])))
    ]
    # Two ways to the same value are one reading; two values are two, and then nobody knows which was meant.
    distinct = {json.dumps(other, sort_keys=True, default=str): (other, note) for other, note in readings}
    return next(iter(distinct.values())) if len(distinct) == 1 else (value, None)


def _inside(part: Schema, value: object, root: Schema, depth: int) -> tuple[Any, str]:
    """`value` with what is inside it put right: the numbers of a size, the fields of each item of a list."""
    if depth > _DEEPEST or len(list_of(value)) > _MOST_ITEMS or not (is_object(value) or is_list(value)):
        return value, ""
    notes: dict[str, None] = {}
    if is_list(value):
        items = [branch["items"] for branch in branches(part, root) if isinstance(branch.get("items"), dict)]
        # An item is held against what any branch of a union says of its items: which branch is meant shows only in
        # the items.
        pairs = [_value({"anyOf": items}, item, root, depth + 1) for item in value if items]
        notes = dict.fromkeys(note for _, note in pairs if note)
        return [item for item, _ in pairs] if pairs else value, "; ".join(list(notes)[:3])
    known: Schema = {}
    for branch in branches(part, root):
        for name, inner in branch.get("properties", {}).items():
            known.setdefault(name, []).append(inner)
    named: JsonObject = {}
    for name, item in object_of(value).items():
        named[name], note = _value({"anyOf": known[name]}, item, root, depth + 1) if name in known else (item, None)
        if note:
            notes[f"{one_line(name, 40)}: {note}"] = None
    return named, "; ".join(list(notes)[:3])


def _readings(part: Schema, value: object, root: Schema) -> Iterator[tuple[Any, str]]:
    """What `value` may have meant. Only readings that lose nothing."""
    kinds = {branch.get("type") for branch in branches(part, root)}
    if isinstance(value, str):
        yield from _of_text(value, kinds)
        # Where fal wants a file as an object, people give its address, as most other models take it.
        if re.fullmatch(r"(?:https?|data|fal|file):\S+", value.strip()) and _takes_file(part, root):
            yield {"url": value.strip()}, "an address was read as the file at it"
        for allowed in _enums(part, root):
            if isinstance(allowed, str) and allowed.casefold() == value.strip().casefold():
                yield allowed, f"{one_line(value, 40)!r} was read as {allowed!r}"
            elif not isinstance(allowed, str) and _plain(allowed) == value.strip():
                yield allowed, f"{one_line(value, 40)!r} was read as {_plain(allowed)}"
    elif (number := number_of(value)) is not None:
        for allowed in _enums(part, root):
            # Lengths are enums of text such as "5" or "8s" in a good hundred of fal's models, and numbers in eighty
            # others.
            if isinstance(allowed, str) and re.fullmatch(rf"{re.escape(f'{number:g}')}s?", allowed):
                yield allowed, f"{value!r} was read as {allowed!r}"
    elif is_list(value):
        # Several would lose all but one, so a longer list is refused.
        if len(value) == 1 and "string" in kinds:
            yield value[0], "a list of one was read as that one"


def _of_text(value: str, kinds: set[Any]) -> Iterator[tuple[Any, str]]:
    text = value.strip()
    if kinds & {"object", "array"} and text[:1] in ("{", "["):
        try:
            yield parsed(text), "JSON in a string was read as what it says"
        except NotJson:
            pass
    if kinds & {"integer", "number"} and _NUMBER.fullmatch(text):
        # Fifteen digits are what a float holds without loss; more of them (a seed, say) would come out as another
        # number.
        number = float(text)
        yield (int(number) if number.is_integer() else number), f"{text!r} was read as a number"
    if "boolean" in kinds and text.casefold() in ("true", "false"):
        yield text.casefold() == "true", f"{text!r} was read as {text.casefold()}"
    # A sentence is no item of a list that somebody forgot to make.
    if "array" in kinds and re.fullmatch(r"[^\s\[{][^\s]*", text):
        yield [text], "one value was read as a list of one"


def _takes_file(part: Schema, root: Schema) -> bool:
    """Whether a file may go in as an object with its address: fal's `File` and `Image`."""
    objects = [branch for branch in branches(part, root) if "url" in branch.get("properties", {})]
    return any(branch.get("required", ["url"]) == ["url"] for branch in objects)


def _enums(part: Schema, root: Schema) -> list[Any]:
    return [allowed for branch in branches(part, root) for allowed in branch.get("enum", ())]


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _fits(part: Schema, value: object, root: Schema) -> bool:
    return validate.fits({**part, "$defs": root.get("$defs", {})}, value)
