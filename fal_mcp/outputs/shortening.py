"""An output as it is told: within a budget, without what nobody can see, its files named where they stood; and the
whole of it in parts. Pure.

A result of 60 MB in an answer ends a conversation; nothing of it is lost by telling less.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import anyio.to_thread

from fal_mcp.json_values import JsonObject, dumped, is_list, is_object, mapped, object_of, sound, values_in
from fal_mcp.outputs.media import address_of
from fal_mcp.outputs.outcome import Media
from fal_mcp.text import escaped, visible

T = TypeVar("T")
BUDGET = 48_000
"""Characters of JSON."""
PART = 30_000
"""Characters of JSON in one part."""
_MANY_VALUES = 5000
_LONG_TEXT = 1_000_000
_MOST_DEPTH = 24
_MOST_KEYS = 400
_LONGEST_KEY = 200
_LARGEST = (200, 6000)
_SMALLEST = (1, 40)


def is_large(output: object) -> bool:
    """Whether it takes a while to go through: more than 5,000 values, or a text of a megabyte."""
    waiting: list[Any] = [output]
    seen = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and len(value) > _LONG_TEXT:
            return True
        inner = values_in(value)
        seen += len(inner)
        if seen > _MANY_VALUES:
            return True
        waiting += inner
    return False


def has_values(output: object) -> bool:
    """Whether anything but nothing is in it: null, an empty text, an empty list or object is nothing."""
    waiting: list[Any] = [output]
    while waiting:
        value = waiting.pop()
        if is_object(value) or is_list(value):
            waiting += values_in(value)
        elif value is not None and value != "":
            return True
    return False


def reference(job_id: str, number: int) -> str:
    """The `number`-th file of a job, from 1, as an argument or a resource."""
    return f"fal://jobs/{job_id}/files/{number}"


def named(media: Sequence[Media], job_id: str) -> tuple[Media, ...]:
    """The same files, each `data:` URI replaced by its reference."""
    return tuple(
        replace(item, url=reference(job_id, number)) if item.url.startswith("data:") else item
        for number, item in enumerate(media, 1)
    )


class Label(str):
    """What stands in an output where a file is that is told beside it: `file 1`."""

    __slots__ = ()


def with_labels(output: object, media: Sequence[Media]) -> Any:
    """The output with `file 1` where the address of the first of `media` stood, and so on, and without what is told of
    it there: each address is said once."""
    labels = {item.url: (Label(f"file {number}"), item) for number, item in enumerate(media, 1)}

    def label(leaf: object) -> Any:
        url = address_of(leaf) if isinstance(leaf, str) else None
        return labels[url][0] if url in labels else leaf

    labelled = mapped(output, label)
    for item in _objects(labelled):
        if isinstance(item.get("url"), Label):
            _forget_told(item, media[int(item["url"].rpartition(" ")[2]) - 1])
    return labelled


def without_labels(value: object) -> Any:
    """What of a shortened output is no file; None where nothing is."""
    if isinstance(value, Label):
        return None
    if is_list(value):
        rest = [without_labels(part) for part in value]
        return None if value and all(part is None for part in rest) else rest
    if is_object(value):
        inner = {name: without_labels(part) for name, part in value.items()}
        known = {name: part for name, part in inner.items() if part is not None}
        return known or (None if value else value)
    return value


def _forget_told(item: JsonObject, file: Media) -> None:
    known = {"content_type": file.content_type, "width": file.width, "height": file.height, "file_size": file.size}
    for name, value in known.items():
        if name in item and (item[name] is None or item[name] == value):
            del item[name]


def _objects(output: object) -> list[JsonObject]:
    waiting, objects = [output], list[JsonObject]()
    while waiting:
        value = waiting.pop()
        if is_object(value):
            objects.append(value)
            waiting += value.values()
        elif is_list(value):
            waiting += value
    return objects


def without_data(output: object, media: Sequence[Media], job_id: str, saved: Collection[str]) -> Any:
    """The output with the reference of each file that it held as a `data:` URI, where `saved` says that it is on this
    disk; others stay, as this is the only place where they are."""
    names = {
        before.url: after.url
        for before, after in zip(media, named(media, job_id), strict=True)
        if before.url != after.url and after.url in saved
    }

    def rename(leaf: object) -> Any:
        return names.get(address_of(leaf) or leaf, leaf) if isinstance(leaf, str) else leaf

    return mapped(output, rename) if names else output


def shortened(
    output: object, budget: int = BUDGET, most_items: int = _LARGEST[0], most_characters: int = _LARGEST[1]
) -> tuple[Any, bool]:
    """The output in at most `budget` characters of JSON, and whether anything was left out of it. What was left out
    stands where it was: `{"left_out": 9800}` at a list's end, an ellipsis in a text."""
    items, characters = most_items, most_characters
    while True:
        cut = _Cut(items, characters)
        short = cut.of(output, 0)
        if len(dumped(short)) <= budget:
            return short, cut.is_cut
        if (items, characters) == _SMALLEST:
            # Thousands of keys of thousands of characters; `get_job` with part has it.
            return {"left_out": "all of it"}, True
        # By thirds, a few rounds for any size: each round writes all of it once.
        items, characters = max(items // 3, _SMALLEST[0]), max(characters // 3, _SMALLEST[1])


def parts(output: object) -> int:
    """How many parts the whole output has."""
    return max(math.ceil(len(_text(output)) / PART), 1)


def part(output: object, number: int) -> str:
    """The `number`-th part of the output's JSON text, from 1; all of them, one after the other, are the whole."""
    return _text(output)[(number - 1) * PART : number * PART]


def parted(output: object, number: int) -> tuple[str, int]:
    """The `number`-th part, and how many there are."""
    text = _text(output)
    return text[(number - 1) * PART : number * PART], max(math.ceil(len(text) / PART), 1)


class _Cut:
    """One attempt at a size."""

    def __init__(self, items: int, characters: int) -> None:
        self._items = items
        self._characters = characters
        self.is_cut = False

    def of(self, value: object, depth: int) -> Any:
        if isinstance(value, Label):
            return value
        if isinstance(value, str):
            return self._string(value)
        if not is_object(value) and not is_list(value):
            return sound(value)
        # JSON readers have bounds on depth, and refuse the whole answer where one is passed.
        if depth > _MOST_DEPTH:
            return self._left_out("nested deeper")
        if is_list(value):
            return self._list(value, depth)
        return self._object(object_of(value), depth)

    def _string(self, value: str) -> str:
        if len(value) > self._characters:
            self.is_cut = True
            return visible(f"{value[: self._characters]}… ({len(value):,} characters)")
        return visible(value)

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        items = [self.of(item, depth + 1) for item in value[: self._items]]
        return items if len(value) == len(items) else [*items, self._left_out(len(value) - len(items))]

    def _object(self, value: JsonObject, depth: int) -> JsonObject:
        most = min(_MOST_KEYS, self._items * 4)
        fields: JsonObject = {}
        for key, item in list(value.items())[:most]:
            fields[_free(visible(key[:_LONGEST_KEY]), fields)] = self.of(item, depth + 1)
            self.is_cut |= len(key) > _LONGEST_KEY
        return fields if len(value) <= most else {**fields, **self._left_out(len(value) - most)}

    def _left_out(self, what: object) -> JsonObject:
        self.is_cut = True
        return {"left_out": what}


def _free(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number where two keys look alike."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _text(output: object) -> str:
    # Escaped and not cleaned: the parts together must be the output to the last character.
    return escaped(dumped(output))


async def aside(output: object, work: Callable[..., T], *arguments: object) -> T:
    """Work on a large output in a thread, so that no other call waits for it."""
    # Only then: a thread costs more than a small output takes.
    if is_large(output):
        return await anyio.to_thread.run_sync(work, *arguments)
    return work(*arguments)
