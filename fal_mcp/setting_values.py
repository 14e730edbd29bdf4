"""What was given for each setting, as its kind has it, and a sentence on what cannot be used. Reads no environment
itself.
"""

import difflib
import importlib.util
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fal_mcp.addresses import parts_of
from fal_mcp.json_values import JsonMapping, JsonObject
from fal_mcp.settings_table import PREFIX, TABLE, Setting

_SHORTEST_SECRET = 32
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def read(env: Mapping[str, str], chosen: JsonMapping) -> tuple[JsonObject, list[str]]:
    """The values that were given, by setting, and a sentence on each that cannot be used or is unknown.

    An option wins over its variable; an empty value is none.
    """
    values: JsonObject = {}
    problems = unknown(env)
    for setting in TABLE:
        given, source = _given(setting, env, chosen)
        if given is not None:
            try:
                values[setting.name] = value_of(setting, given, source)
            except ValueError as error:
                problems.append(str(error))
    return values, problems


def unknown(env: Mapping[str, str]) -> list[str]:
    """A sentence on each variable that looks like a setting and is none: a misspelt limit is no limit."""
    known = {setting.variable for setting in TABLE}
    names = sorted(name for name in env if name.upper().startswith(PREFIX) and name not in known)
    return [f"{name} is no setting of this server. {_near(name, known)}" for name in names]


def value_of(setting: Setting, given: Any, source: str) -> Any:
    """What was given, as the setting's kind has it. `source` is what the person wrote it in: an option or a variable.

    Raises:
        ValueError: it cannot be used; the message names the source.
    """
    if isinstance(given, str):
        given = _filled_in(given.strip(), source)
    match setting.kind:
        case "switch":
            return _switch(given, source)
        case "number" | "count" | "money":
            return _number(setting, given, source)
        case "words":
            return _words(setting, given, source)
        case "choice":
            return _choice(setting.choices, given, source)
        case "folder":
            return _folder(setting, given, source)
        case "folders":
            return tuple(_folder(setting, folder, source) for folder in _several(given, os.pathsep))
        case "names":
            return tuple(_several(given, ","))
        case "address":
            return _address(given, source)
        case "secrets":
            return _secrets(given, source)
        case "store":
            return _store(given, source)
        case "file":
            return _file(given, source)
        case "text":
            return given


def _given(setting: Setting, env: Mapping[str, str], chosen: JsonMapping) -> tuple[Any, str]:
    option = chosen.get(setting.name)
    if option is not None and option != "" and option != []:
        return option, setting.option
    return (env.get(setting.variable) or "").strip() or None, setting.variable


def _filled_in(text: str, source: str) -> str:
    if "${" in text:
        raise ValueError(f"{source} is {text!r}: whoever starts this server did not fill it in.")
    return text


def _switch(given: Any, source: str) -> bool:
    word = str(given).strip().casefold()
    if word not in (*_ON, *_OFF):
        raise ValueError(f"{source} is {given!r} and should be on or off.")
    return word in _ON


def _number(setting: Setting, given: Any, source: str) -> float:
    try:
        number = float(given)
    except (ValueError, OverflowError):
        number = math.nan
    # NaN is no number that anything could be held against: it fails this comparison and is refused.
    if not 0 <= number <= setting.most:
        what = "an amount of USD" if setting.kind == "money" else "a number"
        raise ValueError(f"{source} is {given!r} and should be {what} from 0 to {setting.most:,.0f}.")
    if 0 < number < setting.least:
        raise ValueError(f"{source} is {given!r} and should be 0, or a number from {setting.least:g} on.")
    # Half a job is none: a limit of one would be a server in which nothing ever gets its turn.
    if setting.kind == "count" and not number.is_integer():
        raise ValueError(f"{source} is {given!r} and should be a whole number from 0 to {setting.most:,.0f}.")
    return number


def _words(setting: Setting, given: Any, source: str) -> tuple[str, ...]:
    words = tuple(_several(given, ","))
    for word in words:
        if setting.choices:
            _choice(setting.choices, word, source)
    return words


def _choice(choices: Sequence[str], given: Any, source: str) -> str:
    if given not in choices:
        raise ValueError(f"{source} has {given!r}. {_near(str(given), choices)}")
    return str(given)


def _folder(setting: Setting, given: Any, source: str) -> Path:
    try:
        folder = Path(given).expanduser()
        kind = _kind_of(folder)
    except (OSError, RuntimeError, ValueError):
        raise ValueError(f"{source} names the folder {str(given)!r}, which cannot be found or looked at.") from None
    if setting.must_exist and kind != stat.S_IFDIR:
        raise ValueError(f"{source} names the folder {str(folder)!r}, which does not exist.")
    if kind not in (None, stat.S_IFDIR):
        raise ValueError(f"{source} names {str(folder)!r}, which is a file and no folder.")
    return folder


def _file(given: Any, source: str) -> Path:
    try:
        file = Path(given).expanduser()
        is_folder = _kind_of(file) == stat.S_IFDIR
    except (OSError, RuntimeError, ValueError):
        raise ValueError(f"{source} names the file {str(given)!r}, which cannot be looked at.") from None
    if is_folder:
        raise ValueError(f"{source} names {str(file)!r}, which is a folder and no file.")
    return file


def _kind_of(path: Path) -> int | None:
    """Whether a folder, a file or something else is there; None where nothing is.

    Raises:
        OSError: that cannot be told. `Path.is_dir` says False of it since Python 3.14.
        ValueError: no path can be so.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _address(given: Any, source: str) -> str:
    parts = parts_of(str(given))
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{source} is {given!r} and should be a URL such as 'http://127.0.0.1:8080'.")
    return str(given).rstrip("/")


def _secrets(given: Any, source: str) -> tuple[str, ...]:
    secrets = tuple(_several(given, ","))
    if short := [number for number, secret in enumerate(secrets, 1) if len(secret) < _SHORTEST_SECRET]:
        raise ValueError(f"{source}: number {short[0]} has fewer than {_SHORTEST_SECRET} characters.")
    return secrets


def _store(given: Any, source: str) -> str:
    parts = parts_of(str(given))
    # What was given is not repeated: it may have a password in it.
    if parts is None or parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise ValueError(f"{source} should be an address such as 'postgresql://user@host:5432/database'.")
    if importlib.util.find_spec("psycopg") is None:
        raise ValueError(f"{source} needs a driver that is not installed: install fal-mcp[team] in place of fal-mcp.")
    return str(given)


def _several(given: Any, separator: str) -> list[Any]:
    if not isinstance(given, str):
        return [part for part in given if str(part).strip()]
    return [part.strip() for part in given.split(separator) if part.strip()]


def _near(word: str, known: Sequence[str] | set[str]) -> str:
    matches = difflib.get_close_matches(word.upper() if word.upper().startswith(PREFIX) else word, list(known), 1, 0.7)
    if matches:
        return f"Did you mean {matches[0]}?"
    return f"There are {', '.join(sorted(known) if isinstance(known, set) else known)}."
