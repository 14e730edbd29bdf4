"""A configuration's text with our entry in it, or without, proven to be otherwise the same."""

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

from fal_mcp.install import json_text, toml_text, yaml_text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import NAME, Format, Host
from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, list_of, object_of

_STUMBLES = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""Somebody else's file may have any shape; an editor that stumbles over one has changed nothing yet."""
_EDITORS: dict[Format, Any] = {"json": json_text, "toml": toml_text, "yaml": yaml_text}
_INPUT = {"type": "promptString", "id": "fal-key", "description": "fal API key", "password": True}
_ASKED_FOR = f"${{input:{_INPUT['id']}}}"
"""What stands for a key that VS Code asks for, by a question that is listed in the same file."""


def with_entry(text: str, host: Host, entry: Entry) -> str:
    """The text with the entry, new or in place of an older one.

    Raises:
        NotInstalled: it cannot be edited without touching something else.
    """
    value = host.shape(entry)
    asks = _asks(host, value)

    def expected(before: JsonObject) -> None:
        holder: Any = before
        for key in host.keys:
            # YAML has a name with nothing after it.
            holder[key] = holder.get(key) or ([] if host.is_list else {})
            holder = holder[key]
        if host.is_list:
            holder[:] = [value if _is_ours(item) else item for item in holder]
            holder += [] if value in holder else [value]
        else:
            holder[NAME] = value
        if asks and all(item.get("id") != _INPUT["id"] for item in before.setdefault("inputs", [])):
            before["inputs"].append(_INPUT)

    return _proven(text, host, lambda given: _put(given, host, value), expected)


def without_entry(text: str, host: Host) -> str:
    """The text without the entry; unchanged where it has none.

    Raises:
        NotInstalled: as for `with_entry`.
    """
    asked = _asks(host, entry_in(text, host))

    def is_asked(values: JsonObject) -> bool:
        return asked and _ASKED_FOR not in json.dumps(values, ensure_ascii=False)

    def take(given: str) -> str:
        changed: str = _EDITORS[host.format].remove(given, host.keys, NAME)
        if not asked or not is_asked(json_text.read(changed)):
            return changed
        return json_text.drop(changed, "inputs", _INPUT, "id")

    def expected(before: JsonObject) -> None:
        holder: Any = before
        for key in host.keys:
            holder = holder.get(key) or {}
        if host.is_list:
            holder[:] = [item for item in list_of(holder) if not _is_ours(item)]
        else:
            holder.pop(NAME, None)
        if is_asked(before):
            before["inputs"] = [item for item in list_of(before.get("inputs")) if item.get("id") != _INPUT["id"]]

    return _proven(text, host, take, expected)


def before_entry(text: str, host: Host, copies: Iterable[str]) -> str | None:
    """The one of the copies that the entry was put into to make the text, and nothing done to it since; else None.

    Only a copy knows whether an empty holder, or no line break at the end, was there before.
    """
    try:
        value = entry_in(text, host)
        made = (copy for copy in copies if entry_in(copy, host) is None and _put(copy, host, value) == text)
        return None if value is None else next(made, None)
    except (NotInstalled, *_STUMBLES):
        return None


def entry_in(text: str, host: Host) -> Any:
    """Our entry as a file has it; None where it has none."""
    holder: object = _EDITORS[host.format].read(text)
    for key in host.keys:
        holder = object_of(holder).get(key)
    ours = [item for item in list_of(holder) if _is_ours(item)]
    return ours[0] if ours else object_of(holder).get(NAME)


def _is_ours(item: object) -> bool:
    return object_of(item).get("name") == NAME


def _asks(host: Host, value: object) -> bool:
    return host.format == "json" and _ASKED_FOR in json.dumps(value)


def _put(text: str, host: Host, value: JsonObject) -> str:
    changed: str = _EDITORS[host.format].put(text, host.keys, NAME, value)
    return json_text.append(changed, "inputs", _INPUT, "id") if _asks(host, value) else changed


def _proven(text: str, host: Host, change: Callable[[str], str], expected: Callable[[JsonObject], None]) -> str:
    """The changed text, where reading it again gives the old values and our entry and nothing else."""
    editor = _EDITORS[host.format]
    before = copy.deepcopy(editor.read(text))
    try:
        changed = change(text)
        after = editor.read(changed)
        expected(before)
    except _STUMBLES as error:
        raise NotInstalled("It has a shape that only a person should change.") from error
    for values in (before, after):
        _tidy(values, host)
    if before != after:
        raise NotInstalled("It could not be changed without changing something else in it.")
    return changed


def _tidy(values: JsonObject, host: Host) -> None:
    """An empty holder and none are the same."""
    for name in (host.keys[0], "inputs"):
        if not values.get(name):
            values.pop(name, None)
