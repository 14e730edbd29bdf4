"""A configuration's text with our entry in it, or without, proven to be otherwise the same."""

import copy
from collections.abc import Callable
from typing import Any

from fal_mcp.install import json_text, toml_text, yaml_text
from fal_mcp.install.entry import Entry
from fal_mcp.install.hosts import NAME, Format, Host
from fal_mcp.install.refusal import NotInstalled
from fal_mcp.json_values import JsonObject, list_of, object_of

_EDITORS: dict[Format, Any] = {"json": json_text, "toml": toml_text, "yaml": yaml_text}
_INPUT = {"type": "promptString", "id": "fal-key", "description": "fal API key", "password": True}


def with_entry(text: str, host: Host, entry: Entry) -> str:
    """The text with the entry, new or in place of an older one.

    Raises:
        NotInstalled: it cannot be edited without touching something else.
    """
    value = host.shape(entry)

    asks = host.format == "json" and entry.key == f"${{input:{_INPUT['id']}}}"

    def put(given: str) -> str:
        changed: str = _EDITORS[host.format].put(given, host.keys, NAME, value)
        return json_text.append(changed, "inputs", _INPUT, "id") if asks else changed

    def expected(before: JsonObject) -> None:
        holder: Any = before
        for key in host.keys:
            holder = holder.setdefault(key, [] if host.is_list else {})
        if host.is_list:
            holder[:] = [*_others(holder), value]
        else:
            holder[NAME] = value
        if asks and all(item.get("id") != _INPUT["id"] for item in before.setdefault("inputs", [])):
            before["inputs"].append(_INPUT)

    return _proven(text, host, put, expected)


def without_entry(text: str, host: Host) -> str:
    """The text without the entry; unchanged where it has none.

    Raises:
        NotInstalled: as for `with_entry`.
    """

    def expected(before: JsonObject) -> None:
        holder: Any = before
        for key in host.keys:
            holder = holder.get(key) or {}
        if host.is_list:
            holder[:] = _others(list_of(holder))
        else:
            holder.pop(NAME, None)

    return _proven(text, host, lambda given: _EDITORS[host.format].remove(given, host.keys, NAME), expected)


def entry_in(text: str, host: Host) -> Any:
    """Our entry as a file has it; None where it has none."""
    holder: object = _EDITORS[host.format].read(text)
    for key in host.keys:
        holder = object_of(holder).get(key)
    ours = [item for item in list_of(holder) if object_of(item).get("name") == NAME]
    return ours[0] if ours else object_of(holder).get(NAME)


def _others(items: list[Any]) -> list[Any]:
    return [item for item in items if object_of(item).get("name") != NAME]


def _proven(text: str, host: Host, change: Callable[[str], str], expected: Callable[[JsonObject], None]) -> str:
    """The changed text, where reading it again gives the old values and our entry and nothing else."""
    editor = _EDITORS[host.format]
    before = copy.deepcopy(editor.read(text))
    try:
        changed = change(text)
        after = editor.read(changed)
        expected(before)
    # Somebody else's file may have any shape; an editor that stumbles over one has changed nothing yet.
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise NotInstalled("It has a shape that only a person should change.") from error
    for values in (before, after):
        _tidy(values, host)
    if before != after:
        raise NotInstalled("It could not be changed without changing something else in it.")
    return changed


def _tidy(values: JsonObject, host: Host) -> None:
    """An empty holder and none are the same."""
    if not values.get(host.keys[0]):
        values.pop(host.keys[0], None)
